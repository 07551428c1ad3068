"""Sets of JSON values, and what a comparison with a constant leaves of them.

A set is kept by kinds: single values as flags, numbers, texts that read as a number, other texts. It may be too wide, never too
narrow: what cannot be said exactly is left in. The dialect (rules/dialect.py) decides what equals what: `"05"` equals 5, null equals
0, `""` and `false`, and a text that is no number cannot be put in order with one.
"""

import operator
from functools import lru_cache
from math import ceil, floor, inf
from typing import Any, Final

import msgspec

from rules.index import is_plain

NULL: Final = 1
TRUE: Final = 2
FALSE: Final = 4
EMPTY: Final = 8  # the empty text
VOID: Final = 16  # [] and {}
FULL: Final = 32  # arrays and objects with something in them
_FLAGS: Final = 63
_EXACT: Final = 2**53  # smaller numbers are the same as integers and as floats


class Numbers(msgspec.Struct, frozen=True):
    """Numbers between two bounds, without some; or, of these, `only` some."""

    low: float = -inf
    high: float = inf
    above: bool = False  # `low` itself is left out
    below: bool = False  # `high` itself is left out
    without: frozenset[float] = frozenset()
    only: frozenset[float] | None = None
    whole: bool = False  # integers only

    def has(self, number: float) -> bool:
        return (
            (self.low < number or (self.low == number and not self.above))
            and (number < self.high or (self.high == number and not self.below))
            and number not in self.without
            and (self.only is None or number in self.only)
            and not (self.whole and number != floor(number))
        )


class Words(msgspec.Struct, frozen=True):
    """Texts that are neither empty nor numbers: these alone (`listed`), or all but these. Only texts that equal nothing else
    (`is_plain`) are told from one another."""

    names: frozenset[str] = frozenset()
    listed: bool = False


class Values(msgspec.Struct, frozen=True):
    """A set of values; `numeric` are the texts that read as one of these numbers. Nothing of a kind: None."""

    flags: int = 0
    numbers: Numbers | None = None
    numeric: Numbers | None = None
    words: Words | None = None

    @property
    def empty(self) -> bool:
        return not (self.flags or self.numbers or self.numeric or self.words)


ANY_NUMBER: Final = Numbers()
ANY_WORD: Final = Words()
ANYTHING: Final = Values(_FLAGS, ANY_NUMBER, ANY_NUMBER, ANY_WORD)
NOTHING: Final = Values()
BOOLEAN: Final = Values(TRUE | FALSE)
TEXT: Final = Values(EMPTY, None, ANY_NUMBER, ANY_WORD)
TRUTHY: Final = Values(TRUE | FULL, Numbers(without=frozenset((0,))), ANY_NUMBER, ANY_WORD)
FALSY: Final = Values(NULL | FALSE | EMPTY | VOID, Numbers(only=frozenset((0,))))
Outcomes = tuple[Values, Values, Values]  # the values for which something is true, false, an error


def meet(left: Values, right: Values) -> Values:
    """What is in both."""
    return Values(
        left.flags & right.flags,
        _both(left.numbers, right.numbers),
        _both(left.numeric, right.numeric),
        _words(left.words, right.words),
    )


def _words(left: Words | None, right: Words | None) -> Words | None:
    if left is None or right is None:
        return None
    if left.listed or right.listed:
        if not left.listed:
            left, right = right, left
        names = left.names & right.names if right.listed else left.names - right.names
        return Words(names, True) if names else None
    return Words(left.names | right.names)


def _both(left: Numbers | None, right: Numbers | None) -> Numbers | None:
    if left is None or right is None:
        return None
    if left is ANY_NUMBER or right is ANY_NUMBER:
        return right if left is ANY_NUMBER else left
    low, above = max((left.low, left.above), (right.low, right.above))
    high, not_below = min((left.high, not left.below), (right.high, not right.below))
    only = left.only if right.only is None else right.only if left.only is None else left.only & right.only
    found = Numbers(low, high, above, not not_below, left.without | right.without, only, left.whole or right.whole)
    return _settled(found)


def _settled(found: Numbers) -> Numbers | None:
    """The same with the narrowest bounds, or None where nothing is left."""
    if found.only is not None:
        only = frozenset(filter(found.has, found.only))
        return Numbers(min(only), max(only), only=only, whole=found.whole) if only else None
    low, high, above, below = found.low, found.high, found.above, found.below
    if found.whole:
        if low > -inf:
            low, above = (floor(low) + 1 if above else ceil(low)), False
            while low in found.without:
                low += 1
        if high < inf:
            high, below = (ceil(high) - 1 if below else floor(high)), False
            while high in found.without:
                high -= 1
    if low > high or (low == high and (above or below or low in found.without)):
        return None
    return Numbers(low, high, above, below, found.without, None, found.whole)


def compared(name: str, constant: Any, swapped: bool) -> Outcomes | None:
    """The values `x` for which `x name constant` (or, swapped, `constant name x`) may be true, false, an error; None
    where that is not known."""
    if not _known(constant):
        return None
    if swapped:
        name = _SWAPPED.get(name, name)
    return _compared(name, constant, type(constant).__name__)


def listed(constants: list[Any]) -> Outcomes:
    """The same of `x in [constants]`."""
    if not all(map(_known, constants)):
        return ANYTHING, ANYTHING, NOTHING
    equal = [_equal(constant, strict=True)[0] for constant in constants]
    flags = 0
    for values in equal:
        flags |= values.flags
    numbers = frozenset(number for values in equal if values.numbers for number in values.numbers.only or ())
    words = frozenset(word for values in equal if values.words for word in values.words.names)
    is_in = Values(
        flags,
        Numbers(min(numbers), max(numbers), only=numbers) if numbers else None,
        None,
        Words(words, True) if words else None,
    )
    return is_in, Values(_FLAGS & ~flags, Numbers(without=numbers), ANY_NUMBER, Words(words)), NOTHING


def _known(constant: Any) -> bool:
    if constant is None or isinstance(constant, bool) or constant == "":
        return True
    if isinstance(constant, int | float):
        return -_EXACT < constant < _EXACT
    return is_plain(constant)


_SWAPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


@lru_cache(4096)
def _compared(name: str, constant: Any, kind: str) -> Outcomes | None:
    """`kind` tells 1 from true in the cache."""
    if name in ("==", "==="):
        return _equal(constant, name == "===")
    if name in ("!=", "!=="):
        true, false, error = _equal(constant, name == "!==")
        return false, true, error
    return _ordered(name, constant)


def _equal(constant: Any, strict: bool) -> Outcomes:
    if isinstance(constant, str) and constant:
        words = frozenset((constant,))
        other = Values(_FLAGS, ANY_NUMBER, ANY_NUMBER, Words(words))
        return Values(words=Words(words, True)), other, NOTHING
    flags, number = _same_kind(constant) if strict else _loosely(constant)
    one, others = _one_and_others(number)
    if strict or constant is None or constant == "":
        return Values(flags, one), Values(_FLAGS & ~flags, others, ANY_NUMBER, ANY_WORD), NOTHING
    if isinstance(constant, bool):  # some texts, such as `true`, loosely equal one
        true = Values(flags, one, ANY_NUMBER, ANY_WORD)
        return true, Values(_FLAGS & ~flags, others, ANY_NUMBER, ANY_WORD), NOTHING
    return Values(flags, one, one), Values(_FLAGS & ~flags, others, others, ANY_WORD), NOTHING


def _same_kind(constant: Any) -> tuple[int, float | None]:
    """The flag or the number that is strictly equal to a constant."""
    if constant is None:
        return NULL, None
    if isinstance(constant, bool):
        return TRUE if constant else FALSE, None
    return (EMPTY, None) if constant == "" else (0, constant)


def _loosely(constant: Any) -> tuple[int, float | None]:
    """The flags and the number that loosely equal one."""
    if constant is None:
        return NULL | FALSE | EMPTY, 0
    if constant == "":
        return NULL | EMPTY, None
    if constant == 0:
        return NULL | FALSE, 0
    return TRUE if constant == 1 else 0, constant + 0


def _one_and_others(number: float | None) -> tuple[Numbers | None, Numbers]:
    if number is None:
        return None, ANY_NUMBER
    return Numbers(number, number, only=frozenset((number,))), Numbers(without=frozenset((number,)))


_HOLDS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _ordered(name: str, constant: Any) -> Outcomes | None:
    if (
        isinstance(constant, str) and constant
    ):  # of texts only the kind is looked at: numbers cannot be compared with it
        some = Values(NULL | TRUE | FALSE | EMPTY, None, ANY_NUMBER, ANY_WORD)
        return some, some, ANYTHING
    if isinstance(constant, bool) or not isinstance(constant, int | float):
        return None
    rays = Numbers(high=constant, below=name == "<"), Numbers(low=constant, above=name == ">")
    flipped = Numbers(low=constant, above=name == "<="), Numbers(high=constant, below=name == ">=")
    true, false = (rays[0], flipped[0]) if name in ("<", "<=") else (rays[1], flipped[1])
    holds = _HOLDS[name]
    flags = (NULL | FALSE | EMPTY if holds(0, constant) else 0) | (TRUE if holds(1, constant) else 0)
    ordered = NULL | FALSE | EMPTY | TRUE
    return (
        Values(flags, true, true),
        Values(ordered & ~flags, false, false),
        Values(VOID | FULL, None, None, ANY_WORD),
    )
