"""What the API answers where no other Struct says it, for `engage.operations`. The answers themselves are tried against these."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from engage.article_search import Hit
from engage.backtest_runs import Run
from engage.dead_letters import Kind as LetterKind
from engage.published import DocumentVersion, Publication
from engage.verified import Users
from rules import Article, Message, Problem, Project, Rule, Segment
from rules.documents import Kind

Time = Annotated[str, Meta(description="ISO 8601, in UTC.", extra_json_schema={"format": "date-time"})]


class Said(msgspec.Struct, omit_defaults=True):
    """What went wrong: what was expected, what came, where, and what helps."""

    code: str
    message: str
    expected: str | None = None
    got: str | None = None
    field: Annotated[
        str | None, Meta(description="The field's path in the body, or the name of a parameter or header.")
    ] = None
    hint: str | None = None
    problems: Annotated[
        list[Problem] | None, Meta(description="Of documents that do not work: each with its place.")
    ] = None


class Error(msgspec.Struct, omit_defaults=True):
    """Every error, on every route."""

    error: Said
    code: Annotated[
        str | None, Meta(description="As in `error`, where events are sent: some clients read it here.")
    ] = None
    message: Annotated[str | None, Meta(description="As in `error`, where events are sent.")] = None


Skipped = Annotated[
    Literal["do_not_track", "no_consent"] | None,
    Meta(description="Why it was not kept, as the person wishes. It is not to be sent again."),
]


class Accepted(msgspec.Struct, omit_defaults=True):
    """It is on disk; or `skipped`."""

    success: Literal[True]
    skipped: Skipped = None


class EventResult(msgspec.Struct, omit_defaults=True):
    """What became of one event of a batch."""

    status: int
    error: Said | None = None
    skipped: Skipped = None


class BatchResult(msgspec.Struct):
    """One result for each event, in order. `success` is false where nothing could be taken."""

    success: bool
    results: list[EventResult]


class Delivery(msgspec.Struct):
    """One message for one person, rendered for them in their language. Of a `kind` that follows from its message."""

    delivery_id: str
    rule_id: str
    message_id: str
    kind: Kind
    variant: str | None
    priority: int
    content: Annotated[dict[str, Any], Meta(description="As the message's content, in one language.")]
    show_on: dict[str, Any] | None
    expires_at: Time | None
    snooze: Annotated[int | None, Meta(description="ms that *remind me later* puts it off.")] = None
    done: Annotated[list[str], Meta(description="Of a checklist: the items that are ticked off.")] = []
    not_before: Annotated[Time | None, Meta(description="It was snoozed until then.")] = None
    step: Annotated[int, Meta(description="Of a tour: where it goes on, from 0.")] = 0
    shown: Annotated[
        bool, Meta(description="It was on the screen before, and goes on: at once, and no `Message Shown`.")
    ] = False
    turn: Annotated[int, Meta(description="How often it was given back to go on.")] = 0


class Inbox(msgspec.Struct):
    deliveries: list[Delivery]


class Claimed(msgspec.Struct):
    """`claimed` is true for exactly one caller."""

    claimed: bool


class Released(msgspec.Struct):
    released: bool
    not_before: Annotated[Time | None, Meta(description="Of a snoozed one: when it comes again.")] = None


class ArticleText(msgspec.Struct):
    """A help article in one language; `body` is Markdown."""

    id: str
    locale: str
    title: str
    body: str


class ArticlesFound(msgspec.Struct):
    """Help articles, the best first."""

    articles: list[Hit]


class ClientSettings(msgspec.Struct):
    """What `@segment/analytics-next` loads before it sends anything."""

    integrations: dict[str, Any]
    metrics: dict[str, Any]
    plan: dict[str, Any]
    remotePlugins: list[Any]


class User(msgspec.Struct):
    """`person`: who it is in the log, `u:` and a userId or `a:` and an anonymousId. `state`: what decisions are made on, times in ms."""

    id: str
    person: str
    traits: dict[str, Any]
    state: dict[str, Any]


class Event(msgspec.Struct):
    """One event in Segment's form: as it was sent, with what the server assigned."""

    type: str
    messageId: str
    timestamp: Time
    receivedAt: Time


class DeliveryState(msgspec.Struct):
    """What became of a delivery. `message`: what was made for the person, while it is kept. Of one that the state has forgotten only the
    store knows, and no times."""

    delivery_id: str
    rule_id: str | None
    decided_at: Time | None
    expires_at: Time | None
    shown_at: Time | None
    state: str
    message: dict[str, Any] | None


class Export(msgspec.Struct):
    """All there is of a user."""

    user: User
    events: list[Event]
    deliveries: list[DeliveryState]
    decisions: list[dict[str, Any]]
    put_aside: list[dict[str, Any]]


class Decision(msgspec.Struct):
    """What one event or moment woke for the user, and what was decided. `cursor`: its place, for `after`."""

    cursor: str


class History(msgspec.Struct):
    """`cursor`: for the next request's `after`."""

    records: list[Decision]
    cursor: str


class Group(msgspec.Struct):
    id: str
    traits: dict[str, Any]


class InForce(msgspec.Struct):
    """The newest rulebook, the oldest that still decides in some shard, and how many shards have not come to the newest."""

    published: int
    in_force: int
    shards_behind: int


class RuleStats(msgspec.Struct, omit_defaults=True):
    """`matched` is the sum of the states and of `suppressed`, by reason. `experiment`: its arms."""

    matched: int
    shown: int
    waiting: int
    cancelled: int
    expired: int
    failed: int
    suppressed: dict[str, int]
    stopped: int | None = None
    experiment: dict[str, Any] | None = None


class Stats(msgspec.Struct):
    """Sums over all shards, and per rule what became of its matches."""

    totals: dict[str, int]
    rules: dict[str, RuleStats]
    rulebook: InForce


class IdentityFigure(msgspec.Struct):
    """How many users come verified. `verified_share`: 0 to 1, null before anybody came."""

    secrets: int
    enforce: str
    within_days: int
    verified_share: float | None
    users: Users


class DeadLetter(msgspec.Struct, omit_defaults=True):
    """What could not be taken, decided or delivered. `event`: as it was sent, a text where it was no JSON; of what is undelivered `delivery`."""

    id: str
    kind: LetterKind
    received_at: Time
    error: Said
    event: Any = None
    delivery: Any = None


class DeadLetters(msgspec.Struct):
    """The newest first."""

    letters: list[DeadLetter]


class Rulebooks(msgspec.Struct):
    """The newest first."""

    rulebooks: list[Publication]


class Published(msgspec.Struct):
    """`published` is null where nothing changes."""

    published: Publication | None


class Versions(msgspec.Struct):
    """The newest first."""

    id: str
    versions: list[DocumentVersion]


class Backtests(msgspec.Struct):
    """The newest first, without their results."""

    backtests: list[Run]


class Health(msgspec.Struct):
    status: Literal["ok"]


class Ready(msgspec.Struct):
    """`store`: how long it took to answer, or what is wrong with it."""

    ready: bool
    store: str


# Group of documents → the kind of one. What is live of a group: its version, and the documents under the group's own name.
DOCUMENTS: Final[dict[str, type]] = {
    "rules": Rule,
    "messages": Message,
    "segments": Segment,
    "articles": Article,
    "project": Project,
}
LIVE: Final = {
    group: msgspec.defstruct(f"Live{group.title()}", [("version", int), (group, list[document])])  # type: ignore[valid-type]
    for group, document in DOCUMENTS.items()
}
