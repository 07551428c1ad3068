"""A new rule knows the past: what its condition asks for is filled from the log before it is live.

A shard remembers what it keeps of histories (`ShardKeys.trackers`: tracker → `k<keep>`, or `d<keep> <position>` since when no longer). A
rulebook that asks for more is put in force only when the log has been read again up to the position of the decider, and what was found
has been written to the states. Meanwhile the rulebook before decides; a shard that was just taken decides nothing.

Doing it twice does no harm, and nothing older than the log is lost: what is read again replaces what a state holds of a *new* tracker; of
one that shall remember *longer* than before only its list of times; one that was let go of lately keeps what it has and gets the
*gap* it missed, each state saying how far.
"""

from collections import defaultdict
from typing import Any, Final, NamedTuple

from engage.keys import IN_FORCE, ShardKeys
from engage.log import Logged, decode_entry, to_event
from engage.logs import get_logger
from engage.store import Script, entry_order
from rules import LINKED, MERGED, SERVICE, Gift, Rulebook, State, encode_state, new_state
from rules.apply import Note, notes_of, put
from rules.limits import PRUNE_AFTER
from rules.merge import gift_of, united
from rules.rulebook import tracking_index
from rules.tracks import Track

log = get_logger("worker.filling")
READ_ENTRIES: Final = 32  # log entries read again at a time …
SLICE_EVENTS: Final = 2_000  # … and events, before others have their turn
BEFORE_GAP_MS: Final = 3_600_000
BEGINNING: Final = "0-0"

# KEYS: lease, the hash. ARGV: token, field, value, field, value … ("": removed). Returns 1, or 0 when the lease is another's.
_KEEP = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for n = 2, #ARGV, 2 do
  if ARGV[n + 1] == '' then redis.call('HDEL', KEYS[2], ARGV[n]) else redis.call('HSET', KEYS[2], ARGV[n], ARGV[n + 1]) end
end
return 1
""",
    when_full=True,
)


class Missing(NamedTuple):
    """What is not known of a tracker. `known`: it has been kept before; `gap`: the position behind which it was not; `longer`: its list of
    times is too short."""

    known: bool = False
    gap: str | None = None
    longer: bool = False

    @property
    def after(self) -> str:
        """Where reading begins: a gap's first events may be sent again from just before it."""
        if self.gap is None or self.longer:
            return BEGINNING
        return f"{max(0, entry_order(self.gap)[0] - BEFORE_GAP_MS)}-0"


class Kept:
    """What one shard keeps of histories."""

    def __init__(self, client: Any, keys: ShardKeys) -> None:
        self._client = client
        self._keys = keys
        self._known: dict[str, str] = {}

    async def load(self) -> None:
        found = await self._client.hgetall(self._keys.trackers)
        self._known = {name.decode(): value.decode() for name, value in found.items()}

    def missing(self, rulebook: Rulebook, position: str) -> dict[str, Missing]:
        """The trackers of a rulebook whose past is to be filled."""
        if position == BEGINNING or IN_FORCE not in self._known:
            return {}  # nothing was decided yet, or by a version that kept no account
        oldest = entry_order(position)[0] - PRUNE_AFTER
        found = {}
        for tracker in rulebook.trackers.values():
            kind, keep, since = self._read(tracker.id)
            if not kind or (kind == "d" and entry_order(since)[0] <= oldest):
                found[tracker.id] = Missing()
            elif kind == "d":
                found[tracker.id] = Missing(True, since, keep < tracker.keep)
            elif keep < tracker.keep:
                found[tracker.id] = Missing(True, longer=True)
        return found

    def _read(self, tracker: str) -> tuple[str, int, str]:
        """`k` or `d` (or ""), how much is kept, and since when no longer."""
        kept, _, since = self._known.get(tracker, "0").partition(" ")
        return kept[0].strip("0"), int(kept[1:] or 0), since

    async def switch(self, token: str, rulebook: Rulebook, position: str) -> bool:
        """The rulebook is in force: its trackers are kept, others no longer. False when the lease is another's."""
        changes = {IN_FORCE: str(rulebook.version)}
        for name in self._known:
            if name == IN_FORCE or name in rulebook.trackers:
                continue
            kind, keep, since = self._read(name)
            if kind == "k":
                changes[name] = f"d{keep} {position}"
            elif entry_order(since)[0] <= entry_order(position)[0] - PRUNE_AFTER:
                changes[name] = ""
        for tracker in rulebook.trackers.values():
            if self._known.get(tracker.id) != f"k{tracker.keep}":
                changes[tracker.id] = f"k{tracker.keep}"
        flat = [text for change in changes.items() for text in change]
        if not await _KEEP.run(self._client, [self._keys.lease, self._keys.trackers], [token, *flat]):
            return False
        self._known = {name: value for name, value in (self._known | changes).items() if value}
        return True


class Fill:
    """One reading of a shard's log for the trackers that a rulebook newly asks for."""

    def __init__(self, rulebook: Rulebook, missing: dict[str, Missing]) -> None:
        self.rulebook = rulebook
        self.missing = missing
        self.events = 0
        self._position = min((lack.after for lack in missing.values()), key=entry_order, default=BEGINNING)
        self._tracking = tracking_index(rulebook.trackers[name] for name in missing)
        self._seen: set[tuple[str, str]] = set()
        self._given: set[str] = set()  # who turned out to be another
        self._tracks: dict[str, dict[str, Track]] = defaultdict(dict)
        self._more: dict[str, list[tuple[str, Note]]] = defaultdict(list)  # for tracks that go on, with the position

    @property
    def persons(self) -> set[str]:
        """Of whom something was found."""
        return self._tracks.keys() | self._more.keys()

    async def advance(self, client: Any, log: str, until: str) -> bool:
        """Reads on, no further than `until`; says whether it has come so far."""
        if not self.missing or entry_order(self._position) >= entry_order(until):
            return True
        entries = await client.xrange(log, f"({self._position}", until, count=READ_ENTRIES)
        read = 0
        for entry, fields in entries:
            self._position = entry.decode()
            for record in decode_entry(fields[b"e"]):
                read += 1
                if isinstance(record, Logged):
                    self._note(record, self._position)
            if read >= SLICE_EVENTS:
                break
        self.events += read
        return not entries or entry_order(self._position) >= entry_order(until)

    def _note(self, record: Logged, at: str) -> None:
        if record.kind == SERVICE:
            self._meet(record)
            return
        if record.p in self._given:
            return  # handed on: it stands in the other's log
        try:
            notes = notes_of(to_event(record), self._tracking)
        except Exception:  # as when it was decided: one event must not stop the shard
            log.exception("event not read again", person=record.p, message_id=record.message_id)
            return
        if not notes or (record.p, record.message_id) in self._seen:
            return
        self._seen.add((record.p, record.message_id))
        for note in notes:
            lack = self.missing[note[0].id]
            if lack.longer or not lack.known:
                put(self._tracks[record.p], note)
            if lack.gap is not None and entry_order(at) > entry_order(lack.gap):
                self._more[record.p].append((at, note))

    def _meet(self, record: Logged) -> None:
        """Two people who turned out to be one: from then on the one's calls stand in the other's log, what was before came with the state."""
        if record.e.event == LINKED and (record.e.properties or {}).get("into") != record.p:
            self._given.add(record.p)
        elif record.e.event == MERGED and (record.p, record.message_id) not in self._seen:
            self._given.discard(record.p)  # or they would not be told
            self._seen.add((record.p, record.message_id))
            for name, track in gift_of(to_event(record)).tracks.items():
                lack = self.missing.get(name)
                if lack is not None and (lack.longer or not lack.known):
                    mine = self._tracks[record.p].get(name)
                    keep = self.rulebook.trackers[name].keep
                    self._tracks[record.p][name] = track if mine is None else united(mine, track, keep)

    def gift(self, state: State) -> Gift | None:
        """What was found of somebody who has turned out to be another, for that one; None where all of it stands in the other's log."""
        assert state.merged_into is not None
        if state.person not in self._given:
            return None
        found = new_state(state.person)
        self.complete(found, BEGINNING)
        if not found.tracks:
            return None
        found.filled = {}
        # Numbered by what asked for it: filled again, it counts once.
        return Gift(state.person, state.merged_into, encode_state(found), -self.rulebook.version)

    def complete(self, state: State, position: str) -> None:
        """Puts what was found of a person into their state. Done again, it changes nothing."""
        filled = state.filled
        for at, note in self._more.get(state.person, ()):
            if entry_order(at) > entry_order(filled.get(note[0].id, BEGINNING)):
                put(state.tracks, note)
        for name, read in self._tracks.get(state.person, {}).items():
            track = state.tracks.get(name)
            if track is None or not self.missing[name].known:
                state.tracks[name] = read
            elif len(read.recent) > len(track.recent):
                track.recent, track.marks = read.recent, read.marks
        filled = filled | {name: position for name, lack in self.missing.items() if lack.gap is not None}
        state.filled = {name: at for name, at in filled.items() if name in state.tracks}
