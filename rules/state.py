"""What is known of one person: a value that `decide` turns into the next one, kept as MessagePack."""

from typing import Any, Final

import msgspec

from rules.errors import StateError
from rules.limits import MAX_TRAITS, MAX_TRAITS_BYTES
from rules.tracks import Track

VERSION: Final = 1


class Record(msgspec.Struct, array_like=True):
    """One delivery that was decided, and what became of it."""

    delivery_id: str
    decided_at: int
    expires_at: int | None = None
    shown_at: int | None = None
    withdrawn: bool = False
    dismissed_at: int | None = None
    interrupts: bool = False
    completed_at: int | None = None
    ticked: list[str] = []  # items of a checklist that are done
    snoozed_at: int | None = None  # put off, to come again


class Timer(msgspec.Struct, array_like=True):
    """A decision that waits: caused by the event `message_id` of the time `caused_at`. `snapshot` keeps what the rule and its message
    read of that event. With `until` it waits for room, no longer than that."""

    due: int
    caused_at: int
    message_id: str
    snapshot: dict[str, Any] | None = None
    until: int | None = None


class Pending(msgspec.Struct, array_like=True):
    """A delivery that may still be shown, until `expires_at`, ms."""

    rule_id: str
    expires_at: int


class Exposure(msgspec.Struct, array_like=True):
    """The first time a rule would have given this person a message, in which arm of its experiment, and whether they reached its goal in time."""

    arm: str
    at: int
    reached: bool = False


class Stray(msgspec.Struct, array_like=True):
    """An interaction with a delivery that is not known: of somebody, perhaps, who turns out to be this person."""

    delivery_id: str
    name: str
    at: int


class Waiting(msgspec.Struct, array_like=True):
    """An absence rule's memory: `after` events whose time runs, sorted; nothing before `done` starts another."""

    timers: list[Timer] = []
    done: int = -1


class Session(msgspec.Struct, array_like=True):
    started_at: int = 0
    last_at: int = 0
    events: int = 0
    pages: int = 0
    number: int = 0


class State(msgspec.Struct, array_like=True):
    """Fields are only ever appended: the position is the format."""

    version: int
    person: str
    clock: int = 0
    first_seen: int = 0
    last_seen: int = 0
    user_id: str | None = None
    anonymous_id: str | None = None
    traits: dict[str, Any] = {}
    traits_dropped: int = 0
    group_id: str | None = None
    group_traits: dict[str, Any] = {}
    locale: str | None = None
    session: Session = msgspec.field(default_factory=Session)
    tracks: dict[str, Track] = {}
    timers: dict[str, Timer] = {}
    waiting: dict[str, Waiting] = {}
    records: dict[str, list[Record]] = {}
    unknown: dict[str, int] = {}  # trackers and rules no longer in the rulebook → since when
    pruned_at: int = 0
    filled: dict[str, str] = {}  # trackers that got what they had missed → up to which position of the log
    timezone: str | None = None
    pending: dict[str, Pending] = {}  # delivery → in the order they were decided
    exposures: dict[str, Exposure] = {}  # rule → its experiment
    occasions: dict[str, int] = {}  # "rule key" of a silence or a time of day → when it is due
    members: dict[str, bool] = {}  # watched segment → whether the person is in it
    look_at: int = 0  # when time alone may move a watched segment; 0: never
    next_due: int = -1  # not earlier does time alone change anything; 0: never; -1: not known
    merged_into: str | None = None  # a forwarding address: who they turned out to be
    merged: list[str] = []  # who turned out to be this person
    asked: list[str] = []  # whom this person was said to be, and by which call
    given: int = 0  # how often the state was handed over
    strays: list[Stray] = []
    signed: list[str] = []  # the traits that a signed token has said: no unsigned word changes them
    signed_group: list[str] | None = None  # likewise of the group, which is then signed itself; None: it is not


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode
_pack = msgspec.msgpack.Encoder().encode


def new_state(person: str) -> State:
    return State(VERSION, person)


def encode_state(state: State) -> bytes:
    return _encode(state)


def decode_state(data: bytes) -> State:
    """Raises StateError for what is no state, or one of a later version."""
    try:
        state = _decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StateError(f"Expected a person's state, got {len(data)} bytes: {error}") from error
    if state.version != VERSION:
        raise StateError(f"Expected a state of version {VERSION}, got version {state.version}")
    return state


def merge_traits(known: dict[str, Any], update: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Shallow merge, null removes. Beyond the bounds new values are dropped; their number is returned."""
    merged = {name: value for name, value in (known | update).items() if value is not None}
    if len(merged) <= MAX_TRAITS and _size(merged) <= MAX_TRAITS_BYTES:
        return merged, 0
    merged = {name: value for name, value in known.items() if update.get(name, value) is not None}
    room = MAX_TRAITS_BYTES - _size(merged)
    dropped = 0
    for name, value in update.items():
        if value is None:
            continue
        cost = _size({name: value}) - (_size({name: merged[name]}) if name in merged else 0)
        if cost > room or (name not in merged and len(merged) >= MAX_TRAITS):
            dropped += 1
        else:
            merged[name] = value
            room -= cost
    return merged, dropped


def packed_size(value: Any) -> int | None:
    """Bytes in a state; None for what no state can hold (lone surrogates, integers beyond 64 bits, endless nesting)."""
    try:
        return len(_pack(value))
    except (RecursionError, UnicodeEncodeError, TypeError, OverflowError, ValueError):
        return None


def _size(value: Any) -> int:
    size = packed_size(value)
    return MAX_TRAITS_BYTES + 1 if size is None else size
