"""The documents people write: rules, messages, segments, articles. These Structs are the one source of their shape."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from rules.duration import PATTERN
from rules.limits import (
    MAX_DURATION,
    MAX_EVENT_NAMES,
    MAX_FAMILIES,
    MAX_FREQUENCY,
    MAX_INTERRUPTIONS,
    MAX_VARIANTS,
    MAX_WEIGHT,
)

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


def told(text: str, *examples: Any, **schema: Any) -> Meta:
    """What an editor says of a field, and what JSON Schema can say beyond its type (`schema`): the checks themselves are
    elsewhere, with better words. `examples` are offered as completions."""
    return Meta(description=text, examples=list(examples) or None, extra_json_schema=schema or None)


LOGIC: Final = {"$ref": "#/$defs/Logic"}  # rules/schema.py defines it
_ID: Final = Meta(extra_json_schema={"pattern": f"^{ID_PATTERN}$"})
_SPAN: Final = Meta(extra_json_schema={"pattern": f"^(?=[^1-9]*[1-9]){PATTERN}$"})
_ANY_SPAN: Final = Meta(extra_json_schema={"pattern": f"^{PATTERN}$"})
_FROM_ZERO: Final = Meta(extra_json_schema={"minimum": 0, "maximum": MAX_DURATION})
_MILLISECONDS: Final = Meta(extra_json_schema={"minimum": 1, "maximum": MAX_DURATION})
_NUMBER: Final = r"\d{1,3}(\.\d{1,4})?"
_SHARE: Final = r"\d{1,2}(\.\d{1,4})?%|100%"
_BYTE: Final = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
_ALPHA: Final = rf"(0?\.\d{{1,4}}|[01]|{_SHARE})"
_OPAQUE: Final = rf"( / {_ALPHA})?\)"
COLOUR: Final = (
    rf"(#([0-9a-fA-F]{{3,4}}|[0-9a-fA-F]{{6}}|[0-9a-fA-F]{{8}})"
    rf"|rgba?\({_BYTE}, ?{_BYTE}, ?{_BYTE}(, ?{_ALPHA})?\)|rgb\({_BYTE} {_BYTE} {_BYTE}{_OPAQUE}"
    rf"|hsl\({_NUMBER}(deg)? ({_SHARE}) ({_SHARE}){_OPAQUE}"
    rf"|oklch\((0?\.\d{{1,4}}|[01]|{_SHARE}) (0|0?\.\d{{1,4}}) {_NUMBER}(deg)?{_OPAQUE})"
)
LENGTH: Final = r"\d{1,3}(\.\d{1,3})?(px|rem)"
_UNSAID: Final = r"\x22\x27\\<>;:{},()\x7f"
FAMILY: Final = rf"[^\x00-\x20{_UNSAID}][^\x00-\x1f{_UNSAID}]{{0,63}}"
_FIELD: Final = r"^(properties|traits|context)(\.[^.]+)+$"
_DELAY: Final = (
    {"type": "string", "pattern": f"^{PATTERN}$"},
    {"type": "integer", "minimum": 0, "maximum": MAX_DURATION},
    {"type": "object", **LOGIC},
    {"type": "null"},
)
_PER: Final = ({"enum": ["session", "lifetime"]}, {"pattern": f"^(?=[^1-9]*[1-9]){PATTERN}$"})

Identifier = Annotated[str, _ID]
Duration = Annotated[str, _SPAN] | Annotated[int, _MILLISECONDS]
Offset = Annotated[str, _ANY_SPAN] | Annotated[int, _FROM_ZERO]
EventName = Annotated[str, Meta(min_length=1, max_length=256)]
EventNames = EventName | Annotated[list[EventName], Meta(extra_json_schema={"maxItems": MAX_EVENT_NAMES})]
SomeEvents = (
    EventName | Annotated[list[EventName], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_EVENT_NAMES})]
)
Kind = Literal["tour", "chat", "article", "banner", "modal", "tooltip", "checklist", "survey"]
INTERRUPTING: Final = frozenset(("tour", "modal", "chat", "survey"))
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CalendarDay = Annotated[str, Meta(extra_json_schema={"pattern": r"^\d{4}-\d\d-\d\d$"})]
Clock = Annotated[str, Meta(extra_json_schema={"pattern": r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"})]
# How what names a page begins: by its path, or its whole address, in which a path follows the host.
PAGE: Final = r"[/*]|https?://([^/]+/|[^/]*\*$)"
Glob = Annotated[str, Meta(extra_json_schema={"pattern": f"^({PAGE})"})]
Label = Annotated[str, Meta(max_length=200)]
Colour = Annotated[str, Meta(extra_json_schema={"pattern": f"^{COLOUR}$"})]
Family = Annotated[str, Meta(extra_json_schema={"pattern": f"^{FAMILY}$"})]


class Document(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every document has. `$schema` lets an editor complete and check it."""

    id: Annotated[Identifier, told("The id: the file is named after it.", "pricing-hesitation")]
    name: Annotated[Label | None, told("What people call it.")] = None
    description: Annotated[Annotated[str, Meta(max_length=4_000)] | None, told("What it is for, for people.")] = None
    schema: Annotated[str | None, told("Where this document's JSON Schema is, for your editor.")] = msgspec.field(
        default=None, name="$schema"
    )


class Occasion(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What wakes a rule other than an event by its name. One of: an absence (`after` happened, and `without` did not follow `within`: at the
    end of that time); the edge of a segment; a silence, or its end; a time of day."""

    after: Annotated[
        SomeEvents | None, told("The event (or any of several) that starts the time.", "Trial Started")
    ] = None
    without: Annotated[
        SomeEvents | None, told("The event (or any of several) that must not follow.", "Project Created")
    ] = None
    within: Annotated[Duration | None, told("How long to wait for it.", "3d")] = None
    enters: Annotated[Identifier | None, told("The segment that the person comes into.", "power-users")] = None
    leaves: Annotated[Identifier | None, told("The segment that the person drops out of.", "power-users")] = None
    inactive_for: Annotated[Duration | None, told("Nothing was heard of the person for so long.", "14d")] = None
    returns_after: Annotated[Duration | None, told("The first event after nothing was heard for so long.", "14d")] = (
        None
    )
    at: Annotated[Clock | None, told("The time of day.", "09:00")] = None
    days: Annotated[
        Annotated[list[Day], Meta(extra_json_schema={"minItems": 1})] | None,
        told("With `at`: on these days of the week.", ["mon"]),
    ] = None
    date: Annotated[CalendarDay | None, told("With `at`: on this day only.", "2026-12-01")] = None
    timezone: Annotated[
        str | None,
        told("With `at`: an IANA time zone, or `user` for the person's own. Left out: UTC.", "Asia/Tokyo", "user"),
    ] = None


class Frequency(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """At most `max` deliveries `per` window (a duration), `session` or `lifetime`; none for a while after a dismissal."""

    max: Annotated[int, Meta(ge=1, le=MAX_FREQUENCY), told("How many deliveries at most.", 1)]
    per: Annotated[
        Annotated[str, Meta(extra_json_schema={"anyOf": list(_PER)})] | Annotated[int, _MILLISECONDS],
        told("The window: a duration, `session` or `lifetime`.", "7d", "session", "lifetime"),
    ]
    after_dismiss: Annotated[
        Duration | None, told("How long to keep quiet after the person dismissed it, whatever else is left.", "30d")
    ] = None


class Goal(msgspec.Struct, forbid_unknown_fields=True):
    """What the rule is for. Measured, never changes who sees what."""

    event: Annotated[SomeEvents, told("The event (or any of several) that reaches the goal.", "Plan Purchased")]
    within: Annotated[Duration, told("How long after the delivery it counts.", "3d")]


class Variant(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One of several messages that are tried against each other."""

    id: Annotated[Identifier, told("What it is called in statistics and on the wire.", "short")]
    message: Annotated[Identifier, told("The id of the message these people get.", "pricing-help-short")]
    weight: Annotated[
        float, Meta(ge=0, le=MAX_WEIGHT), told("Its share among the weights of all. Left out: 1.", 1, 9)
    ] = 1.0


class Wait(msgspec.Struct, forbid_unknown_fields=True):
    """A message that interrupts waits until nothing else does and the project's limits leave room."""

    wait: Annotated[Duration, told("How long at most; then it lapses.", "2h")]


class Schedule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When the rule may act, by the clock on the wall in the time zone. What matches outside of it is not delivered."""

    start: Annotated[CalendarDay | None, told("The first day.", "2026-12-01")] = None
    end: Annotated[CalendarDay | None, told("The last day, included.", "2026-12-31")] = None
    hours: Annotated[
        Annotated[list[Clock], Meta(min_length=2, max_length=2)] | None,
        told("From and until (not included); over midnight where the second is earlier.", ["09:00", "18:00"]),
    ] = None
    days: Annotated[
        Annotated[list[Day], Meta(extra_json_schema={"minItems": 1})] | None,
        told("Days of the week; of a night, the day it began.", ["mon", "tue", "wed", "thu", "fri"]),
    ] = None
    timezone: Annotated[
        str, told("An IANA time zone, or `user` for the person's own. Left out: UTC.", "Asia/Tokyo", "user")
    ] = "UTC"


class CaseUser(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, frozen=True):
    """Who a test is about, as known before its first event. Without `id`: a visitor who has not signed in."""

    id: Annotated[Annotated[str, Meta(min_length=1, max_length=256)] | None, told("Their userId.", "ann")] = None
    traits: Annotated[dict[str, Any], told("Their traits.", {"plan": "trial"})] = {}
    group: Annotated[str | None, told("The id of their account.", "acme")] = None
    group_traits: Annotated[dict[str, Any], told("The traits of their account.", {"seats": 12})] = {}


class CaseEvent(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One call: `event`, `identify`, `group`, `screen` or `alias`; with `page` alone, a page view. Events arrive in the
    order of the list; one whose time lies before that of its forerunner arrives late."""

    at: Annotated[Offset, told("When it happens, from the start of the test.", "0s", "2m")]
    page: Annotated[
        str | dict[str, Any] | None,
        told("A page view by its path; or, beside `event` and the others, where it happened.", "/pricing"),
    ] = None
    event: Annotated[EventName | None, told("A track call, by its event's name.", "Export Failed")] = None
    identify: Annotated[dict[str, Any] | None, told("An identify call, by its traits.", {"plan": "pro"})] = None
    group: Annotated[str | None, told("A group call, by the group's id; `traits` are the group's.", "acme")] = None
    screen: Annotated[str | None, told("A screen call, by its name.", "Home")] = None
    alias: Annotated[str | None, told("An alias call, by the id they had before.", "visitor-1")] = None
    properties: Annotated[dict[str, Any], told("The call's properties.", {"format": "csv"})] = {}
    traits: Annotated[dict[str, Any], told("The traits of a `group` call.", {"seats": 12})] = {}
    context: Annotated[dict[str, Any], told("The call's context.", {"locale": "ja"})] = {}
    message: Annotated[
        Identifier | None,
        told("The message an `event` such as `Message Shown` is about: the latest delivery of it.", "pricing-help"),
    ] = None


class Expected(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What comes of a test's events, and when: a delivery, or the withdrawal of one that was not shown."""

    at: Annotated[Offset, told("When, from the start of the test.", "2m")]
    deliver: Annotated[Identifier | None, told("The id of the message that is delivered.", "export-help")] = None
    withdraw: Annotated[Identifier | None, told("The id of the message that is withdrawn.", "export-help")] = None


class Case(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A test of a rule: who, what happens, and what is expected; nothing else may be delivered."""

    name: Annotated[str, Meta(min_length=1, max_length=200), told("What it shows.", "on the second visit")]
    user: Annotated[CaseUser, told("Who.", {"id": "ann", "traits": {"plan": "trial"}})] = CaseUser()
    variant: Annotated[
        Identifier | None, told("The variant the person is in. Left out: the rule's first.", "short")
    ] = None
    start: Annotated[
        str | None, told("The moment of `0s`, ISO 8601. Left out: a Monday, 09:00 UTC.", "2026-12-01T09:00:00Z")
    ] = None
    events: Annotated[
        list[CaseEvent],
        told(
            "What happens.",
            [{"at": "0s", "page": "/pricing"}, {"at": "2m", "event": "Export Failed"}],
            minItems=1,
        ),
    ]
    expect: Annotated[
        list[Expected], told("All that is delivered; `[]`: nothing.", [{"at": "2m", "deliver": "export-help"}])
    ]


class Rule(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When to show which message to whom."""

    trigger: Annotated[
        SomeEvents | Occasion,
        told(
            "The event that wakes the rule, a list of events, or another occasion. A track call has its event's name; the other "
            "calls are `page`, `identify`, `screen`, `group`, `alias`.",
            "page",
            ["Export Failed", "Import Failed"],
            {"after": "Trial Started", "without": "Project Created", "within": "3d"},
            {"enters": "power-users"},
            {"returns_after": "14d"},
            {"at": "09:00", "days": ["mon"], "timezone": "user"},
        ),
    ]
    message: Annotated[Identifier | None, told("The id of the message to show.", "pricing-help")] = None
    variants: Annotated[
        Annotated[list[Variant], Meta(extra_json_schema={"minItems": 2, "maxItems": MAX_VARIANTS})] | None,
        told(
            "Instead of `message`: several, tried against each other. A person keeps the one they were given first.",
            [{"id": "short", "message": "pricing-short"}, {"id": "long", "message": "pricing-long", "weight": 2}],
        ),
    ] = None
    condition: Annotated[
        Any,
        told(
            "JSONLogic, and questions to the person's history. Left out: always.",
            {"==": [{"var": "page.path"}, "/pricing"]},
            {"and": [{"==": [{"var": "page.path"}, "/pricing"]}, {"!": {"did": ["Plan Purchased"]}}]},
            **LOGIC,
        ),
    ] = True
    delay: Annotated[
        Any,
        told(
            "Wait before it is decided for good: a duration, or an expression that gives one.",
            "20s",
            anyOf=list(_DELAY),
        ),
    ] = None
    cancel_on: Annotated[
        EventNames,
        told("Events that end a running delay, and withdraw a message not shown yet.", "Plan Selected"),
    ] = []
    priority: Annotated[int, Meta(ge=0, le=100), told("The higher one is shown first. Equal ones: by id.", 50)] = 0
    frequency: Annotated[
        Literal["always"] | Frequency | None,
        told("How often one person may get it. Left out: once, ever.", "always", {"max": 1, "per": "7d"}),
    ] = None
    if_busy: Annotated[
        Literal["lapse"] | Wait | None,
        told(
            "What becomes of a message that interrupts while another one does, or the project's limits leave no room: `lapse`, or "
            "wait for so long. Left out: it waits behind the other in the inbox, and lapses at a limit.",
            "lapse",
            {"wait": "2h"},
        ),
    ] = None
    holdout: Annotated[
        float, Meta(ge=0, le=1), told("The share of people who are left out, for comparison: 0 to 1.", 0.1)
    ] = 0.0
    snooze: Annotated[
        Duration | None,
        told(
            "Offers *Remind me later*, which puts the message off for so long, at most 30 days. Left out: not offered.",
            "1d",
        ),
    ] = None
    goal: Annotated[Goal | None, told("What the rule is for.", {"event": "Plan Purchased", "within": "3d"})] = None
    schedule: Annotated[
        Schedule | None,
        told("When the rule may act. Left out: always.", {"hours": ["09:00", "18:00"], "timezone": "Asia/Tokyo"}),
    ] = None
    tests: Annotated[list[Case], told("Examples that prove the rule: `engage rules test`.")] = []
    enabled: Annotated[bool, told("`false` switches it off.", False)] = True


class ShowOn(msgspec.Struct, forbid_unknown_fields=True):
    """Pages a message may appear on: a glob on the path, or several."""

    path: Annotated[
        Glob | Annotated[list[Glob], Meta(min_length=1, max_length=100)],
        told(
            "A glob on the page's path or whole address, or a list of them.", "/pricing*", ["/projects*", "/dashboard"]
        ),
    ]


class Message(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is shown: content per locale."""

    kind: Annotated[Kind, told("What it looks like.")]
    content: Annotated[
        dict[str, dict[str, Any]],
        Meta(min_length=1),
        told(
            "Per locale. A person gets exactly theirs, else its language, else `en`, else the first.",
            {"en": {"text": "Shall I help you choose?"}},
        ),
    ]
    show_on: Annotated[ShowOn | None, told("It waits until the person is on such a page.", {"path": "/pricing*"})] = (
        None
    )
    expires: Annotated[Duration | None, told("How long it may wait to be shown. Left out: 30 days.", "30m")] = None
    done: Annotated[
        dict[str, Any] | None,
        told(
            "Of a checklist: by an item's `id`, the condition that ticks it off. Left out: the person does it.",
            {"create": {"did": ["Project Created"]}},
            additionalProperties=LOGIC,
        ),
    ] = None


class Segment(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A named condition that several rules share."""

    condition: Annotated[
        Any,
        told(
            "JSONLogic, and questions to the person's history.",
            {"in": [{"var": "user.traits.plan"}, ["free"]]},
            **LOGIC,
        ),
    ]


class Interruptions(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Limits on what interrupts a person (`tour`, `modal`, `chat`, `survey`), over all rules together. One counts by when it was
    shown; while it is not shown yet, by when it was decided."""

    per_session: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_INTERRUPTIONS)] | None, told("At most so many in a session.", 2)
    ] = None
    per_day: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_INTERRUPTIONS)] | None, told("At most so many in 24 hours.", 4)
    ] = None
    quiet: Annotated[Duration | None, told("At least so long between two.", "10m")] = None


class Privacy(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is kept of an event. Fields are named by where they stand in it: `properties.email`, `traits.email`, `context.userAgent`."""

    deny: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"pattern": _FIELD})]],
        told("Fields that are removed before anything is written.", ["properties.card", "context.userAgent"]),
    ] = []
    hash: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"pattern": _FIELD})]],
        told("Fields whose value is replaced by its keyed hash before anything is written.", ["traits.email"]),
    ] = []
    consent: Annotated[
        Annotated[str, Meta(max_length=200)] | None,
        told("The category of your consent management without which an event is not kept.", "Personalization"),
    ] = None


class Colours(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The colours of what is shown. Each is `#0a7c66`, or an `rgb()`, `hsl()` or `oklch()` of numbers; left out: Engage's own."""

    accent: Annotated[Colour | None, told("Buttons, links, how far a tour is.", "#0a7c66")] = None
    on_accent: Annotated[Colour | None, told("What is written on the accent.", "#ffffff")] = None
    surface: Annotated[Colour | None, told("Cards.", "#ffffff")] = None
    sunken: Annotated[Colour | None, told("What lies lower in a card: bars, fields to choose, code.", "#f4f4f7")] = None
    text: Annotated[Colour | None, told("Titles and what is said most clearly.", "#17181c")] = None
    muted: Annotated[Colour | None, told("Running text.", "#5d606b")] = None
    border: Annotated[Colour | None, told("Lines, and the edge of a card.", "rgb(0 0 0 / 11%)")] = None
    backdrop: Annotated[Colour | None, told("Over the page behind a modal or a tour.", "rgb(0 0 0 / 56%)")] = None


class Theme(Colours, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How messages look: served as a style sheet that the site's pages link. No CSS but these values."""

    radius: Annotated[
        Annotated[str, Meta(extra_json_schema={"pattern": f"^{LENGTH}$"})] | None,
        told("How round the corners of cards are.", "8px", "0.5rem"),
    ] = None
    font: Annotated[
        Family | Annotated[list[Family], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_FAMILIES})] | None,
        told("A font family of the page, or several in order of preference.", ["Inter", "Noto Sans JP", "sans-serif"]),
    ] = None
    scheme: Annotated[
        Literal["light", "dark"] | None, told("Always light, or always dark. Left out: as the browser is set.")
    ] = None
    dark: Annotated[
        Colours | None, told("The colours that are others in the dark.", {"accent": "#34d399", "on_accent": "#022c22"})
    ] = None


class Project(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What holds for all rules together. A set of documents has one at most: `project/<id>.json`."""

    interruptions: Annotated[
        Interruptions | None, told("Limits on what interrupts. Left out: none.", {"per_session": 2, "quiet": "10m"})
    ] = None
    holdout: Annotated[
        float,
        Meta(ge=0, le=1),
        told("The share of people who get no message of any rule, for comparison: 0 to 1.", 0.05),
    ] = 0.0
    privacy: Annotated[
        Privacy | None,
        told("What is kept of an event. Left out: all of it.", {"deny": ["properties.card"], "hash": ["traits.email"]}),
    ] = None
    theme: Annotated[Theme | None, told("How messages look. Left out: as they come.", {"accent": "#0a7c66"})] = None


class ArticleContent(msgspec.Struct):
    title: str
    body: str


class Article(msgspec.Struct):
    """A help article: Markdown per locale."""

    id: str
    content: dict[str, ArticleContent]


class Definitions(msgspec.Struct):
    """Everything people wrote, as the rulebook snapshot carries it."""

    rules: list[Rule] = []
    messages: list[Message] = []
    segments: list[Segment] = []
    articles: list[Article] = []
    project: list[Project] = []  # one at most


def names_of(value: EventNames) -> tuple[str, ...]:
    """One name or several, without repetition, in a stable order."""
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def messages_of(rule: Rule) -> dict[tuple[str | int, ...], str]:
    """The ids of the messages a rule may show, each by its path in the document."""
    if rule.variants:
        return {("variants", index, "message"): variant.message for index, variant in enumerate(rule.variants)}
    return {("message",): rule.message} if rule.message is not None else {}
