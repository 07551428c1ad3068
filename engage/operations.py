"""The operations of the HTTP surface, one after the other. How to add one: see `engage.openapi`."""

from functools import cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from engage import answers as a
from engage.api import MAX_RECORDS, MAX_WAIT, USUAL_RECORDS
from engage.audit_api import MOST as MAX_ENTRIES
from engage.audit_api import USUAL as USUAL_ENTRIES
from engage.audit_api import Page
from engage.backtest_api import BacktestRequest
from engage.backtest_runs import ENDED, Run
from engage.calls import CALLS
from engage.dead_letters import ID_PATTERN as LETTER_ID
from engage.dead_letters import KINDS as LETTERS
from engage.differing import LIVE
from engage.erasing import Erased
from engage.ingest import METRICS_PATH, ROUTES
from engage.openapi import Answer, Operation, Parameter, document
from engage.public import MOST_HITS, USUAL_HITS, Claim, Release
from engage.published import Snapshot
from engage.query import MOST
from engage.rulebook_api import MAX_LISTED, USUAL_LISTED, Push, Rollback
from engage.sdk import LOADER
from rules import KINDS, LANGUAGES, Explanation
from rules.documents import Identifier

_TRACKING, _DELIVERY, _DEFINITIONS, _PUBLISHING = "Tracking", "Delivery", "Definitions", "Publishing"
_PEOPLE, _BACKTESTS, _STATISTICS, _OPERATING = "People", "Back-tests", "Statistics", "Operating"


def _path(name: str, type: Any, description: str, example: Any) -> Parameter:
    return Parameter(name, type, description, example, "path")


def _number(least: float, most: float, kind: type = int) -> Any:
    return Annotated[kind, Meta(ge=least, le=most)]


def _events(names: list[str], data: str) -> dict[str, Any]:
    """One event of a stream; `data` is JSON."""
    told = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"$ref": f"#/$defs/{data}"}}
    return {
        "title": f"{data}Event",
        "type": "object",
        "properties": {"event": {"enum": names}, "id": {"type": "string"}, "data": told},
        "required": ["event", "data"],
    }


_ANY_MOMENT: Final = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
_USER: Final = _path("id", str, "A userId or an anonymousId; a slash in it is written `%2F`.", "user-42")
_GROUP: Final = _path("id", str, "A groupId; a slash in it is written `%2F`.", "acme")
_BACKTEST: Final = _path("id", str, "The id of a back-test of the last 7 days.", "5f2b8c1e9d7a4036")
_DELIVERY_ID: Final = _path("delivery_id", str, "The id of a delivery.", "0a1b2c")
_WHO: Final = (
    Parameter("userId", str, "The user. One of `userId` and `anonymousId` at least.", "user-42"),
    Parameter("anonymousId", str, "The visitor before and beside the user.", "visitor-7"),
)
_PROOF: Final = (
    Parameter("userHash", str, "The proof of the userId, where identity verification asks for one."),
    Parameter("userToken", str, "Likewise, as a signed token."),
)
_RULEBOOK: Final = {"type": "integer", "minimum": 1, "maximum": MOST}


_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "track": {"userId": "user-42", "event": "Export Failed", "properties": {"format": "csv"}},
    "identify": {"userId": "user-42", "anonymousId": "visitor-7", "traits": {"plan": "trial"}},
    "page": {"anonymousId": "visitor-7", "properties": {"path": "/pricing"}},
    "screen": {"userId": "user-42", "properties": {"name": "Home"}},
    "group": {"userId": "user-42", "groupId": "acme", "traits": {"plan": "enterprise"}},
    "alias": {"userId": "user-42", "previousId": "visitor-7"},
}
_ONE: Final = {"batch": [{"type": kind, **call} for kind, call in _EXAMPLES.items()]}


def _tracking() -> list[Operation]:
    return [_call(path) for path in ROUTES]


def _call(path: str) -> Operation:
    kind, word = ROUTES[path], path.removeprefix("/v1/").strip("/").replace("/v1/", "_")
    name = f"short_{word}" if len(word) == 1 else word
    if path == METRICS_PATH:
        return Operation(
            method="POST", path=path, name=name, tag=_TRACKING, access="none",
            summary="Take the browser library's own metrics, which are not kept",
            answers=[Answer(200, "Taken.", a.Accepted)], body={}, needs_body=False, examples={"nothing": {}},
        )  # fmt: skip
    if kind is None:
        return Operation(
            method="POST", path=path, name=name, tag=_TRACKING, access="page or server",
            summary="Send a batch of calls",
            description="One result for each, in order: a good event is never lost because of a bad neighbour. JSON, whatever the content type; "
            "`gzip` and `deflate` are taken.",
            body={"$ref": "#/$defs/Batch"}, examples={"one": _ONE},
            answers=[
                Answer(200, "What was taken is on disk.", a.BatchResult),
                Answer(400, "Nothing could be taken: no batch, or no event of it could be read.", (a.BatchResult, a.Error)),
            ],
        )  # fmt: skip
    return Operation(
        method="POST", path=path, name=name, tag=_TRACKING, access="page or server",
        summary=f"Send a `{kind}` call",
        description="JSON, whatever the content type; `gzip` and `deflate` are taken.",
        body={"$ref": f"#/$defs/{CALLS[kind]['title']}"}, examples={"short": _EXAMPLES[kind]},
        answers=[Answer(200, "It is on disk.", a.Accepted)],
    )  # fmt: skip


_PAGE: Final = [
    Operation(
        method="GET", path="/v1/stream", name="stream", tag=_DELIVERY, access="page",
        summary="Follow a person's deliveries as Server-Sent Events",
        description="Each is `event: message` with an `id`, and as data one `Delivery`. It does not end; reconnected with `Last-Event-ID` it misses "
        "nothing.",
        parameters=[
            *_WHO, *_PROOF,
            Parameter("lastEventId", str, "As the header, for clients that cannot set it."),
            Parameter("Last-Event-ID", str, "The `id` of the last event that came.", place="header"),
        ],
        answers=[Answer(200, "The stream.", _events(["message"], "Delivery"), "text/event-stream")],
    ),
    Operation(
        method="GET", path="/v1/inbox", name="inbox", tag=_DELIVERY, access="page",
        summary="Read a person's pending deliveries", parameters=[*_WHO, *_PROOF],
        answers=[Answer(200, "All that wait to be shown.", a.Inbox)],
    ),
    Operation(
        method="POST", path="/v1/deliveries/{delivery_id}/claim", name="claim", tag=_DELIVERY, access="page",
        summary="Claim a delivery, just before it is shown",
        parameters=[_DELIVERY_ID, Parameter("userId", str, "As in the body."), *_PROOF], body=Claim, needs_body=False,
        answers=[Answer(200, "Whether it is yours.", a.Claimed)], errors=[404],
    ),
    Operation(
        method="POST", path="/v1/deliveries/{delivery_id}/release", name="release", tag=_DELIVERY, access="page",
        summary="Give a claimed delivery back: it could not be shown after all, goes on elsewhere, or the person wants to be reminded later",
        description="With `step` it comes again at once, with `shown` and that step: so a tour goes on where the browser keeps nothing of it, on "
        "another host. With `snooze` it comes again after the time that its rule sets, and cannot be claimed before. Where it is not known whether "
        "either arrived, the same with the delivery's `turn` may be sent again: it takes nothing from whoever claimed it since.",
        parameters=[_DELIVERY_ID, Parameter("userId", str, "As in the body."), *_PROOF], body=Release, needs_body=False,
        answers=[Answer(200, "Whether there was something to give back.", a.Released)], errors=[404],
    ),
    Operation(
        method="GET", path="/v1/articles", name="searchArticles", tag=_DELIVERY, access="page",
        summary="Search the help articles",
        parameters=[
            Parameter("q", str, "The words to look for; the last may be half typed. Left out: the first articles there are.", "guide"),
            Parameter("locale", str, "The wanted language; of each article the nearest there is is searched.", "ja"),
            Parameter("limit", _number(1, MOST_HITS), f"How many at most. Left out: {USUAL_HITS}.", USUAL_HITS),
        ],
        answers=[Answer(200, "What was found.", a.ArticlesFound)],
    ),
    Operation(
        method="GET", path="/v1/articles/{article_id}", name="article", tag=_DELIVERY, access="page",
        summary="Read a help article",
        parameters=[
            _path("article_id", str, "The article's id.", "guide"),
            Parameter("locale", str, "The wanted language; the nearest there is comes.", "ja"),
        ],
        answers=[Answer(200, "The article.", a.ArticleText)], errors=[404],
    ),
    Operation(
        method="GET", path="/v1/projects/{write_key}/settings", name="clientSettings", tag=_DELIVERY, access="none",
        summary="Load the settings of Segment's browser library",
        parameters=[_path("write_key", str, "The write key.", "wk_example")],
        answers=[Answer(200, "Its settings.", a.ClientSettings)], errors=[404],
    ),
    Operation(
        method="GET", path="/v1/projects/{write_key}/theme.css", name="theme", tag=_DELIVERY, access="none",
        summary="Load the project's theme, as a style sheet",
        description="Custom properties, of what the project's document says under `theme`; an empty one where it says nothing.",
        parameters=[
            _path("write_key", str, "The write key.", "wk_example"),
            Parameter("If-None-Match", str, "An ETag.", place="header"),
        ],
        answers=[
            Answer(200, "The style sheet.", media="text/css", headers={"ETag": "Its version."}),
            Answer(304, "It is the version that is known."),
        ],
        errors=[404],
    ),
    Operation(
        method="GET", path="/sdk/{name}", name="snippetFile", tag=_DELIVERY, access="none",
        summary="Load the snippet, or a part of it",
        parameters=[_path("name", str, "The file's name.", LOADER), Parameter("If-None-Match", str, "An ETag.", place="header")],
        answers=[
            Answer(200, "The file.", media="text/javascript", headers={"ETag": "The file's version."}),
            Answer(304, "It is the version that is known."),
        ],
        errors=[404],
    ),
]  # fmt: skip


def _documents() -> list[Operation]:
    found = []
    for group, live in a.LIVE.items():
        one = group if group == "project" else group.removesuffix("s")
        name = _path("id", Identifier, "The document's id.", "guide" if group == "articles" else "hello")
        listed = {
            "rules": "listRules",
            "messages": "listMessages",
            "segments": "listSegments",
            "articles": "listArticles",
        }
        found += [
            Operation(
                method="GET", path=f"/api/{group}", name=listed.get(group, "listProject"), tag=_DEFINITIONS, access="server",
                summary=f"Read the live {group}", answers=[Answer(200, f"The {group}, and the rulebook's version.", live)],
            ),
            Operation(
                method="GET", path=f"/api/{group}/{{id}}", name=f"get{one.title()}", tag=_DEFINITIONS, access="server",
                summary=f"Read one of the live {group}", parameters=[name],
                answers=[Answer(200, "The document.", a.DOCUMENTS[group])], errors=[404],
            ),
            Operation(
                method="GET", path=f"/api/{group}/{{id}}/versions", name=f"list{one.title()}Versions", tag=_PUBLISHING,
                access="server", summary=f"Read every version of one of the {group}, live or removed", parameters=[name],
                answers=[Answer(200, "The versions.", a.Versions)], errors=[404],
            ),
        ]  # fmt: skip
    return found


_SERVER: Final = [
    Operation(
        method="GET", path="/api/schemas/{kind}.json", name="getSchema", tag=_DEFINITIONS, access="none",
        summary="Load the JSON Schema of a kind of document",
        parameters=[_path("kind", {"type": "string", "enum": list(KINDS)}, "The kind.", "rule")],
        answers=[Answer(200, "The schema.", dict[str, Any], "application/schema+json")], errors=[404],
    ),
    Operation(
        method="GET", path="/api/openapi.json", name="getOpenapi", tag=_DEFINITIONS, access="none",
        summary="Load this document", answers=[Answer(200, "This document.", dict[str, Any])],
    ),
    Operation(
        method="GET", path="/api/rulebooks", name="listRulebooks", tag=_PUBLISHING, access="server",
        summary="Read which rulebooks were published",
        parameters=[
            Parameter("before", _number(1, MOST), "Only those before this version."),
            Parameter("limit", _number(1, MAX_LISTED), f"How many at most; {USUAL_LISTED} where nothing is said.", 5),
        ],
        answers=[Answer(200, "The rulebooks.", a.Rulebooks)],
    ),
    Operation(
        method="POST", path="/api/rulebooks", name="publish", tag=_PUBLISHING, access="server",
        summary="Put files in place, take others away, and publish what follows, all or nothing",
        body=Push,
        examples={"article": {"base": 1, "author": "ci", "files": {"articles/guide.en.md": "# Guide\n\nRead this.\n"}}},
        answers=[
            Answer(200, "Nothing changes.", a.Published),
            Answer(201, "There is a new rulebook.", a.Published),
        ],
        errors=[404, 409, 422],
    ),
    Operation(
        method="GET", path="/api/rulebooks/{version}", name="getRulebook", tag=_PUBLISHING, access="server",
        summary="Read a rulebook with all its texts",
        parameters=[_path("version", {"anyOf": [_RULEBOOK, {"type": "string", "const": LIVE}]}, f"Its version, or `{LIVE}`.", LIVE)],
        answers=[Answer(200, "The rulebook.", Snapshot)], errors=[400, 404],
    ),
    Operation(
        method="POST", path="/api/rulebooks/{version}/rollback", name="rollBack", tag=_PUBLISHING, access="server",
        summary="Publish what an earlier rulebook held, as a new one",
        parameters=[_path("version", _RULEBOOK, "The version to go back to.", 1)], body=Rollback,
        examples={"of the first": {"base": 1}, "of the second": {"base": 2}},
        answers=[
            Answer(200, "Nothing changes.", a.Published),
            Answer(201, "There is a new rulebook.", a.Published),
        ],
        errors=[404, 409, 422],
    ),
    Operation(
        method="GET", path="/api/users/{id}", name="getUser", tag=_PEOPLE, access="server",
        summary="Read what is known of a user", parameters=[_USER], answers=[Answer(200, "The user.", a.User)], errors=[404],
    ),
    Operation(
        method="DELETE", path="/api/users/{id}", name="eraseUser", tag=_PEOPLE, access="server",
        summary="Remove a person under all their names, and prove it",
        parameters=[_path("id", str, "A userId or an anonymousId; a slash in it is written `%2F`.", "user-43")],
        answers=[Answer(200, "What was removed, and what a second look found.", Erased)], errors=[404, 409],
    ),
    Operation(
        method="GET", path="/api/users/{id}/export", name="exportUser", tag=_PEOPLE, access="server",
        summary="Read all there is of a user", parameters=[_USER], answers=[Answer(200, "All of it.", a.Export)], errors=[404],
    ),
    Operation(
        method="GET", path="/api/users/{id}/history", name="userHistory", tag=_PEOPLE, access="server",
        summary="Read what each event woke for a user, and what was decided; or wait for the next",
        description="Of somebody who is not known (yet) there are no records.",
        parameters=[
            _USER,
            Parameter(
                "after", Annotated[str, Meta(pattern=r"^[0-9]{1,15}-[0-9]{1,15}$")],
                "The cursor of an earlier reply; without one the newest records come.", "0-0",
            ),
            Parameter("limit", _number(1, MAX_RECORDS), f"How many at most; {USUAL_RECORDS} where nothing is said.", 10),
            Parameter("wait", _number(0, MAX_WAIT, float), "Seconds to wait while there is no record.", 0),
        ],
        answers=[Answer(200, "The records.", a.History)],
    ),
    Operation(
        method="GET", path="/api/users/{id}/explain/{rule}", name="explain", tag=_PEOPLE, access="server",
        summary="Read why a user got the message of a rule, or did not",
        parameters=[
            _USER, _path("rule", str, "The id of a live rule.", "hello"),
            Parameter("at", _ANY_MOMENT, "The moment; without one the newest.", "2030-01-01T00:00:00Z"),
            Parameter("lang", {"type": "string", "enum": list(LANGUAGES)}, "The language of the sentence.", "en"),
        ],
        answers=[Answer(200, "Why.", Explanation)], errors=[404],
    ),
    Operation(
        method="GET", path="/api/groups/{id}", name="getGroup", tag=_PEOPLE, access="server",
        summary="Read a group's traits", parameters=[_GROUP], answers=[Answer(200, "The group.", a.Group)], errors=[404],
    ),
    Operation(
        method="POST", path="/api/backtests", name="startBacktest", tag=_BACKTESTS, access="server",
        summary="Ask for a back-test", body=BacktestRequest, examples={"live": {"rule": "hello", "last": "1d"}},
        answers=[Answer(202, "It waits for a worker.", Run, headers={"Location": "Where it is told of."})], errors=[404, 422],
    ),
    Operation(
        method="GET", path="/api/backtests", name="listBacktests", tag=_BACKTESTS, access="server",
        summary="Read which back-tests there are", answers=[Answer(200, "The back-tests.", a.Backtests)],
    ),
    Operation(
        method="GET", path="/api/backtests/{id}", name="getBacktest", tag=_BACKTESTS, access="server",
        summary="Read a back-test with its result", parameters=[_BACKTEST], answers=[Answer(200, "The back-test.", Run)], errors=[404],
    ),
    Operation(
        method="DELETE", path="/api/backtests/{id}", name="cancelBacktest", tag=_BACKTESTS, access="server",
        summary="Cancel a back-test that waits or runs", parameters=[_BACKTEST],
        answers=[Answer(200, "The back-test, as it is now.", Run)], errors=[404],
    ),
    Operation(
        method="GET", path="/api/backtests/{id}/stream", name="followBacktest", tag=_BACKTESTS, access="server",
        summary="Follow a back-test as Server-Sent Events",
        description="`progress` with `{id, status, progress}`, and at the end an event named after the status, with the whole `Run`.",
        parameters=[_BACKTEST], answers=[Answer(200, "The stream; it ends with the run.", _events(["progress", *ENDED], "Run"), "text/event-stream")], errors=[404],
    ),
    Operation(
        method="GET", path="/api/stats", name="getStats", tag=_STATISTICS, access="server",
        summary="Read what became of each rule's matches", answers=[Answer(200, "The sums.", a.Stats)],
    ),
    Operation(
        method="GET", path="/api/identity", name="getIdentity", tag=_STATISTICS, access="server",
        summary="Read how many users come verified", answers=[Answer(200, "The figure.", a.IdentityFigure)],
    ),
    Operation(
        method="GET", path="/api/dead-letters", name="listDeadLetters", tag=_STATISTICS, access="server",
        summary="Read what could not be taken, decided or delivered, with the reason",
        parameters=[
            Parameter("kind", {"type": "string", "enum": list(LETTERS)}, "Only what became of it so."),
            Parameter("before", Annotated[str, Meta(pattern=LETTER_ID)], "Only those before this one: its id."),
            Parameter("limit", _number(1, MAX_RECORDS), f"How many at most; {USUAL_RECORDS} where nothing is said.", 5),
        ],
        answers=[Answer(200, "The letters, the newest first.", a.DeadLetters)],
    ),
    Operation(
        method="GET", path="/api/audit", name="listAudit", tag=_STATISTICS, access="server",
        summary="Read what was done with secret keys, and what was tried without",
        parameters=[
            Parameter("before", _number(1, MOST), "Only those before this entry: its number."),
            Parameter("limit", _number(1, MAX_ENTRIES), f"How many at most; {USUAL_ENTRIES} where nothing is said.", 5),
            Parameter("key", str, "Only those of the key with this id."),
            Parameter("user", str, "Only those that were about this user."),
        ],
        answers=[Answer(200, "The entries.", Page)],
    ),
]  # fmt: skip

_OPERATOR: Final = [
    Operation(
        method="GET", path="/healthz", name="healthz", tag=_OPERATING, access="none",
        summary="Ask whether the process answers", answers=[Answer(200, "It does.", a.Health)],
    ),
    Operation(
        method="GET", path="/readyz", name="readyz", tag=_OPERATING, access="none",
        summary="Ask whether it can take events",
        answers=[
            Answer(200, "It can.", a.Ready),
            Answer(503, "The store does not answer; or the process is full.", (a.Ready, a.Error)),
        ],
    ),
    Operation(
        method="GET", path="/metrics", name="metrics", tag=_OPERATING, access="none",
        summary="Read the metrics, for Prometheus", answers=[Answer(200, "The metrics.", media="text/plain")],
    ),
]  # fmt: skip

OPERATIONS: Final = (*_tracking(), *_PAGE, *_documents(), *_SERVER, *_OPERATOR)


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(OPERATIONS))
