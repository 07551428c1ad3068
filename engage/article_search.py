"""Searching help articles: an index in memory, of words and, where a language writes none apart, of pairs of characters."""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from math import log
from typing import Final

import msgspec

from engage.locales import choose
from rules import Article

MAX_QUERY: Final = 200  # characters; what is beyond says nothing more
EXCERPT: Final = 140  # characters
_SIDES: Final = 60
_TITLE, _HEADING, _TEXT = 6.0, 2.5, 1.0
_BEGUN: Final = 0.6  # what a word that only begins so is worth beside the word itself
_ENOUGH: Final = 0.5  # of what is asked for, by weight
_NOWHERE: Final = 0.3  # the weight of a word that no article has
# Words of a question that say nothing of what it is about.
_IDLE: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the to of in on at for from with and or not is are am be was i me my we our you your it this that do does did can could "
        "how what when where which who why will would should there please help",
    )
)
_EXPANSIONS: Final = 60
_LOCALES_KEPT: Final = 64

# Scripts that put no spaces between words: kana, Han, and Thai to Khmer. Hangul gains by pairs as well.
_SOLID = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"[{_SOLID}]+|[^\W_{_SOLID}]+(?:['’][^\W_{_SOLID}]+)?")
_IS_SOLID = re.compile(rf"[{_SOLID}]")
_ENDING = re.compile(r"(?:['’]s|ing|ed|es|s|e)$")
_FENCE = re.compile(r"^\s{0,3}(?:```|~~~)[^\n]*$", re.MULTILINE)
_HEAD = re.compile(r"^\s{0,3}#{1,6}\s+([^\n]*)$", re.MULTILINE)
_MARK = re.compile(r"^\s*(?:(?:[-*+]|\d{1,9}[.)]|>)\s+)+", re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)")
_LINK = re.compile(r"\[([^\]\n]{0,200})\]\([^)\n]{0,2000}\)")
_EMPHASIS = re.compile(r"\\([!-/:-@\[-`{-~])|\*+|`+|(?<!\w)_+|_+(?!\w)")
_SENTENCE = re.compile(r"[.!?。！？]\s*")


class Hit(msgspec.Struct):
    """An article that was found, in the reader's language. `excerpt` is plain text."""

    id: str
    locale: str
    title: str
    excerpt: str


class _Page(msgspec.Struct):
    id: str
    locale: str
    title: str
    text: str


class ArticleIndex:
    """The articles of one rulebook, each in all its languages. Made once, then only read."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self._articles = list(articles)
        self._pages: list[_Page] = []
        self._number: dict[tuple[str, str], int] = {}
        self._weights: dict[str, dict[int, float]] = {}
        self._allowed: dict[str, frozenset[int]] = {}
        for article in self._articles:
            for locale, content in article.content.items():
                self._add(_Page(article.id, locale, content.title, plain(content.body)), content.body)
        self._words = sorted(self._weights)

    def search(self, query: str, locale: str | None, limit: int) -> list[Hit]:
        """The best first; without a word to look for, the first there are."""
        allowed = self._in(locale or "")
        said = dict.fromkeys(_asked(query[:MAX_QUERY]))
        asked = [word for word in said if word not in _IDLE] or list(said)
        if not asked:
            return [self._hit(page, ()) for page in sorted(allowed)[:limit]]
        found: dict[int, float] = {}
        covered: dict[int, float] = {}
        total = 0.0
        for word in asked:
            pages = {page: worth for page, worth in self._match(word).items() if page in allowed}
            rarity = log(1 + len(allowed) / len(pages)) if pages else _NOWHERE
            total += rarity
            for page, worth in pages.items():
                found[page] = found.get(page, 0.0) + rarity * worth
                covered[page] = covered.get(page, 0.0) + rarity
        enough = [page for page in found if covered[page] >= _ENOUGH * total]
        enough.sort(key=lambda page: (-found[page] * covered[page] / total, page))
        return [self._hit(page, asked) for page in enough[:limit]]

    def _add(self, page: _Page, body: str) -> None:
        number = self._number[page.id, page.locale] = len(self._pages)
        self._pages.append(page)
        heads = "\n".join(found[1] for found in _HEAD.finditer(body))
        for text, worth in ((page.title, _TITLE), (heads, _HEADING), (page.text, _TEXT)):
            for word, times in Counter(_written(text)).items():
                weights = self._weights.setdefault(word, {})
                weights[number] = weights.get(number, 0.0) + worth * (1 + log(times))

    def _match(self, word: str) -> dict[int, float]:
        """What each page is worth for one word; a word that is still being typed finds those that begin so."""
        found = dict(self._weights.get(word, {}))
        at = bisect_left(self._words, word)
        for other in self._words[at : at + _EXPANSIONS]:
            if not other.startswith(word):
                break
            for page, worth in self._weights[other].items():
                found[page] = max(found.get(page, 0.0), worth * _BEGUN)
        return found

    def _in(self, locale: str) -> frozenset[int]:
        """Of every article the page that a reader of this language gets."""
        known = self._allowed.get(locale)
        if known is None:
            numbers = (self._number[one.id, choose(one.content, locale)] for one in self._articles if one.content)
            known = frozenset(numbers)
            if len(self._allowed) < _LOCALES_KEPT:
                self._allowed[locale] = known
        return known

    def _hit(self, number: int, words: Iterable[str]) -> Hit:
        page = self._pages[number]
        return Hit(page.id, page.locale, page.title, excerpt(page.text, words))


def plain(body: str) -> str:
    """Markdown's words on one line, without its marks and headings."""
    for pattern, instead in (
        (_FENCE, ""),
        (_HEAD, ""),
        (_MARK, ""),
        (_PICTURE, ""),
        (_LINK, r"\1"),
        (_EMPHASIS, r"\1"),
    ):
        body = pattern.sub(instead, body)
    return " ".join(body.split())


def excerpt(text: str, words: Iterable[str]) -> str:
    """What stands around the first of the words, from the beginning of a sentence where that is near."""
    low = text.lower()
    at = min((place for word in words if (place := low.find(word)) >= 0), default=0)
    start = 0
    if at > _SIDES:
        before = text[at - _SIDES : at]
        ends = [found.end() for found in _SENTENCE.finditer(before)]
        blank = before.find(" ")
        start = at - _SIDES + (ends[-1] if ends else blank + 1 if 0 <= blank < _SIDES // 2 else _SIDES // 2)
    piece = text[start : start + EXCERPT]
    if len(text) > start + EXCERPT:
        blank = piece.rfind(" ", EXCERPT - 20)
        piece = piece[: blank if blank > 0 else EXCERPT - 1].rstrip(" ,;:、") + "…"
    whole = start == 0 or _SENTENCE.search(text[max(0, start - 2) : start])
    return piece if whole else "…" + piece


def _pieces(text: str) -> Iterator[str]:
    return (found[0] for found in _PIECE.finditer(unicodedata.normalize("NFKC", text).casefold()))


def _written(text: str) -> Iterator[str]:
    """Everything that a text can be found by."""
    for piece in _pieces(text):
        if _IS_SOLID.match(piece):
            yield from (piece[at : at + 2] for at in range(len(piece)))
        else:
            yield piece
            if (stem := _stem(piece)) != piece:
                yield stem


def _asked(query: str) -> Iterator[str]:
    for piece in _pieces(query):
        if _IS_SOLID.match(piece):
            yield from (piece[at : at + 2] for at in range(max(1, len(piece) - 1)))
        else:
            yield _stem(piece)


def _stem(word: str) -> str:
    """*Sharing*, *shared* and *shares* are one word: crude, and the same for text and query."""
    stem = _ENDING.sub("", word)
    return stem if len(word) > 4 and len(stem) > 2 and word.isascii() else word
