"""What an author reads when a document is wrong: the place, what was expected, the nearest right name."""

import json
from itertools import combinations
from typing import Any

import pytest
from engine_helpers import message, problems_of, rule

from rules import Article, ArticleContent, Definitions, cross_check, parse, parse_article

RULE = {"id": "r", "trigger": "go", "message": "m"}
MESSAGE = {"id": "m", "kind": "banner", "content": {"en": {"text": "a"}}}
ITEM = {"id": "create", "label": "Create a project"}
NPS = {"type": "nps", "text": "How likely?", "id": "score"}
WHY = {"type": "choice", "text": "Why?", "options": ["Price", "Speed"]}


def _count(options: dict[str, Any]) -> dict[str, Any]:
    return {"count": ["page", options]}


RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"trigerr": 1}, "$.trigerr", "Unknown field `trigerr`; did you mean `trigger`?"),
    ({"message": 3}, "$.message", "Expected a text, got the number 3"),
    ({"priority": 101}, "$.priority", "Expected a whole number <= 100, got the number 101"),
    ({"priority": "high"}, "$.priority", "Expected a whole number, got the text `high`"),
    ({"frequency": {"max": "2", "per": "1d"}}, "$.frequency.max", "Expected a whole number, got the text `2`"),
    ({"frequency": 3}, "$.frequency", "Expected `always` or an object, got the number 3"),
    (
        {"schedule": {"days": ["mon", 3]}},
        "$.schedule.days[1]",
        "Expected `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, got the number 3",
    ),
    (
        {"id": "a b"},
        "$.id",
        "Expected letters, digits, `_`, `.` or `-` (at most 64, a letter or digit first), got `a b`",
    ),
    ({"snooze": "31d"}, "$.snooze", "Expected at most 30 days, got `31d`"),
    ({"snooze": "0s"}, "$.snooze", "Expected a duration longer than nothing"),
    ({"message": "../m"}, "$.message", "Expected the id of a document, got `../m`"),
    ({"trigger": []}, "$.trigger", "Expected the name of at least one event, got an empty array"),
    ({"trigger": ["a", 3]}, "$.trigger[1]", "Expected a text, got the number 3"),
    ({"trigger": {"after": "A", "without": "B"}}, "$.trigger", "Expected the field `within`, which is missing"),
    (
        {"trigger": {"after": "A", "witout": "B", "within": "1d"}},
        "$.trigger.witout",
        "Unknown field `witout`; did you mean `without`?",
    ),
    (
        {"trigger": {"after": "A", "without": "B", "within": "soon"}},
        "$.trigger.within",
        'Expected a duration like "20s", "30m", "1h30m", "7d" or milliseconds, got \'soon\'',
    ),
    (
        {"trigger": {"after": "A", "without": "B", "within": "1d"}, "delay": "1s"},
        "$.delay",
        "A rule on absence cannot be delayed; make `within` longer",
    ),
    (
        {"delay": "20 s"},
        "$.delay",
        'Expected a duration like "20s", "30m", "1h30m", "7d" or milliseconds, got \'20 s\'',
    ),
    ({"delay": "9999d"}, "$.delay", "Expected at most five years, got '9999d'"),
    ({"delay": {"iff": [1, 2]}}, "$.delay.iff", "Unknown operator `iff`; did you mean `if`?"),
    ({"frequency": "sometimes"}, "$.frequency", "Expected `always` or an object, got `sometimes`"),
    ({"frequency": {"max": 0, "per": "7d"}}, "$.frequency.max", "Expected a whole number >= 1, got the number 0"),
    (
        {"frequency": {"max": 1, "per": "sesion"}},
        "$.frequency.per",
        'Expected a duration like "20s", "30m", "1h30m", "7d" or milliseconds, got \'sesion\', or `session`, or `lifetime`',
    ),
    ({"holdout": 1.5}, "$.holdout", "Expected a number <= 1.0, got the number 1.5"),
    (
        {"frequency": {"max": 1, "per": "1d", "after_dismiss": "0s"}},
        "$.frequency.after_dismiss",
        "Expected a duration longer than nothing",
    ),
    ({"goal": {"event": "X", "within": "0s"}}, "$.goal.within", "Expected a duration longer than nothing"),
    ({"condition": {"a": 1, "b": 2}}, "$.condition", "Expected an object with one operator, got 2 fields: `a`, `b`"),
    ({"condition": {"coutn": ["page"]}}, "$.condition.coutn", "Unknown operator `coutn`; did you mean `count`?"),
    (
        {"condition": {"and": [True, {"lenght": "x"}]}},
        "$.condition.and[1].lenght",
        "Unknown operator `lenght`; did you mean `length`?",
    ),
    (
        {"condition": {"now": []}},
        "$.condition.now",
        'Unknown operator `now`: a rule has no clock of its own; read {"var": "now"}',
    ),
    ({"condition": {"segment": ""}}, "$.condition.segment", "Expected the id of one segment, got an empty string"),
    ({"condition": {"segment": ["a", "b"]}}, "$.condition.segment", "Expected the id of one segment, got an array"),
    (
        {"condition": {"sequence": []}},
        "$.condition.sequence",
        "Expected a list of steps and its options, got 0 arguments",
    ),
    (
        {"condition": {"sequence": ["A", {"within": "1h"}]}},
        "$.condition.sequence[0]",
        'Expected a list of 2 to 8 steps, as in {"sequence": [["A", "B"], {"within": "1h"}]}, got `A`',
    ),
    (
        {"condition": {"sequence": [["A"]]}},
        "$.condition.sequence[0]",
        'Expected a list of 2 to 8 steps, as in {"sequence": [["A", "B"], {"within": "1h"}]}, got 1 of them',
    ),
    (
        {"condition": {"sequence": [["A", {"evnt": "B"}]]}},
        "$.condition.sequence[0][1].evnt",
        "Unknown field `evnt` of `sequence` (it has `event`, `where`); did you mean `event`?",
    ),
    (
        {"condition": {"sequence": [["A", {"where": True}]]}},
        "$.condition.sequence[0][1]",
        "Expected the field `event`, which is missing",
    ),
    (
        {"condition": {"sequence": [["A", {"event": "B", "where": {"var": "user.id"}}]]}},
        "$.condition.sequence[0][1].where.var",
        "A `where` reads only the event it counts (event, page), got `user.id`",
    ),
    (
        {"condition": {"sequence": [["A", "B"], {"whithin": "1h"}]}},
        "$.condition.sequence[1].whithin",
        "Unknown option `whithin` of `sequence` (it has `within`); did you mean `within`?",
    ),
    ({"condition": {"seen": [[]]}}, "$.condition.seen[0]", "Expected the id of a message, or a list of them"),
    (
        {"condition": {"seen": ["m", "n"]}},
        "$.condition.seen[1]",
        'Several messages are given as one list: {"seen": [["A", "B"]]}',
    ),
    (
        {"condition": {"seen": ["m", {"what": "showed"}]}},
        "$.condition.seen[1].what",
        "Expected one of `shown`, `clicked`, `completed`, `dismissed`, got `showed`; did you mean `shown`?",
    ),
    (
        {"condition": {"seen": ["m", {"what": 7}]}},
        "$.condition.seen[1].what",
        "Expected one of `shown`, `clicked`, `completed`, `dismissed`, got the number 7",
    ),
    (
        {"condition": {">": [{"distinct": ["A"]}, 1]}},
        "$.condition.>[0].distinct",
        "Expected `of`, the variable whose values are counted (as `event.properties.name`), got nothing",
    ),
    (
        {"condition": {">": [{"distinct": ["A", {"of": "user.id"}]}, 1]}},
        "$.condition.>[0].distinct[1].of",
        "`of` reads only the event it counts (event, page), got `user.id`",
    ),
    (
        {"condition": {">": [{"distinct": ["A", {"of": "event.properties.list.0"}]}, 1]}},
        "$.condition.>[0].distinct[1].of",
        "Expected a variable such as `event.properties.name`, got `event.properties.list.0`",
    ),
    (
        {"condition": {">": [{"distinct": ["A", {"of": "event.name"}]}, {"var": "user.traits.n"}]}},
        "$.condition.>[0].distinct",
        "`distinct` must be compared with a constant number, so that the number of values it needs is bounded",
    ),
    (
        {"condition": {">": [{"distinct": ["A", {"of": "event.name"}]}, 5000]}},
        "$.condition.>[0].distinct",
        "This needs 5,001 values of every person; at most 1,000 are kept",
    ),
    (
        {"condition": {"+": [{"days_active": []}, 1]}},
        "$.condition.+[0].days_active",
        "`days_active` must be compared with a constant number, so that the number of values it needs is bounded",
    ),
    (
        {"condition": {">": [{"days_active": [{"timezone": "Asia/Tokio"}]}, 1]}},
        "$.condition.>[0].days_active[0].timezone",
        "Expected an IANA time zone such as `Asia/Tokyo`, got `Asia/Tokio`; did you mean `Asia/Tokyo`?",
    ),
    (
        {"condition": {">": [{"days_active": [{"timezone": "../etc/passwd"}]}, 1]}},
        "$.condition.>[0].days_active[0].timezone",
        "Expected an IANA time zone such as `Asia/Tokyo`, got `../etc/passwd`",
    ),
    (
        {"condition": "user.traits.plan == 1"},
        "$.condition",
        'Expected a condition: an object with one operator, such as {"==": [{"var": "page.path"}, "/"]}, got `user.traits.plan == 1`',
    ),
    (
        {"condition": [{"==": [1, 2]}]},
        "$.condition",
        'Expected a condition: an object with one operator, such as {"==": [{"var": "page.path"}, "/"]}, got an array',
    ),
    ({"condition": {"==": [1]}}, "$.condition", "`==` takes at least 2 arguments, not 1"),
    (
        {"condition": {"and": [{"in": [1, 2, 3]}]}},
        "$.condition.and[0]",
        "`in` reads exactly 2 arguments; the other 1 argument is never evaluated",
    ),
    ({"condition": {"var": "usr.id"}}, "$.condition.var", "Unknown variable `usr.id`; did you mean `user`?"),
    (
        {"condition": {"var": ["user.trait.plan"]}},
        "$.condition.var[0]",
        "Unknown variable `user.trait.plan`; did you mean `traits`?",
    ),
    (
        {"condition": {"var": "event.plan"}},
        "$.condition.var",
        "Unknown variable `event.plan`; did you mean `event.properties.plan`?",
    ),
    ({"condition": {"var": "now.day"}}, "$.condition.var", "`now` has no fields, got `now.day`"),
    ({"condition": {"var": "user.id.x"}}, "$.condition.var", "`user.id` has no fields, got `user.id.x`"),
    (
        {"condition": {"var": "@.x"}},
        "$.condition.var",
        "Unknown variable `@.x`; expected one of event, page, user, session, group, device, now",
    ),
    (
        {"condition": {"missing": ["usr.id"]}},
        "$.condition.missing[0]",
        "Unknown variable `usr.id`; did you mean `user`?",
    ),
    ({"condition": {"val": ["usr", "id"]}}, "$.condition.val", "Unknown variable `usr.id`; did you mean `user`?"),
    ({"condition": {"count": []}}, "$.condition.count", "Expected an event and its options, got 0 arguments"),
    (
        {"condition": {"did": ["A", "B"]}},
        "$.condition.did[1]",
        'Several events are given as one list: {"did": [["A", "B"]]}',
    ),
    ({"condition": {"did": [7]}}, "$.condition.did[0]", "Expected the name of an event, got the number 7"),
    (
        {"condition": {"did": [["A", ""]]}},
        "$.condition.did[0][1]",
        "Expected the name of an event, got an empty string",
    ),
    (
        {"condition": {"did": ["A", "7d"]}},
        "$.condition.did[1]",
        'Several events are given as one list: {"did": [["A", "B"]]}',
    ),
    ({"condition": {"did": ["A", 7]}}, "$.condition.did[1]", "Expected an object of options, got the number 7"),
    (
        {"condition": {"did": ["A", {"witin": "7d"}]}},
        "$.condition.did[1].witin",
        "Unknown option `witin` of `did` (it has `within`, `where`); did you mean `within`?",
    ),
    (
        {"condition": {"did": ["A", {"within": "0s"}]}},
        "$.condition.did[1].within",
        "Expected a window longer than nothing",
    ),
    ({"condition": {"did": ["A", {"where": None}]}}, "$.condition.did[1].where", "Expected a condition, got null"),
    (
        {"condition": {"did": ["A", {"where": {"var": "user.id"}}]}},
        "$.condition.did[1].where.var",
        "A `where` reads only the event it counts (event, page), got `user.id`",
    ),
    (
        {"condition": {"did": ["A", {"where": {"did": ["B"]}}]}},
        "$.condition.did[1].where.did",
        "A `where` cannot ask for history, got `did`",
    ),
    (
        {"condition": {"did": ["A", {"where": {"==": [1]}}]}},
        "$.condition.did[1].where",
        "`==` takes at least 2 arguments, not 1",
    ),
    (
        {"condition": {"seconds_since": ["A", {"first": 1}]}},
        "$.condition.seconds_since[1].first",
        "Expected true or false, got the number 1",
    ),
    (
        {"condition": {"some": [[1], {"did": ["A"]}]}},
        "$.condition.some[1].did",
        "`did` cannot stand inside an iteration; it does not depend on the item, move it out",
    ),
    (
        {"condition": {">": [{"+": [_count({"within": "1d"}), 1]}, 2]}},
        "$.condition.>[0].+[0].count",
        "A `count` within a window must be compared with a constant number, so that the history it needs is bounded",
    ),
    (
        {"condition": {">": [_count({"within": "1d"}), {"var": "user.traits.n"}]}},
        "$.condition.>[0].count",
        "A `count` within a window must be compared with a constant number, so that the history it needs is bounded",
    ),
    (
        {"condition": {">=": [_count({"within": "1d"}), 1000]}},
        "$.condition.>=[0].count",
        "This needs 1,001 timestamps of every person; at most 1,000 are kept",
    ),
    (
        {"schedule": {"start": "1.12.2026"}},
        "$.schedule.start",
        "Expected a day such as 2026-12-01, got `1.12.2026`",
    ),
    (
        {"schedule": {"start": "2026-12-02", "end": "2026-12-01"}},
        "$.schedule.end",
        "Expected a day from 2026-12-02 on, got `2026-12-01`",
    ),
    (
        {"schedule": {"hours": ["9:00", "18:00"]}},
        "$.schedule.hours[0]",
        "Expected a time of day such as 09:00, got `9:00`",
    ),
    (
        {"schedule": {"hours": ["09:00", "09:00"]}},
        "$.schedule.hours",
        "Expected two different times, got `09:00` twice",
    ),
    ({"schedule": {"days": []}}, "$.schedule.days", "Expected at least one day, got an empty array"),
    (
        {"schedule": {"timezone": "Asia/Tokio"}},
        "$.schedule.timezone",
        "Expected an IANA time zone such as `Asia/Tokyo`, got `Asia/Tokio`; did you mean `Asia/Tokyo`?, or `user` for the person's own",
    ),
]


@pytest.mark.parametrize(("fields", "path", "text"), RULES, ids=[f"{path} {text[:30]}" for _, path, text in RULES])
def test_a_rule_says_what_is_wrong(fields: dict[str, Any], path: str, text: str) -> None:
    found = [
        (problem.path.replace("['", ".").replace("']", ""), problem.message)
        for problem in problems_of("rule", RULE | fields)
    ]
    assert (path, text) in found, found


def nested(levels: int) -> dict[str, Any]:
    return {"replies": [{"label": "b", **(nested(levels - 1) if levels > 1 else {})}]}


MESSAGES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"kind": "tuor"},
        "$.kind",
        "Expected `tour`, `chat`, `article`, `banner`, `modal`, `tooltip`, `checklist`, `survey`, got `tuor`; did you mean `tour`?",
    ),
    ({"content": {}}, "$.content", "Expected an object that is not empty"),
    ({"content": {"en": "hi"}}, "$.content.en", "Expected an object, got the text `hi`"),
    (
        {"content": {"english!": {"text": "a"}}},
        "$.content.english!",
        "Expected a locale like `en` or `pt-BR`, got `english!`",
    ),
    ({"expires": "never"}, "$.expires", "Expected a duration"),
    ({"show_on": {"paths": "/"}}, "$.show_on.paths", "Unknown field `paths`; did you mean `path`?"),
    (
        {"show_on": {"path": "pricing"}},
        "$.show_on.path",
        "Expected a path that begins with `/`, or an address with `https://`, got `pricing`; did you mean `/pricing`?",
    ),
    (
        {"show_on": {"path": ["/a", "", "*"]}},
        "$.show_on.path[1]",
        "Expected a path that begins with `/`, or an address with `https://`, got ``; did you mean `/`?",
    ),
    (
        {"show_on": {"path": "docs.example.com/start"}},
        "$.show_on.path",
        "got `docs.example.com/start`; did you mean `https://docs.example.com/start`?",
    ),
    (
        {"show_on": {"path": "https://docs.example.com"}},
        "$.show_on.path",
        "got `https://docs.example.com`; did you mean `https://docs.example.com/`?",
    ),
    ({"show_on": {"path": "https://"}}, "$.show_on.path", "or an address with `https://`, got `https://`"),
    (
        {"kind": "tour", "content": {"en": {"steps": [{"text": "a", "path": "start"}]}}},
        "$.content.en.steps[0].path",
        "Expected a path that begins with `/`, or an address with `https://`, got `start`; did you mean `/start`?",
    ),
    (
        {"kind": "tour", "content": {"en": {"steps": [{"text": "a", "advance": {"path": "start"}}]}}},
        "$.content.en.steps[0].advance.path",
        "Expected a path that begins with `/`, or an address with `https://`, got `start`; did you mean `/start`?",
    ),
    ({"kind": "tour", "content": {"en": {"steps": []}}}, "$.content.en.steps", "Expected at least one step, got none"),
    (
        {"kind": "tour", "content": {"en": {"steps": [{"text": "a", "traget": "#x"}]}}},
        "$.content.en.steps[0].traget",
        "Unknown field `traget`; did you mean `target`?",
    ),
    (
        {"kind": "chat", "content": {"en": {"replies": []}}},
        "$.content.en",
        "Expected the field `text`, which is missing",
    ),
    (
        {"kind": "article", "content": {"en": {"article": "no such id!"}}},
        "$.content.en.article",
        "Expected the id of a document",
    ),
    (
        {"kind": "chat", "content": {"en": {"text": "a", "replies": [{"label": "b", "replies": [{"text": "c"}]}]}}},
        "$.content.en.replies[0].replies[0]",
        "Expected the field `label`, which is missing",
    ),
    (
        {"kind": "chat", "content": {"en": {"text": "a", "input": {"placeholder": "b"}}}},
        "$.content.en.input",
        "who types gets no answer",
    ),
    (
        {
            "kind": "chat",
            "content": {"en": {"text": "a", "replies": [{"label": "b", "input": {"text": "c", "lable": 1}}]}},
        },
        "$.content.en.replies[0].input.lable",
        "Unknown field `lable`",
    ),
    (
        {"kind": "chat", "content": {"en": {"text": "a", "open": False, "launcher": False}}},
        "$.content.en.launcher",
        "A chat that is not open needs its launcher",
    ),
    (
        {"kind": "chat", "content": {"en": {"text": "a", **nested(8)}}},
        "$.content.en" + ".replies[0]" * 8,
        "Expected a chat of at most 8 turns one after the other, got more",
    ),
    ({"kind": "banner", "content": {"en": {"txt": "a", "text": "b"}}}, "$.content.en.txt", "did you mean `text`?"),
    (
        {"kind": "banner", "content": {"en": {"text": "a", "position": "left"}}},
        "$.content.en.position",
        "Expected `top`, `bottom`, got `left`",
    ),
    (
        {"kind": "banner", "content": {"en": {"text": "a", "dismissible": False}}},
        "$.content.en.dismissible",
        "A banner that cannot be closed needs `actions`",
    ),
    (
        {"kind": "banner", "content": {"en": {"text": "a", "actions": [{"label": "x"}] * 3}}},
        "$.content.en.actions",
        "Expected at most 2 buttons, got 3",
    ),
    (
        {"kind": "modal", "content": {"en": {"text": "a", "actions": [{"label": "x", "url": "/", "article": "b"}]}}},
        "$.content.en.actions[0]",
        "Expected `url` or `article`, got both",
    ),
    ({"kind": "modal", "content": {"en": {"form": {"label": "a"}}}}, "$.content.en", "the window would be empty"),
    (
        {"kind": "modal", "content": {"en": {"image": "/a.png", "video": "/a.mp4", "alt": ""}}},
        "$.content.en.image",
        "Expected an `image` or a `video`, got both",
    ),
    ({"kind": "modal", "content": {"en": {"image": "/a.png"}}}, "$.content.en.image", "A picture needs `alt`"),
    (
        {"kind": "modal", "content": {"en": {"video": "data:video/mp4,x"}}},
        "$.content.en.video",
        "got `data:`",
    ),
    (
        {"kind": "modal", "content": {"en": {"title": "a", "form": {"label": "b", "type": "date"}}}},
        "$.content.en.form.type",
        "Expected `text`, `email`, `number`, `tel`, `url`, got `date`",
    ),
    ({"kind": "tooltip", "content": {"en": {"text": "a"}}}, "$.content.en", "Expected the field `target`"),
    *(
        ({"kind": "tour", "content": {"en": {"steps": steps}}}, f"$.content.en.steps{path}", said)
        for steps, path, said in (
            (
                [{"text": "a", "then": "lst"}, {"text": "b", "id": "last"}],
                "[0].then",
                "got `lst`; did you mean `last`?",
            ),
            (
                [{"text": "a", "buttons": [{"label": "b", "to": "no"}]}],
                "[0].buttons[0].to",
                "Expected the `id` of a step",
            ),
            ([{"text": "a", "buttons": [{"label": "b"}] * 4}], "[0].buttons", "Expected at most 3 buttons, got 4"),
            ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], "[1].id", "The step `x` is there twice"),
            ([{"text": "a", "id": "end"}], "[0].id", "`end` is the end of the tour"),
            (
                [{"text": "a", "advance": {}}],
                "[0].advance",
                "Expected one of `click`, `input`, `event` and `path`, got none",
            ),
            ([{"text": "a", "advance": {"event": "E", "path": "/"}}], "[0].advance", "got event and path"),
            ([{"text": "a", "advance": {"click": True}}], "[0].advance.click", "It needs a `target`"),
            (
                [{"text": "a", "target": "b", "advance": {"input": "("}}],
                "[0].advance.input",
                "Expected a regular expression",
            ),
            (
                [{"text": "a", "advance": {"event": "E"}, "buttons": [{"label": "b"}]}],
                "[0].advance",
                "or `buttons`, got both",
            ),
            ([{"text": "a", "timeout": "2m"}], "[0].timeout", "Expected at most a minute, got `2m`"),
            ([{"text": "a", "timeout": "soon"}], "[0].timeout", "soon"),
            ([{"text": "a", "missing": "wiat"}], "[0].missing", "Expected"),
            ([{"text": "a", "image": "/a.png"}], "[0].image", "A picture needs `alt`"),
            ([{"text": "a", "advance": {"event": "E", "when": 1}}], "[0].advance.when", "Unknown field `when`"),
        )
    ),
    ({"kind": "survey", "content": {"en": {"questions": []}}}, "$.content.en.questions", "Expected 1 to 20 questions"),
    *(
        ({"kind": "survey", "content": {"en": {"questions": questions}}}, f"$.content.en.questions{path}", said)
        for questions, path, said in (
            (
                [{"type": "stars", "text": "a"}],
                "[0].type",
                "Expected `nps`, `csat`, `ces`, `choice`, `choices`, `text`",
            ),
            ([{"type": "choice", "text": "a", "options": ["x"]}], "[0].options", "Expected 2 to 20 options, got 1"),
            ([{"type": "nps", "text": "a", "options": ["x", "y"]}], "[0].options", "type `nps` has no options"),
            ([{"type": "choice", "text": "a", "options": ["x", "x"]}], "[0].options", "got one twice"),
            ([{"type": "text", "text": "a", "low": "x"}], "[0].low", "type `text` has no scale"),
            ([{"type": "nps", "text": "a", "id": "a b"}], "[0].id", "Expected the id of a document"),
            ([NPS, NPS], "[1].id", "The question `score` is there twice"),
            ([NPS | {"when": {"question": "score", "is": 1}}], "[0].when.question", "Expected an earlier question"),
            ([NPS, WHY | {"when": {"question": "scor", "is": 1}}], "[1].when.question", "did you mean `score`?"),
            ([NPS, WHY | {"when": {"question": "score"}}], "[1].when", "got none of them"),
            ([NPS, WHY | {"when": {"question": "score", "is": 11}}], "[1].when.is", "a number from 0 to 10, got `11`"),
            (
                [WHY, NPS | {"when": {"question": "1", "at_most": 3}}],
                "[1].when.at_most",
                "type `choice` and has no scale",
            ),
            ([WHY, NPS | {"when": {"question": "1", "is": "Prize"}}], "[1].when.is", "did you mean `Price`?"),
        )
    ),
    *(
        ({"kind": "checklist", **fields}, path, said)
        for fields, path, said in (
            ({"content": {"en": {"title": "a", "items": []}}}, "$.content.en.items", "Expected 1 to 20 items, got 0"),
            (
                {"content": {"en": {"title": "a", "items": [ITEM, ITEM]}}},
                "$.content.en.items[0].id",
                "`create` is there twice",
            ),
            (
                {"content": {"en": {"title": "a", "items": [ITEM | {"id": "a b"}]}}},
                "$.content.en.items[0].id",
                "Expected the id",
            ),
            (
                {"content": {"en": {"title": "a", "items": [ITEM | {"url": "/", "tour": "t"}]}}},
                "$.content.en.items[0]",
                "Expected one of `url`, `article` and `tour`, got several",
            ),
            (
                {
                    "content": {
                        "en": {"title": "a", "items": [ITEM]},
                        "ja": {"title": "a", "items": [ITEM | {"id": "other"}]},
                    }
                },
                "$.content.ja.items",
                "Expected the same items in every locale: create",
            ),
            (
                {"content": {"en": {"title": "a", "items": [ITEM]}}, "done": {"creat": {"did": ["A"]}}},
                "$.done",
                "got `creat`; did you mean `create`?",
            ),
            (
                {"content": {"en": {"title": "a", "items": [ITEM]}}, "done": {"create": {"didd": ["A"]}}},
                "$.done.create",
                "did you mean `did`?",
            ),
        )
    ),
    (
        {"kind": "banner", "content": {"en": {"text": "a"}}, "done": {"create": {"did": ["A"]}}},
        "$.done",
        "A message of kind `banner` has no items",
    ),
    *(
        (
            {"content": {"en": {"text": "a", "actions": [{"label": "b", "url": url}]}}},
            "$.content.en.actions[0].url",
            said,
        )
        for url, said in (
            ("javascript:alert(1)", "got `javascript:`"),
            (" java\nscript:alert(1)", "got `javascript:`"),
            ("DATA:text/html,x", "got `data:`"),
            ("http://x.example/plans", "got `http:`"),
        )
    ),
    ({"content": {"en": {"text": "see [this](javascript:alert(1))"}}}, "$.content.en.text", "got `javascript:`"),
    ({"content": {"en": {"text": "see <vbscript:x>"}}}, "$.content.en.text", "got `vbscript:`"),
    ({"content": {"en": {"text": "[1]: javascript:x"}}}, "$.content.en.text", "got `javascript:`"),
]


@pytest.mark.parametrize(
    ("fields", "path", "text"), MESSAGES, ids=[f"{path} {text[:30]}" for _, path, text in MESSAGES]
)
def test_a_message_says_what_is_wrong(fields: dict[str, Any], path: str, text: str) -> None:
    found = [
        (problem.path.replace("['", ".").replace("']", ""), problem.message)
        for problem in problems_of("message", MESSAGE | fields)
    ]
    assert any(at.startswith(path) and text in said for at, said in found), found


@pytest.mark.parametrize("url", ["https://x.example", "mailto:a@b.example", "/p", "p?q=a:b", "//cdn/x", "#top", ""])
def test_safe_links_pass(url: str) -> None:
    content = {"text": f"[a]({url})", "actions": [{"label": "a", "url": url}]}
    assert not problems_of("message", MESSAGE | {"content": {"en": content}})


SYNTAX = [
    (b'{"id": "r",}', 1, 12, "Expected another value after `,`, got `}`"),
    (b'{\n  "id" "r"}', 2, 8, 'Expected `:`, got `"`'),
    (b'{"enabled": tru}', 1, 13, "Expected a JSON value, got `tru`; did you mean `true`?"),
    (b'["a"\n "b"]', 2, 2, 'Expected `,` or `]`, got `"`'),
    (b"{} {}", 1, 4, "Expected the end of the document, got `{`"),
    (b"", 1, 1, "Expected a JSON value, got the end of the text"),
    (b'{"a": NaN}', 1, 7, "Expected a JSON value, got `NaN`"),
    (b"{a: 1}", 1, 2, 'Expected a field name in `"`, got `a`'),
    (b'\n"\xff"', 2, 2, "Expected UTF-8, got the byte 0xff"),
    (b'{"a": 1,\n "a": 2}', 2, 2, "Expected each field once, got it twice"),
    (b'{"a": "\\ud800"}', 1, 7, "Expected Unicode text, got half of a surrogate pair"),
    (b'{"a": 1e999}', 1, 7, "Expected a number of 64 bits, got one out of range"),
    (b'{"a": 99999999999999999999}', 1, 7, "Expected a number of 64 bits, got one out of range"),
    (b"[" * 65, 1, 65, "Expected at most 64 levels of nesting"),
    (b"[" + b"1," * 10_001 + b"1]", 1, 20_000, "Expected at most 10,000 values in one document"),
    (b" " * 262_145, 0, 0, "Expected at most 262,144 bytes, got 262,145"),
]


@pytest.mark.parametrize(("text", "line", "column", "said"), SYNTAX, ids=[said[:50] for *_, said in SYNTAX])
def test_broken_json_has_a_place(text: bytes, line: int, column: int, said: str) -> None:
    document, problems = parse("rule", text, "rules/r.json")
    assert document is None
    assert (problems[0].line, problems[0].column, problems[0].message) == (line, column, said)
    assert problems[0].file == "rules/r.json"


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    text = '{\n  "id": "r",\n  "trigger": "go",\n  "message": "m",\n  "condition": {"and": [\n    {"var": "usr.id"},\n    {"iff": []}\n  ]},\n  "delay": "soon"\n}'
    problems = problems_of("rule", text.encode(), "rules/x.json")
    assert [(problem.line, problem.column) for problem in problems] == [(2, 9), (6, 13), (7, 6), (9, 12)]
    assert (
        str(problems[1])
        == "rules/x.json:6:13: error: $.condition.and[0].var: Unknown variable `usr.id`; did you mean `user`?"
    )


@pytest.mark.parametrize("slip", [{"foo": 1}, {"priority": "high"}, {"frequency": {"max": "2", "per": "1d"}}])
def test_a_field_of_a_wrong_shape_hides_no_other_problem(slip: dict[str, Any]) -> None:
    broken = RULE | {"condition": {"===x": [1, 2]}, "schedule": {"days": ["mo"]}} | slip
    found = {problem.path: problem.message for problem in problems_of("rule", broken)}
    assert found["$.condition['===x']"] == "Unknown operator `===x`; did you mean `===`?"
    assert found["$.schedule.days[0]"] == (
        "Expected `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, got `mo`; did you mean `mon`?"
    )
    assert len(found) == 3


def test_a_field_that_another_one_needs_is_not_missed_where_it_is_broken() -> None:
    assert [problem.path for problem in problems_of("rule", RULE | {"message": 3})] == ["$.message"]


def _errors(kind: str, document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(found.path, found.message) for found in problems_of(kind, document) if found.severity == "error"}


@pytest.mark.parametrize(("kind", "base", "known"), [("rule", RULE, RULES), ("message", MESSAGE, MESSAGES)])
def test_two_slips_are_told_as_each_is_alone(kind: str, base: dict[str, Any], known: list[Any]) -> None:
    slips = [(fields, _errors(kind, base | fields)) for fields, *_ in known]
    for (one, of_one), (other, of_other) in combinations(slips, 2):
        absence = "after" in one.get("trigger", {}) and "delay" in other  # may not be delayed, whatever the delay
        if one.keys().isdisjoint(other) and not absence:
            assert _errors(kind, base | one | other) == of_one | of_other, (one, other)


@pytest.mark.parametrize(
    ("kind", "document", "paths"),
    [
        ("rule", {"id": "r", "trgger": "page", "message": "m", "delay": "soon"}, ["$", "$.delay", "$.trgger"]),
        ("rule", {"trigger": "page", "foo": 1, "delay": "soon"}, ["$", "$", "$.delay", "$.foo"]),
        ("message", {"id": "m", "content": {"en": {}}, "expires": "never"}, ["$", "$.expires"]),
        ("message", {"id": "m", "kind": "chat", "content": {"en": 1, "ja": {}}}, ["$.content.en", "$.content.ja"]),
        ("segment", {"id": "s", "conditon": True, "name": 3}, ["$", "$.conditon", "$.name"]),
        (
            "rule",
            RULE | {"schedule": {"days": ["mo"], "hours": ["9", "18:00"]}},
            ["$.schedule.days[0]", "$.schedule.hours[0]"],
        ),
        (
            "rule",
            RULE
            | {"tests": [{"name": "a", "events": [{"at": 1, "event": 3}], "expect": [{"at": "x", "deliver": "m"}]}]},
            ["$.tests[0].events[0].event", "$.tests[0].expect[0].at"],
        ),
    ],
)
def test_what_a_document_cannot_do_without_hides_nothing(kind: str, document: dict[str, Any], paths: list[str]) -> None:
    assert sorted(problem.path for problem in problems_of(kind, document)) == paths


@pytest.mark.parametrize("slip", [{"weight": "3"}, {"id": 3}])
def test_nothing_is_said_to_be_missing_that_is_only_broken(slip: dict[str, Any]) -> None:
    variants = [{"id": "a", "message": "m"} | slip, {"id": "b", "message": "m"}]
    case = {"name": "x", "variant": "b", "events": [{"at": 0, "event": "go"}], "expect": []}
    broken = {"id": "r", "trigger": "go", "variants": variants, "tests": [case]}
    assert [problem.path for problem in problems_of("rule", broken)] == [f"$.variants[0].{next(iter(slip))}"]


def test_a_document_is_named_after_its_file() -> None:
    (problem,) = problems_of("rule", RULE, "rules/other.json")
    assert problem.message == "Expected the id `other`, as the file is named, got `r`"


def test_documents_that_do_not_exist_are_named_with_the_nearest() -> None:
    text = json.dumps(RULE | {"message": "pricing-hlp"}, indent=1).encode()
    definitions = Definitions(
        [rule(message="pricing-hlp"), rule(message="pricing-help")],
        [message(id="pricing-help", kind="article", content={"en": {"article": "gone"}})],
        articles=[Article("gone-by", {"en": ArticleContent("t", "b")})],
    )
    found = cross_check(definitions, {("rule", "r"): ("rules/r.json", text)})
    assert [(problem.file, problem.line, problem.message) for problem in found] == [
        ("rules/r.json", 2, "Expected each rule id once, got `r` twice"),
        ("rules/r.json", 4, "The message `pricing-hlp` does not exist; did you mean `pricing-help`?"),
        ("messages/pricing-help", 0, "The article `gone` does not exist; did you mean `gone-by`?"),
    ]


def test_an_article_has_a_title_and_a_body() -> None:
    identifier, locale, content, problems = parse_article(
        "\ufeff# Ex\u00e9\n\nBody\n".encode(), "articles/export.csv.ja.md"
    )
    assert (identifier, locale, problems) == ("export.csv", "ja", [])
    assert content == ArticleContent("Ex\u00e9", "Body\n")
    assert (
        parse_article(b"no title", "articles/a.en.md")[3][0].message == "Expected a first `# Heading`: it is the title"
    )
    assert "named `<id>.<locale>.md`" in parse_article(b"# t", "articles/a.md")[3][0].message


def test_a_table_in_an_article_is_doubted_for_it_is_not_drawn() -> None:
    table = "| | Free |\n|---|:-:|\n| People | 1 |\n"
    *_, content, [problem] = parse_article(f"# Plans\n\n{table}".encode(), "articles/a.en.md")
    assert content is not None
    assert str(problem).startswith("articles/a.en.md:4:1: warning: $: Tables are not drawn")
    fine = f"# Plans\n\n---\n\n--- | and\n\n```\n{table}```\n"
    assert parse_article(fine.encode(), "articles/a.en.md")[3] == []


@pytest.mark.parametrize(
    ("link", "doubted"),
    [
        ("docs.example.com/start", True),
        ("www.example.com", True),
        ("index.html", False),
        ("/a.b/c", False),
        ("https://docs.example.com/start", False),
        ("v1.2/guide", False),
        ("../up", False),
    ],
)
def test_a_host_without_its_scheme_is_doubted_for_it_leads_into_the_site(link: str, doubted: bool) -> None:
    told = [f"`{link}` is a place within the site, as it has no `https://`; did you mean `https://{link}`?"]
    for content in ({"text": "a", "actions": [{"label": "b", "url": link}]}, {"text": f"[here]({link})"}):
        problems = problems_of("message", MESSAGE | {"kind": "banner", "content": {"en": content}})
        assert [problem.message for problem in problems] == (told if doubted else [])
        assert {problem.severity for problem in problems} <= {"warning"}


@pytest.mark.parametrize(
    ("condition", "path", "said"),
    [
        (
            {"==": ["page.path", "/help"]},
            "$.condition",
            'This compares constants: it is the same for everybody; to read it, write {"var": "page.path"}',
        ),
        ({"and": [True, {">": [2, 1]}]}, "$.condition.and[1]", "This compares constants: it is the same for everybody"),
        (
            {"in": ["user.traits.plan", ["free", "trial"]]},
            "$.condition",
            'This compares constants: it is the same for everybody; to read it, write {"var": "user.traits.plan"}',
        ),
        (
            {"<": [{"seconds_since": ["Export Failed"]}, 60]},
            "$.condition.<[0]",
            'This holds also for who never did it: null counts as 0. Add {"did": ["Export Failed"]} beside it',
        ),
        (
            {">=": [60, {"seconds_since": [["A", "B"]]}]},
            "$.condition.>=[1]",
            'This holds also for who never did it: null counts as 0. Add {"did": [["A", "B"]]} beside it',
        ),
    ],
)
def test_what_is_probably_a_slip_is_a_warning(condition: Any, path: str, said: str) -> None:
    (found,) = problems_of("rule", RULE | {"condition": condition})
    assert (found.severity, found.path.replace("['", ".").replace("']", ""), found.message) == ("warning", path, said)


@pytest.mark.parametrize(
    "condition",
    [
        {"and": [{"did": ["A"]}, {"<": [{"seconds_since": ["A"]}, 60]}]},
        {">": [{"seconds_since": ["A"]}, 60]},
        {"in": [{"var": "page.path"}, ["/a", "user.id"]]},
    ],
)
def test_what_means_something_is_no_slip(condition: Any) -> None:
    assert problems_of("rule", RULE | {"condition": condition}) == []
