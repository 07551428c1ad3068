"""Every bound of the engine, in one table. Docs and error messages quote these."""

from typing import Final

MAX_TEXT_BYTES: Final = 256 * 1024  # one document
MAX_DEPTH: Final = 64  # nesting in a document
MAX_NODES: Final = 10_000  # JSON values in a document
MAX_PROBLEMS: Final = 100  # reported per document
SUSPENDED_AFTER: Final = 100  # evaluations of one rule that the budget stopped, in one shard
TARGET_MISSED: Final = 20  # times that a tour's target did not come, in one shard and release, before it may pause
MAX_TARGETS: Final = 10_000  # sums of targets that one shard keeps
OPS_BUDGET: Final = 20_000  # datalogic operations of one evaluation (about a millisecond)

MAX_TIMESTAMPS: Final = 1_000  # one tracker of one person may keep
MIN_TIMESTAMPS: Final = 8  # kept by every tracker, so that a window can be edited without losing the past
SEQUENCE_EVENTS: Final = (
    64  # of one sequence and one person, remembered singly: a late event finds its place among them
)
MAX_STEPS: Final = 8  # of a sequence
WITHOUT_TIMESTAMPS: Final = 32  # of the `without` events of an absence, for a late `after`
MAX_SEGMENTS: Final = 8  # one inside the other
MAX_EVENT_NAMES: Final = 50  # in one trigger or temporal operator
MAX_WAITING: Final = 8  # `after` events one absence rule remembers for one person
MAX_FREQUENCY: Final = 100  # `max` of a frequency
MAX_INTERRUPTIONS: Final = 20  # `per_session` and `per_day` of a project
MAX_PRIVATE_FIELDS: Final = 100  # that a project denies, and that it hashes
MAX_PRIVATE_FIELD: Final = 200  # characters
MAX_FAMILIES: Final = 10  # of fonts in a theme
MAX_VARIANTS: Final = 20  # of one rule
MAX_WEIGHT: Final = 1_000_000  # of a variant
MAX_DURATION: Final = 5 * 366 * 86_400_000  # ms

MAX_TRAITS: Final = 500  # keys of one person or group
MAX_TRAITS_BYTES: Final = 64 * 1024
MAX_SNAPSHOT_BYTES: Final = 8 * 1024  # of the trigger event, kept by a timer

SESSION_GAP: Final = 30 * 60_000  # ms of silence that end a session
RECORDS_FOR_ALWAYS: Final = 20  # deliveries remembered for a rule without a frequency cap
SPENT_GRACE: Final = 86_400_000  # ms an expired or withdrawn record is kept: a late `Message Shown` still counts
MAX_LINKS: Final = 1_000  # people merged into one, and askings for it, that are remembered
MAX_DELIVERY_ID: Final = 64  # characters
MAX_STRAYS: Final = 20  # interactions with deliveries not known (yet) that one person may keep
INBOX_CAPACITY: Final = 100  # pending deliveries of a person; older ones expire
DELIVERY_LIFE: Final = 30 * 86_400_000  # ms a delivery without `expires` may wait
MAX_SNOOZE: Final = 30 * 86_400_000  # ms that *remind me later* may put a message off
OPEN_FOR: Final = 600_000  # ms a shown message that nobody closed counts as open
PRUNE_EVERY: Final = 3_600_000  # ms between two looks for history no rule reads any more
PRUNE_AFTER: Final = 7 * 86_400_000  # ms such history is kept
MAX_UNKNOWN: Final = 1_000  # trackers (and rules) no longer in the rulebook that one person may keep
