"""The documents people write: rules, messages, segments, articles. These Structs are the one source of their shape."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from rules.limits import MAX_FREQUENCY

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

Duration = str | int
EventName = Annotated[str, Meta(min_length=1, max_length=256)]
EventNames = EventName | list[EventName]
Kind = Literal["tour", "chat", "article", "banner", "modal", "tooltip", "checklist", "survey"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Label = Annotated[str, Meta(max_length=200)]


class Document(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every document has. `$schema` lets an editor complete and check it."""

    id: str
    name: Label | None = None
    description: Annotated[str, Meta(max_length=4_000)] | None = None
    schema: str | None = msgspec.field(default=None, name="$schema")


class Absence(msgspec.Struct, forbid_unknown_fields=True):
    """`after` happened, and `without` did not follow `within`: fires at the end of that time."""

    after: EventNames
    without: EventNames
    within: Duration


class Frequency(msgspec.Struct, forbid_unknown_fields=True):
    """At most `max` deliveries `per` window (a duration), `session` or `lifetime`."""

    max: Annotated[int, Meta(ge=1, le=MAX_FREQUENCY)]
    per: Duration


class Goal(msgspec.Struct, forbid_unknown_fields=True):
    """What the rule is for. Measured, never changes who sees what."""

    event: EventNames
    within: Duration


class Schedule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    start: str | None = None
    end: str | None = None
    hours: Annotated[list[str], Meta(min_length=2, max_length=2)] | None = None
    days: list[Day] | None = None
    timezone: str = "UTC"


class Rule(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When to show which message to whom."""

    trigger: EventName | list[EventName] | Absence
    message: str
    condition: Any = True
    delay: Any = None
    cancel_on: EventNames = []
    priority: Annotated[int, Meta(ge=0, le=100)] = 0
    frequency: Literal["always"] | Frequency | None = None
    holdout: Annotated[float, Meta(ge=0, le=1)] = 0.0
    goal: Goal | None = None
    schedule: Schedule | None = None
    tests: list[dict[str, Any]] = []
    enabled: bool = True


class ShowOn(msgspec.Struct, forbid_unknown_fields=True):
    """Pages a message may appear on: a glob on the path, or several."""

    path: str | Annotated[list[str], Meta(min_length=1, max_length=100)]


class Message(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is shown: content per locale."""

    kind: Kind
    content: Annotated[dict[str, dict[str, Any]], Meta(min_length=1)]
    show_on: ShowOn | None = None
    expires: Duration | None = None


class Segment(Document, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A named condition that several rules share."""

    condition: Any


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


def names_of(value: EventNames) -> tuple[str, ...]:
    """One name or several, without repetition, in a stable order."""
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
