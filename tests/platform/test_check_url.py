"""`engage rules check --url`: a real Chromium looks for what messages point at on a real small site."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from engage import cli, site_check
from engage.checking import check_paths
from engage.errors import InvalidRequest
from engage.settings import load_settings
from engage.site_check import check_site, fits, site_of
from tests.sdk.conftest import bundle

__all__ = ["bundle"]

HOME = """<header><button id="new">New project</button> <a href="/team" data-engage="team">Team</a></header>
<main><p class="row">one</p><p class="row">two</p><p id="off" style="display:none">away</p>
<x-card><template shadowrootmode="open"><button id="inner">Inside</button></template></x-card>
<iframe src="/frame" title="frame"></iframe>
<script>
  setTimeout(() => document.querySelector("main").append(Object.assign(document.createElement("i"), {id: "late", textContent: "late"})), 1200);
</script></main>"""
STRICT = "default-src 'self' 'unsafe-inline'; require-trusted-types-for 'script'; trusted-types 'none'"


class Pages(ThreadingHTTPServer):
    """A site: `pages` by path, a text or what makes (status, headers, text) of a request; `asked`: (path, headers) so far."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, str | Callable[[Any], tuple[int, dict[str, str], str]]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes while it is answered is no error."""


class _Answer(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((path, headers))
        page = self.server.pages.get(path)
        status, more, body = (
            (404, {}, "none") if page is None else (200, {}, page) if isinstance(page, str) else page(headers)
        )
        data = f"<!doctype html><meta charset=utf-8><title>{path}</title><link rel=icon href=data:,>{body}".encode()
        self.send_response(status)
        for name, value in {"content-type": "text/html", "content-length": str(len(data)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Pages]:
    pages = Pages()
    pages.pages = {"/": HOME, "/frame": "<b id='framed'>In a frame</b>", "/projects/1": "<b id='one'>One</b>"}
    yield pages
    pages.close()


class Done:
    """How a run ended: its status, what it said, and of each target what `--format json` says, by message and step."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def found(self) -> dict[str, Any]:
        targets = json.loads(self.out)["targets"]
        return {
            f"{one['message']}{'.' + str(one['step']) if 'step' in one else ''}/{one['locale']}": one for one in targets
        }

    @property
    def states(self) -> dict[str, str]:
        return {name.removesuffix("/en"): one["state"] for name, one in self.found.items()}

    @property
    def problems(self) -> list[tuple[str, str]]:
        return [(one["severity"], one["message"]) for one in json.loads(self.out)["problems"]]


Check = Callable[..., Done]


@pytest.fixture
def words(bundle: Path, write_documents: Any) -> Callable[..., list[str]]:
    """The command line that checks a folder with these messages; targets have half a second if nothing else is said."""

    def make(
        messages: list[dict[str, Any]], *arguments: object, text: bool = False, timeout: str | None = "500ms"
    ) -> list[str]:
        folder = write_documents({f"messages/{one['id']}.json": one for one in messages})
        command = ["engage", "rules", "check", folder, *arguments, "--format", "text" if text else "json"]
        return [str(word) for word in (*command, *(("--timeout", timeout) if timeout else ()))]

    return make


@pytest.fixture
def command(words: Callable[..., list[str]], tmp_path: Path) -> Check:
    """`command(messages, "--url", …)` checks as a person does: a process of its own, which starts a browser of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    kept |= {"ENGAGE_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1", "COLUMNS": "200"}

    def run(*given: Any, env: Mapping[str, str] = {}, **more: Any) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", *words(*given, **more)],
            env={**kept, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[asyncio.Runner, Browser]]:
    """A browser as the command starts it, and the loop that it belongs to."""
    with asyncio.Runner() as runner:
        opened = site_check._chromium()
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def check(
    words: Callable[..., list[str]],
    started: tuple[asyncio.Runner, Browser],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Check:
    """The same command within this process, in one browser for all tests: to start both is most of what a check takes."""
    runner, browser = started

    @asynccontextmanager
    async def chromium() -> AsyncIterator[Browser]:
        yield browser

    monkeypatch.setattr(site_check, "_chromium", chromium)
    monkeypatch.setattr(asyncio, "run", runner.run)
    monkeypatch.setattr(cli, "_settings", lambda **given: load_settings({}))  # it also sets up the process

    def run(*given: Any, **more: Any) -> Done:
        monkeypatch.setattr(sys, "argv", words(*given, **more))
        with pytest.raises(SystemExit) as ended:
            cli._main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def tour(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "tour", "content": {"en": {"steps": [{"text": "x", **step} for step in steps]}}, **more}


def tooltip(name: str, target: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "tooltip", "content": {"en": {"target": target, "text": "x"}}, **more}


@pytest.mark.browser
def test_every_form_of_target_is_found_where_the_snippet_finds_it(command: Check, site: Pages) -> None:
    site.pages["/"] = lambda headers: (
        200,
        {"content-security-policy": STRICT},
        HOME + "<script src='/sdk/engage.js?1'></script>",
    )
    done = command(
        [
            tour(
                "all",
                {"target": "#new"},
                {"target": "text=new PROJECT"},
                {"target": "data-engage=team"},
                {"target": "#inner"},
                {"target": "text=In a frame"},
                {"target": "#late", "timeout": "10s"},
                {"text": "in the middle"},
            ),
            {"id": "line", "kind": "banner", "content": {"en": {"text": "x", "into": "main"}}},
            {"id": "edge", "kind": "banner", "content": {"en": {"text": "x"}}},
            tooltip("tip", "data-engage=team"),
        ],
        "--url",
        site.url,
        timeout=None,
    )
    assert set(done.states.values()) == {"found"}, done.out
    assert len(done.states) == 8
    assert done.found["all.2/en"]["element"] == "button#new"
    assert done.status == 0
    assert not done.problems
    assert "/sdk/engage.js" not in {path for path, _ in site.asked}  # a visit by CI counts nowhere


@pytest.mark.browser
def test_what_is_not_there_is_an_error_with_its_place(command: Check, site: Pages) -> None:
    done = command(
        [
            tour(
                "bad",
                {"target": "#gone"},
                {"target": ".row"},
                {"target": "#off"},
                {"target": "#gone2", "missing": "skip"},
                {"target": "#gone3", "missing": "end"},
                {"target": "p[["},
                {"target": "#new"},
            )
        ],
        "--url",
        site.url,
        text=True,
    )
    assert done.status == 1
    said = {line.split("steps[")[1][0]: line for line in done.out.splitlines() if "steps[" in line}
    assert "bad.json:1:" in said["0"]
    assert (
        ": error: $.content.en.steps[0].target: Expected an element `#gone` that can be seen on / within 500ms, got none"
        in said["0"]
    )
    assert ": warning: " in said["1"]
    assert "got 2 on /: the snippet takes the first, `p.row`" in said["1"]
    assert ": error: " in said["2"]
    assert "got one that is hidden, `p#off`" in said["2"]
    assert ": warning: " in said["3"]
    assert ": error: " in said["4"]
    assert "Expected a CSS selector" in said["5"]
    assert ": found: $.content.en.steps[6].target: `#new` is `button#new` on /" in said["6"]
    assert f"7 targets at {site.url}: 1 found, 1 hidden, 1 invalid, 3 missing, 1 several" in done.err


@pytest.mark.browser
def test_what_comes_by_a_doing_of_the_person_is_not_tried(check: Check, site: Pages) -> None:
    done = check(
        [
            tour(
                "doing",
                {"target": "#gone"},
                {"target": "#new", "advance": {"click": True}},
                {"target": "#dialog"},
                {"target": "data-engage=team"},
                {"target": "#dialog2"},
                {"target": "#one", "path": "/projects/1"},
                {"target": "#gone", "path": "/projects/1"},
            )
        ],
        "--url",
        site.url,
    )
    assert list(done.states.values()) == ["missing", "found", "not_tried", "found", "not_tried", "found", "missing"]
    assert done.found["doing.5/en"]["after"] == 2
    assert [severity for severity, _ in done.problems] == ["error", "warning", "warning", "error"]
    assert "what the person does at step 2" in done.problems[1][1]
    assert done.status == 1
    assert len([path for path, _ in site.asked if path == "/projects/1"]) == 1


@pytest.mark.browser
def test_steps_are_looked_for_where_the_tour_leads(check: Check, site: Pages) -> None:
    site.pages |= {"/dashboard": "<b id=dash>d</b>", "/projects": "<b id=list>l</b>", "/a/b": "<b id=ab>ab</b>"}
    done = check(
        [
            tour(
                "way",
                {"target": "#dash", "path": "/dashboard*", "navigate": "https://www.example.com/projects?all=1"},
                {"target": "#list", "buttons": [{"label": "a", "to": "last"}, {"label": "b"}]},
                {"target": "#list", "path": "/projects*", "advance": {"path": "/projects/*"}},
                {"target": "#one", "then": "end"},
                {"target": "#ab", "path": "/a/*", "id": "last"},
                show_on={"path": ["/dashboard", "/nowhere/*"]},
            ),
            tooltip("any", "#ab", show_on={"path": ["/dashboard", "/a/b"]}),
        ],
        "--url",
        site.url,
        "--page",
        "/projects/*=/projects/1?tab=2",
        "--page",
        "/project/*=/project/1",
    )
    assert done.states == {"any": "found"} | {f"way.{step}": "found" for step in (1, 2, 3, 4)} | {"way.5": "not_tried"}
    assert done.found["way.4/en"]["page"] == "/projects/1?tab=2"
    assert [
        problem for problem in done.problems if "names no one page of this site: add --page '/a/*=/…'" in problem[1]
    ]
    assert done.status == 0
    assert json.loads(done.out)["unused"] == ["/project/*"]


@pytest.mark.browser
def test_words_are_looked_for_in_the_language_of_their_content(check: Check, site: Pages) -> None:
    site.pages["/"] = lambda headers: (
        (200, {}, "<button>新規</button>")
        if headers["accept-language"].startswith("ja")
        else (200, {}, "<button>New</button>")
    )
    content = {"en": {"target": "text=New", "text": "x"}, "ja": {"target": "text=新規", "text": "x"}}
    both = [{"id": "tip", "kind": "tooltip", "content": content}]
    assert check(both, "--url", site.url).states == {"tip": "found", "tip/ja": "found"}
    assert list(check(both, "--url", site.url, "--locale", "ja").found) == ["tip/ja"]
    refused = check(both, "--url", site.url, "--locale", "jaa")
    assert refused.status == 2
    assert "Expected a locale of these messages, got jaa; did you mean `ja`? - at --locale" in refused.err


@pytest.mark.browser
def test_a_login_goes_by_storage_state_or_header(check: Check, site: Pages, tmp_path: Path) -> None:
    def home(headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if "session=ann" in headers.get("cookie", "") or headers.get("x-key") == "k":
            return 200, {}, "<b id=mine>Mine</b>"
        return 302, {"location": "/login?secret=1"}, ""

    site.pages |= {"/home": home, "/login": "<form id=login></form>"}
    state = tmp_path / "state.json"
    cookie = {"name": "session", "value": "ann", "domain": "127.0.0.1", "path": "/", "expires": -1}
    state.write_text(
        json.dumps({"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []})
    )
    messages = [tour("tip", {"target": "#mine"}, {"target": "text=mine"}, show_on={"path": "/home"})]
    out = check(messages, "--url", site.url)
    assert out.status == 1
    assert out.problems == [
        ("error", "Expected the page /home, got /login: a login goes with --storage-state or --header")
    ]
    assert check(messages, "--url", site.url, "--storage-state", state).states == {"tip.1": "found", "tip.2": "found"}
    assert check(messages, "--url", site.url, "--header", "X-Key: k").states == {"tip.1": "found", "tip.2": "found"}


@pytest.mark.browser
def test_headers_go_to_the_site_alone(check: Check, site: Pages) -> None:
    other = Pages()
    try:
        other.pages = {"/x.js": "", "/sso": "<b id=sso>s</b>"}
        site.pages["/"] = f"<script src='{other.url}/x.js'></script><img src='/pixel'><b id=new>n</b>"
        site.pages["/sso"] = lambda headers: (302, {"location": f"{other.url}/sso"}, "")
        messages = [tooltip("tip", "#new"), tooltip("sso", "#sso", show_on={"path": "/sso"})]
        done = check(messages, "--url", site.url, "--header", "Authorization: Bearer s3cret")
        assert done.states == {"tip": "found", "sso": "no_page"}
        assert f"Expected the page /sso, got {other.url}/sso" in done.problems[0][1]
        assert {headers.get("authorization") for path, headers in site.asked if path != "/pixel"} == {"Bearer s3cret"}
        # What a page still waits for when it is closed goes out as it is.
        assert "Bearer s3cret" in {headers.get("authorization") for path, headers in site.asked if path == "/pixel"}
        assert {path for path, _ in other.asked} == {"/x.js", "/sso"}
        assert not [path for path, headers in other.asked if "authorization" in headers]
    finally:
        other.close()


@pytest.mark.browser
def test_a_page_that_does_not_come_is_said_once(check: Check, site: Pages) -> None:
    site.pages["/broken"] = lambda headers: (500, {}, "<b id=new>n</b>")
    steps = [{"target": "#new"}, {"target": "#late", "missing": "skip"}]
    done = check(
        [tour("broken", *steps, show_on={"path": "/broken"}), tour("none", *steps, show_on={"path": "/none"})],
        "--url",
        site.url,
    )
    assert set(done.states.values()) == {"no_page"}
    assert done.problems == [
        ("error", "Expected the page /broken, got status 500"),
        ("error", "Expected the page /none, got status 404"),
    ]
    assert done.status == 1


@pytest.mark.browser
def test_a_window_can_be_narrow(check: Check, site: Pages) -> None:
    site.pages["/"] = (
        "<meta name=viewport content='width=device-width'><style>@media (width < 600px) { #new { display: none } }</style>"
        + HOME
    )
    messages = [tooltip("tip", "#new"), tooltip("team", "data-engage=team")]
    assert check(messages, "--url", site.url, "--width", "400").states == {"team": "found", "tip": "hidden"}


@pytest.mark.browser
def test_a_page_that_moves_on_by_itself_is_followed(check: Check, site: Pages) -> None:
    site.pages["/"] = "<script>setTimeout(() => location.replace('/app'), 300)</script>"
    site.pages["/app"] = HOME
    done = check([tooltip("tip", "#late")], "--url", site.url, timeout="10s")
    assert done.states == {"tip": "found"}
    assert done.found["tip/en"]["page"] == "/app"


@pytest.mark.browser
def test_a_page_that_hangs_is_given_up(
    bundle: Path, write_documents: Any, site: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def home(headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        visits = [path for path, _ in site.asked].count("/")
        if visits == 2:  # the site was reached, and now `other` is looked for: only what hangs is left
            monkeypatch.setattr(site_check, "HANGING", 1_000)
        return 200, {}, HOME

    site.pages |= {"/": home, "/hangs": HOME + "<script>setTimeout(() => { for (;;); }, 50)</script>"}
    messages = [tooltip("other", "#new"), tooltip("tip", "#late", show_on={"path": ["/hangs"]})]
    folder = write_documents({f"messages/{one['id']}.json": one for one in messages})
    found = check_site(check_paths([folder]), [folder], site_of(site.url, timeout=1_000))
    assert {one.message: one.state for one in found.targets} == {"other": "found", "tip": "no_page"}
    assert [one.message for one in found.problems] == ["Expected the page /hangs, got one that does not respond"]


@pytest.mark.browser
def test_a_site_that_does_not_answer_ends_with_2(command: Check, free_port: int) -> None:
    done = command([tooltip("tip", "#new")], "--url", f"http://127.0.0.1:{free_port}")
    assert done.status == 2
    assert "Expected a site that answers, got net::ERR_CONNECTION_REFUSED" in done.err
    assert "Traceback" not in done.err


def test_without_targets_no_site_is_asked(command: Check, free_port: int) -> None:
    chat = {"id": "chat", "kind": "chat", "content": {"en": {"text": "x"}}}
    done = command([chat], "--url", f"http://127.0.0.1:{free_port}", text=True)
    assert done.status == 0
    assert "0 targets" in done.out
    assert "nothing to look for" in done.out


def test_without_playwright_it_says_how_to_have_it(command: Check, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['playwright'] = None\n")
    done = command([tooltip("tip", "#new")], "--url", "http://127.0.0.1:9", env={"PYTHONPATH": str(tmp_path)})
    assert done.status == 2
    assert "Expected Playwright, which drives a browser, got none - at --url" in done.err
    assert "extra `browser`" in done.err


@pytest.mark.browser
def test_without_a_browser_it_says_how_to_have_one(command: Check, tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = command([tooltip("tip", "#new")], "--url", "http://127.0.0.1:9", env=nothing)
    assert done.status == 2
    assert "Expected a Chromium that starts" in done.err
    assert "apt-get install chromium" in done.err


def test_options_about_a_site_need_one(command: Check) -> None:
    done = command([tooltip("tip", "#new")], "--page", "/a*=/a")
    assert done.status == 2
    assert "--url" in done.err


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        (
            {"url": "staging.example.com"},
            "--url",
            "Expected an address such as https://staging.example.com, got staging.example.com",
        ),
        ({"url": "ftp://example.com"}, "--url", "Expected an address"),
        ({"url": "http://"}, "--url", "Expected an address"),
        ({"url": "http://[::1"}, "--url", "Expected an address"),
        ({"url": "http://example.com:99999"}, "--url", "Expected an address"),
        ({"url": "https://ann:pw@example.com"}, "--url", "without a name and password"),
        ({"pages": ["/a/*"]}, "--page", "Expected GLOB=PATH"),
        ({"pages": ["/a/*=//evil.example"]}, "--page", "Expected GLOB=PATH"),
        ({"pages": ["/a/*=/b/1"]}, "--page", "Expected a page that fits /a/*, got /b/1"),
        ({"headers": ["no colon s3cret"]}, "--header", "Expected NAME: VALUE"),
        ({"headers": ["X: a\nY: b"]}, "--header", "Expected NAME: VALUE"),
        ({"width": 10}, "--width", "Expected 200 to 7680 pixels, got 10"),
        ({"storage_state": Path("/nowhere.json")}, "--storage-state", "Expected a storage state of Playwright"),
    ],
)
def test_what_is_given_wrong_is_named(given: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        site_of(**{"url": "https://example.com", **given})
    assert caught.value.field == field
    assert said in caught.value.message
    assert "pw@" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "origin", "start"),
    [
        ("https://Example.com", "https://example.com", "/"),
        ("https://example.com:443/app?x=1#/y", "https://example.com", "/app?x=1#/y"),
        ("http://[::1]:8080/a", "http://[::1]:8080", "/a"),
        ("https://例え.jp/", "https://xn--r8jz45g.jp", "/"),
    ],
)
def test_an_address_is_taken_as_a_browser_does(url: str, origin: str, start: str) -> None:
    site = site_of(url)
    assert (site.origin, site.start) == (origin, start)


@pytest.mark.parametrize(
    ("glob", "path", "fit"),
    [
        ("/a*", "/a", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a.b", "/axb", False),
        ("*", "/x", True),
        ("/a", "/a/", False),
        ("/a*b*b", "/ab", False),
        ("/a*ab", "/ab", False),
        ("/x*", "/y/x", False),
        ("https://docs.example.com/a*", "/ab", True),
        pytest.param("*-" * 5_000 + "x", "/" + "a-" * 1_000, False, id="one that took for ever"),
    ],
)
def test_globs_fit_as_in_the_snippet(glob: str, path: str, fit: bool) -> None:
    assert fits(glob, path) is fit


@pytest.mark.browser
def test_a_step_on_another_host_is_tried_where_its_page_is_given(check: Any, site: Pages) -> None:
    site.pages |= {"/a": "<b id=a>a</b>", "/start": "<b id=guide>g</b>"}
    steps = [
        {"target": "#a", "path": f"{site.url}/a", "navigate": "https://docs.example.com/start"},
        {"target": "#guide", "path": "https://docs.example.com/start"},
    ]
    done = check([tour("way", *steps)], "--url", site.url)
    assert done.states == {"way.1": "found", "way.2": "not_tried"}
    assert any("add --page 'https://docs.example.com/start=/start'" in told for _, told in done.problems)
    again = check([tour("way", *steps)], "--url", site.url, "--page", "https://docs.example.com/start=/start")
    assert again.states == {"way.1": "found", "way.2": "found"}
