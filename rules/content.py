"""What a message may contain: the shape of each kind that the snippet shows, and links that are safe to follow."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from rules.analysis import check_reference, duration_at
from rules.condition import read_condition
from rules.documents import ID_PATTERN, PAGE, Duration, Glob, Identifier, Message, told
from rules.problems import Path, Report, nearest
from rules.shape import check_shape

SCHEMES: Final = ("https", "mailto")
LINK_FIELDS: Final = frozenset(("url", "href", "src", "image", "video", "link", "navigate"))
# First and last number of each scale.
SCALES: Final = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}
MAX_ACTIONS: Final = 2
MAX_QUESTIONS: Final = 20
MAX_OPTIONS: Final = 20
MAX_BRANCHES: Final = 3
MAX_ITEMS: Final = 20
MAX_TURNS: Final = 8  # one after the other
MAX_TIMEOUT: Final = 60_000  # ms
END: Final = "end"
_TARGET: Final = (
    "What it points at: a CSS selector, `text=` and the words that can be read on it, or `data-engage=` and the value of "
    "that attribute; also within open shadow roots and frames of the same site."
)

_BLANK = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\u200b-\u200f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# `docs.example.com/start` or `www.example.com`: a host, which without its scheme is a place within the site.
_BARE_HOST = re.compile(r"www\.|(?:[a-z0-9-]+\.)+[a-z]{2,}/", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]{0,200})|<([A-Za-z][A-Za-z0-9+.\-\s]{0,40}:[^>\s]{0,200})>|^\s*\[[^\]]{1,80}\]:\s*<?(\S{1,200})",
    re.MULTILINE,
)
_ARTICLE_LINK = re.compile(rf"#engage-article=({ID_PATTERN})")  # sdk_js/src/article/link.ts
LOCALE: Final = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}"
_LOCALE = re.compile(LOCALE)


class Advance(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the person does to go on, in place of pressing *Next*. One of them."""

    click: Annotated[Literal[True] | None, told("They press the target.", True)] = None
    input: Annotated[
        str | None, told("What they type into the target fits this regular expression, as a whole.", ".+@.+")
    ] = None
    event: Annotated[str | None, told("The page tells of this event with `track`.", "Project Created")] = None
    path: Annotated[
        Glob | None, told("They arrive at this page: a glob on its path or whole address.", "/projects/*")
    ] = None


class StepButton(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A button in the place of *Next*: a branch."""

    label: Annotated[str, told("The words on the button.", "I have data already")]
    to: Annotated[
        Identifier | None, told("The `id` of the step it goes to, or `end`. Left out: the next.", "import")
    ] = None


class Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One stop of a tour."""

    text: Annotated[str, told("Markdown, with Liquid.", "Invite the people who keep asking you for numbers.")]
    id: Annotated[Identifier | None, told("What other steps call it.", "import")] = None
    target: Annotated[
        str | None, told(f"{_TARGET} Left out: in the middle.", "#new-project", "text=New project", "data-engage=new")
    ] = None
    title: Annotated[str | None, told("Its heading.")] = None
    path: Annotated[
        Glob | None,
        told(
            "The page it lives on: a glob on its path or whole address.",
            "/dashboard*",
            "https://docs.example.com/start",
        ),
    ] = None
    navigate: Annotated[str | None, told("Where *Next* goes.", "/projects")] = None
    placement: Annotated[
        Literal["auto", "top", "right", "bottom", "left"], told("On which side of its target it stands.")
    ] = "auto"
    image: Annotated[str | None, told("The address of a picture.", "https://www.example.com/new.png")] = None
    video: Annotated[str | None, told("The address of a video file.", "https://www.example.com/new.mp4")] = None
    alt: Annotated[
        str | None, told("What the picture or video shows, for who does not see it; empty for mere decoration.")
    ] = None
    advance: Annotated[
        Advance | None, told("How the person goes on by doing it.", {"click": True}, minProperties=1, maxProperties=1)
    ] = None
    buttons: Annotated[
        list[StepButton], told("Branches, in the place of *Next*.", [{"label": "Yes"}], maxItems=MAX_BRANCHES)
    ] = []
    then: Annotated[
        Identifier | None, told("The `id` of the step that follows, or `end`. Left out: the next.", "invite")
    ] = None
    missing: Annotated[
        Literal["wait", "skip", "end", "center"],
        told("What to do when the target does not come within `timeout`: wait on, skip the step, end, or go without."),
    ] = "wait"
    timeout: Annotated[Duration, told("How long the target may take, at most a minute.", "5s")] = "5s"


class Labels(msgspec.Struct, forbid_unknown_fields=True):
    """The words on a tour's buttons."""

    next: str | None = None
    back: str | None = None
    close: str | None = None
    done: str | None = None


class Tour(msgspec.Struct, forbid_unknown_fields=True):
    """Stops on one page or several, one after the other."""

    steps: Annotated[list[Step], told("Its stops.", [{"target": "#new-project", "text": "Start here."}], minItems=1)]
    labels: Annotated[Labels | None, told("The words on its buttons.", {"done": "Let’s go"})] = None


class Turn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What follows what the person said."""

    text: Annotated[str | None, told("The answer, in Markdown.", "Most teams of up to ten take **Team**.")] = None
    article: Annotated[Identifier | None, told("The id of a help article to open.", "compare-plans")] = None
    url: Annotated[str | None, told("A page to open.", "https://www.example.com/plans")] = None
    handoff: Annotated[bool, told("Ask for a person.", True)] = False
    replies: Annotated[
        list["Reply"],
        told(
            "The buttons from here on. Left out: those of the beginning that are left.",
            [{"label": "For one"}, {"label": "For many"}],
        ),
    ] = []
    input: Annotated["Input | None", told("From here on the person may type, and this follows.", {"handoff": True})] = (
        None
    )


class Reply(Turn, forbid_unknown_fields=True, kw_only=True):
    """A button below a chat, and what follows."""

    label: Annotated[str, told("The words on the button.", "Compare the plans")]


class Input(Turn, forbid_unknown_fields=True, kw_only=True):
    """A field to type into, and what follows what is typed."""

    placeholder: Annotated[str | None, told("The words in the empty field.", "Ask anything")] = None
    search: Annotated[
        bool,
        told("First the help articles on it are offered; this follows when there are none, or none of them helps."),
    ] = False


class Chat(msgspec.Struct, forbid_unknown_fields=True):
    """A prompt with answers to choose from, or to type; with the first of them a conversation begins."""

    text: Annotated[str, told("Markdown, with Liquid.", "Shall I help you choose?")]
    replies: Annotated[list[Reply], told("Its buttons.", [{"label": "Not now"}])] = []
    input: Annotated[
        Input | None, told("The person may type, and this follows.", {"text": "Thank you, we will look into it."})
    ] = None
    open: Annotated[bool, told("Left closed, it waits behind its launcher with a badge: it interrupts nobody.")] = True
    launcher: Annotated[
        bool, told("Whether a conversation that is closed waits behind a launcher; else closing ends it.")
    ] = True


class ArticleTeaser(msgspec.Struct, forbid_unknown_fields=True):
    """A help article, suggested."""

    article: Annotated[Identifier, told("The id of the help article.", "export-troubles")]
    title: Annotated[str | None, told("Its heading. Left out: the article's own.")] = None
    text: Annotated[str | None, told("A teaser, in Markdown.")] = None


class Action(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A button that completes the message: it goes to `url`, opens `article`, or does nothing more."""

    label: Annotated[str, told("The words on the button.", "See what is new")]
    url: Annotated[str | None, told("A page to open.", "/whats-new")] = None
    article: Annotated[Identifier | None, told("The id of a help article to open.", "export-troubles")] = None


Actions = Annotated[
    list[Action], told("Its buttons, the first in colour.", [{"label": "Got it"}], maxItems=MAX_ACTIONS)
]


class Banner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A line at the edge of the window, or within the page."""

    text: Annotated[str, told("Markdown, with Liquid.", "Reports can now be **scheduled**.")]
    title: Annotated[str | None, told("Its heading.")] = None
    position: Annotated[Literal["top", "bottom"], told("At which edge of the window.")] = "top"
    into: Annotated[
        str | None, told("The element at whose start it stands, in place of the edge: as a `target`.", "main")
    ] = None
    dismissible: Annotated[bool, told("Whether it can be closed. If not, it needs `actions`.", False)] = True
    actions: Actions = []


class Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One question with one field. The answer is reported as `Message Clicked` with `field` and `value`."""

    label: Annotated[str, told("The question.", "Where shall we send the report?")]
    name: Annotated[Identifier | None, told("What the answer is called. Left out: `value`.", "email")] = None
    type: Annotated[Literal["text", "email", "number", "tel", "url"], told("What is asked for.", "email")] = "text"
    placeholder: Annotated[str | None, told("An example, in the empty field.", "you@example.com")] = None
    required: Annotated[bool, told("Whether it can be sent empty.", False)] = True
    thanks: Annotated[str | None, told("What is said then, in Markdown. Left out: the modal closes.")] = None


class ModalLabels(msgspec.Struct, forbid_unknown_fields=True):
    """The words on a modal's buttons."""

    close: str | None = None
    send: str | None = None


class Modal(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A window in front of the page: with a `title`, a `text`, an `image` or a `video`."""

    title: Annotated[str | None, told("Its heading.", "Meet the new dashboard")] = None
    text: Annotated[str | None, told("Markdown, with Liquid.")] = None
    image: Annotated[str | None, told("The address of a picture.", "https://www.example.com/new.png")] = None
    alt: Annotated[
        str | None, told("What the picture or video shows, for who does not see it; empty for mere decoration.")
    ] = None
    video: Annotated[str | None, told("The address of a video file.", "https://www.example.com/new.mp4")] = None
    form: Annotated[Form | None, told("One question with one field.")] = None
    actions: Actions = []
    labels: Annotated[ModalLabels | None, told("The words on its buttons.", {"send": "Subscribe"})] = None


class Tooltip(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A card beside an element of the page; as a `hotspot` it opens from a dot on it."""

    target: Annotated[str, told(_TARGET, "#export", "text=Export")]
    text: Annotated[str, told("Markdown, with Liquid.", "Exports are **twice as fast** now.")]
    title: Annotated[str | None, told("Its heading.")] = None
    placement: Annotated[
        Literal["auto", "top", "right", "bottom", "left"], told("On which side of its target it stands.")
    ] = "auto"
    hotspot: Annotated[bool, told("A dot that opens it.", True)] = False
    actions: Actions = []


class Item(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One thing to do. `url`, `article` or `tour` is what its button leads to."""

    id: Annotated[Identifier, told("What `done` and events call it; the same in every locale.", "create")]
    label: Annotated[str, told("What is to be done.", "Create a project")]
    text: Annotated[str | None, told("More about it, in Markdown.")] = None
    url: Annotated[str | None, told("A page to open.", "/projects/new")] = None
    article: Annotated[Identifier | None, told("The id of a help article to open.", "first-project")] = None
    tour: Annotated[Identifier | None, told("The id of a message of kind `tour` to start.", "create-project")] = None


class Checklist(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Things to do, ticked off as they are done; it stays, on every page and device, until all is done or it is dismissed."""

    title: Annotated[str, told("Its heading, and the words on its launcher.", "Get started")]
    items: Annotated[
        list[Item],
        told("What is to be done.", [{"id": "create", "label": "Create a project"}], minItems=1, maxItems=MAX_ITEMS),
    ]
    text: Annotated[str | None, told("A few words below the heading, in Markdown.")] = None
    thanks: Annotated[str | None, told("What is said when all is done, in Markdown.")] = None


class FollowUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The answer to an earlier question."""

    question: Annotated[str, told("The earlier question: its `id`, else its number from 1.", "score")]
    is_: Annotated[
        int | str | list[int | str] | None, told("It was answered with this, or with one of these.", ["Price"])
    ] = msgspec.field(default=None, name="is")
    at_least: Annotated[int | None, told("The number is this or higher.", 9)] = None
    at_most: Annotated[int | None, told("The number is this or lower.", 6)] = None


class Question(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One question of a survey. The answer is reported as `Survey Answered` with `question`, `type` and `answer`."""

    type: Annotated[
        Literal["nps", "csat", "ces", "choice", "choices", "text"],
        told("A scale (`nps` 0 to 10, `csat` 1 to 5, `ces` 1 to 7), one of a list, several of it, or free text."),
    ]
    text: Annotated[str, told("The question, in Markdown.", "How likely are you to recommend us?")]
    id: Annotated[Identifier | None, told("What answers call it. Left out: its number from 1.", "score")] = None
    options: Annotated[
        list[str], told("What can be chosen.", ["Price", "Something is missing"], maxItems=MAX_OPTIONS)
    ] = []
    low: Annotated[str | None, told("The words at the low end of a scale.", "Not at all")] = None
    high: Annotated[str | None, told("The words at the high end of a scale.", "Very much")] = None
    placeholder: Annotated[str | None, told("An example, in the empty field of free text.")] = None
    optional: Annotated[bool, told("Whether it can be skipped.", True)] = False
    when: Annotated[
        FollowUp | None, told("It is asked only after this answer.", {"question": "score", "at_most": 6})
    ] = None


class SurveyLabels(msgspec.Struct, forbid_unknown_fields=True):
    """The words on a survey's buttons."""

    close: str | None = None
    next: str | None = None
    skip: str | None = None
    send: str | None = None


class Survey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Questions, one after the other."""

    questions: Annotated[
        list[Question],
        told("What is asked.", [{"type": "nps", "text": "…"}], minItems=1, maxItems=MAX_QUESTIONS),
    ]
    thanks: Annotated[str | None, told("What is said at the end, in Markdown.", "Thank you, **that helps**.")] = None
    labels: Annotated[SurveyLabels | None, told("The words on its buttons.", {"send": "That is all"})] = None


CONTENT: Final[dict[str, type[msgspec.Struct]]] = {
    "tour": Tour,
    "chat": Chat,
    "article": ArticleTeaser,
    "banner": Banner,
    "modal": Modal,
    "tooltip": Tooltip,
    "checklist": Checklist,
    "survey": Survey,
}


def check_message(message: Message, report: Report) -> None:
    """Everything about a message that its Struct does not say."""
    if message.expires is not None:
        duration_at(message.expires, ("expires",), report, 1)
    if message.show_on is not None:
        _check_paths(message.show_on.path, report)
    wanted, sound = CONTENT.get(message.kind), True
    for locale, content in message.content.items():
        path: Path = ("content", locale)
        if not _LOCALE.fullmatch(locale):
            report.add(("content",), f"Expected a locale like `en` or `pt-BR`, got `{locale[:40]}`", key=locale)
        if wanted is not None:
            before = len(report.problems)
            check_shape(content, wanted, path, report)
            if len(report.problems) == before:
                _check_whole(msgspec.convert(content, wanted), path, report)
            else:
                sound = False
        if message.kind == "tour" and content.get("steps") == []:
            report.add((*path, "steps"), "Expected at least one step, got none")
        for at, text in strings(content, path):
            _check_text(at, text, report)
    if sound:
        _check_done(message, report)


def _check_whole(content: msgspec.Struct, path: Path, report: Report) -> None:
    """What the fields of a content ask of one another."""
    actions = getattr(content, "actions", [])
    if len(actions) > MAX_ACTIONS:
        report.add((*path, "actions"), f"Expected at most {MAX_ACTIONS} buttons, got {len(actions)}")
    for index, action in enumerate(actions):
        if action.url is not None and action.article is not None:
            report.add((*path, "actions", index), "Expected `url` or `article`, got both")
    if isinstance(content, Banner) and not (content.dismissible or actions):
        report.add((*path, "dismissible"), "A banner that cannot be closed needs `actions`: it would stay for ever")
    if isinstance(content, Modal):
        if not (content.title or content.text or content.image or content.video):
            report.add(path, "Expected `title`, `text`, `image` or `video`: the window would be empty")
        _check_media(content, path, report)
    if isinstance(content, Chat):
        if not (content.open or content.launcher):
            report.add((*path, "launcher"), "A chat that is not open needs its launcher: nobody could see it")
        _check_turns(content, path, report)
    if isinstance(content, Tour):
        _check_steps(content.steps, (*path, "steps"), report)
    if isinstance(content, Checklist):
        _check_items(content.items, (*path, "items"), report)
    if isinstance(content, Survey):
        _check_questions(content.questions, (*path, "questions"), report)


def _check_media(content: Modal | Step, path: Path, report: Report) -> None:
    if content.image and content.video:
        report.add((*path, "image"), "Expected an `image` or a `video`, got both")
    if content.image and content.alt is None:
        report.add((*path, "image"), 'A picture needs `alt`: what it shows, in words ("" for mere decoration)')


def _check_turns(at: Chat | Turn, path: Path, report: Report, level: int = 1) -> None:
    if level > MAX_TURNS:
        report.add(path, f"Expected a chat of at most {MAX_TURNS} turns one after the other, got more")
        return
    for index, reply in enumerate(at.replies):
        _check_turns(reply, (*path, "replies", index), report, level + 1)
    if at.input is None:
        return
    inner = (*path, "input")
    if not (at.input.text or at.input.handoff or at.input.article or at.input.url or at.input.replies):
        report.add(inner, "Expected `text`, `handoff`, `article`, `url` or `replies`: who types gets no answer")
    _check_turns(at.input, inner, report, level + 1)


def _check_steps(steps: list[Step], path: Path, report: Report) -> None:
    ids = [step.id for step in steps if step.id is not None]
    for index, step in enumerate(steps):
        at = (*path, index)
        _check_media(step, at, report)
        if step.id is not None:
            check_reference(step.id, (*at, "id"), report)
            if step.id == END or ids.count(step.id) > 1:
                why = "`end` is the end of the tour" if step.id == END else f"The step `{step.id}` is there twice"
                report.add((*at, "id"), why)
        if len(step.buttons) > MAX_BRANCHES:
            report.add((*at, "buttons"), f"Expected at most {MAX_BRANCHES} buttons, got {len(step.buttons)}")
        goes = [(("then",), step.then), *((("buttons", n, "to"), button.to) for n, button in enumerate(step.buttons))]
        for place, to in goes:
            if to is not None and to not in (*ids, END):
                report.add((*at, *place), f"Expected the `id` of a step or `end`, got `{to[:60]}`{nearest(to, ids)}")
        if step.path is not None:
            _check_page(step.path, (*at, "path"), report)
        if step.advance is not None:
            _check_advance(step, step.advance, (*at, "advance"), report)
        timeout = duration_at(step.timeout, (*at, "timeout"), report, 1)
        if timeout > MAX_TIMEOUT:
            report.add((*at, "timeout"), f"Expected at most a minute, got `{step.timeout}`")


def _check_items(items: list[Item], path: Path, report: Report) -> None:
    if not 1 <= len(items) <= MAX_ITEMS:
        report.add(path, f"Expected 1 to {MAX_ITEMS} items, got {len(items)}")
    ids = [item.id for item in items]
    for index, item in enumerate(items):
        check_reference(item.id, (*path, index, "id"), report)
        if ids.count(item.id) > 1:
            report.add((*path, index, "id"), f"The item `{item.id}` is there twice")
        if item.tour is not None:
            check_reference(item.tour, (*path, index, "tour"), report)
        if sum(where is not None for where in (item.url, item.article, item.tour)) > 1:
            report.add((*path, index), "Expected one of `url`, `article` and `tour`, got several")


def items_of(message: Message) -> list[str]:
    """The ids of a checklist's items, in the order of its first locale; nothing for other kinds."""
    content = next(iter(message.content.values()))
    return [item["id"] for item in content["items"]] if message.kind == "checklist" else []


def done_of(message: Message, item: str) -> Any:
    """The condition that ticks an item off: as the message says, else that the person has done so."""
    told_by = {"and": [
        {"==": [{"var": "event.properties.message_id"}, message.id]},
        {"==": [{"var": "event.properties.item"}, item]},
    ]}  # fmt: skip
    return (message.done or {}).get(item, {"did": ["Checklist Item Completed", {"where": told_by}]})


def _check_done(message: Message, report: Report) -> None:
    """A checklist has the same items in every locale, and `done` speaks of these."""
    if message.kind != "checklist":
        if message.done is not None and message.kind in CONTENT:
            report.add(("done",), f"A message of kind `{message.kind}` has no items")
        return
    ids = items_of(message)
    for locale, content in message.content.items():
        if sorted(item["id"] for item in content["items"]) != sorted(ids):
            report.add(("content", locale, "items"), f"Expected the same items in every locale: {', '.join(ids)}")
    for item, condition in (message.done or {}).items():
        if item not in ids:
            report.add(("done",), f"Expected the `id` of an item, got `{item[:60]}`{nearest(item, ids)}", key=item)
        read_condition(condition, ("done", item), report)


def _check_advance(step: Step, advance: Advance, path: Path, report: Report) -> None:
    given = [name for name in ("click", "input", "event", "path") if getattr(advance, name) is not None]
    if len(given) != 1:
        report.add(path, f"Expected one of `click`, `input`, `event` and `path`, got {' and '.join(given) or 'none'}")
    if step.target is None and (advance.click or advance.input is not None):
        report.add((*path, given[0]), "It needs a `target`: what the person presses or types into")
    if step.buttons:
        report.add(path, "Expected `advance` or `buttons`, got both")
    if advance.path is not None:
        _check_page(advance.path, (*path, "path"), report)
    if advance.input is not None:
        try:
            re.compile(advance.input)
        except re.error as error:
            report.add((*path, "input"), f"Expected a regular expression, got `{advance.input[:60]}`: {error}")


def _check_questions(questions: list[Question], path: Path, report: Report) -> None:
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        report.add(path, f"Expected 1 to {MAX_QUESTIONS} questions, got {len(questions)}")
    earlier: dict[str, Question] = {}
    for index, question in enumerate(questions):
        at = (*path, index)
        chosen = question.type in ("choice", "choices")
        if chosen and not 2 <= len(question.options) <= MAX_OPTIONS:
            report.add((*at, "options"), f"Expected 2 to {MAX_OPTIONS} options, got {len(question.options)}")
        if not chosen and question.options:
            report.add((*at, "options"), f"A question of type `{question.type}` has no options")
        if len(set(question.options)) < len(question.options):
            report.add((*at, "options"), "Expected different options, got one twice")
        for name in ("low", "high"):
            if getattr(question, name) is not None and question.type not in SCALES:
                report.add((*at, name), f"A question of type `{question.type}` has no scale")
        if question.id is not None:
            check_reference(question.id, (*at, "id"), report)
        if question.when is not None:
            _check_when(question.when, earlier, (*at, "when"), report)
        name = question.id or str(index + 1)
        if name in earlier:
            report.add((*at, "id"), f"The question `{name}` is there twice")
        earlier[name] = question


def _check_when(when: FollowUp, earlier: dict[str, Question], path: Path, report: Report) -> None:
    asked = earlier.get(when.question)
    if asked is None:
        report.add(
            (*path, "question"),
            f"Expected an earlier question, got `{when.question[:60]}`{nearest(when.question, earlier)}",
        )
        return
    if when.is_ is None and when.at_least is None and when.at_most is None:
        report.add(path, "Expected `is`, `at_least` or `at_most`, got none of them")
    scale = SCALES.get(asked.type)
    for name in ("at_least", "at_most"):
        if getattr(when, name) is not None and scale is None:
            report.add((*path, name), f"The question `{when.question}` is of type `{asked.type}` and has no scale")
    wanted = when.is_ if isinstance(when.is_, list) else [] if when.is_ is None else [when.is_]
    for value in wanted:
        if scale is not None and not (isinstance(value, int) and scale[0] <= value <= scale[1]):
            report.add((*path, "is"), f"Expected a number from {scale[0]} to {scale[1]}, got `{value}`")
        if asked.options and value not in asked.options:
            report.add((*path, "is"), f"Expected one of the options, got `{value}`{nearest(str(value), asked.options)}")


def _check_paths(paths: str | list[str], report: Report) -> None:
    for index, glob in enumerate([paths] if isinstance(paths, str) else paths):
        _check_page(glob, ("show_on", "path") if isinstance(paths, str) else ("show_on", "path", index), report)


def _check_page(glob: str, path: Path, report: Report) -> None:
    """A path begins with a slash, a whole address with its scheme, and has a slash behind its host: another glob would match no page."""
    if re.match(PAGE, glob) is None:
        host, slash, _ = glob.partition("/")
        meant = f"https://{glob}" if slash and "." in host else f"/{glob}"
        if re.match(r"https?://[^/]", glob):
            meant = f"{glob}/"
        wanted = "a path that begins with `/`, or an address with `https://`"
        report.add(path, f"Expected {wanted}, got `{glob[:60]}`; did you mean `{meant[:68]}`?")


def strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every string in a JSON value, with its path. Does not recurse."""
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, dict):
            waiting += [((*at, key), inner) for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [((*at, index), inner) for index, inner in enumerate(item)]


def articles_in(content: Any, path: Path) -> list[tuple[Path, str]]:
    """Every article that a content names, or links to, with its path."""
    found: list[tuple[Path, str]] = []
    for at, text in strings(content, path):
        found += [(at, text)] if at[-1] == "article" else [(at, name) for name in _ARTICLE_LINK.findall(text)]
    return found


def tours_in(content: Any, path: Path = ("content",)) -> list[tuple[Path, str]]:
    """Every tour that a checklist's items start, with its path."""
    return [(at, text) for at, text in strings(content, path) if at[-1] == "tour"]


def unsafe_scheme(url: str) -> str | None:
    """The scheme of a link that must not be followed; None for https, mailto and relative links."""
    match = _SCHEME.match(_BLANK.sub("", url))
    if match is None or match[1].lower() in SCHEMES:
        return None
    return match[1].lower()


def _check_text(path: Path, text: str, report: Report) -> None:
    key = path[-1]
    if key == "article":
        check_reference(text, path, report)
    links = [text] if key in LINK_FIELDS else [one or two or three for one, two, three in _MARKDOWN_LINK.findall(text)]
    for link in links:
        scheme = unsafe_scheme(link)
        if scheme is not None:
            report.add(
                path, f"Expected a link with https:, mailto: or none of these (within the site), got `{scheme[:40]}:`"
            )
        elif _BARE_HOST.match(link):
            told = f"`{link[:60]}` is a place within the site, as it has no `https://`"
            report.add(path, f"{told}; did you mean `https://{link[:60]}`?", "warning")
