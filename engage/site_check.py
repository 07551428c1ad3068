"""`engage rules check --url`: whether the elements that messages point at are on a running site.

A headless browser loads each page that a message or step names, and asks the snippet's own finder (`sdk_js/src/check/finder.ts`)
for its targets until they are there or their time is over. Nothing is clicked, typed or sent, and the snippet itself is not loaded:
the visits count nowhere.
"""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from engage.bootstrap import find_browser
from engage.checking import Checked, parsed_in, summed
from engage.errors import ConfigurationError, InvalidRequest
from engage.sdk import BUILT
from rules import Message, parse_duration
from rules.content import END, Banner, Step, Tooltip, Tour
from rules.duration import format_duration
from rules.problems import Path as Place
from rules.problems import Report, Severity, line_column, nearest, show_path

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page

FINDER: Final = "finder.js"
LOAD: Final = 30_000  # ms a page may take to come, or to answer
HANGING: Final = 2 * LOAD  # ms after which a page is given up that does not even say that it failed
PATIENCE: Final = 5_000  # ms a target may take that has no `timeout` of its own, as in a tour
POLL: Final = 100  # ms between two looks
WIDTH: Final = 1280  # px
HEIGHT: Final = 800  # px
WIDTHS: Final = (200, 7680)  # px
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
COPES: Final = ("skip", "center")  # a tour that says so in `missing` goes on without the target
LOGIN: Final = "a login goes with --storage-state or --header"
BY_WORDS: Final = "text="
SNIPPET: Final = "*/sdk/engage.js*"
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff]*)")

_RANK: Final = ("no_page", "invalid", "missing", "hidden", "found")

State = Literal["found", "several", "hidden", "missing", "invalid", "no_page", "not_tried"]


class Site(msgspec.Struct, frozen=True):
    """A running site, and how it is visited. `pages`: by glob, the pages that stand for it; `timeout`: ms for every target, in place
    of its own; `locales`: those whose content is tried, all if empty."""

    url: str
    pages: dict[str, list[str]] = {}
    headers: dict[str, str] = {}
    storage_state: Path | None = None
    timeout: int | None = None
    width: int = WIDTH
    locales: frozenset[str] = frozenset()

    @property
    def origin(self) -> str:
        return _origin(self.url)

    @property
    def start(self) -> str:
        """The address within the site: where a message is tried that names no page."""
        return _within(self.url)


class Tried(msgspec.Struct, omit_defaults=True):
    """What became of one target; `line`, `column` and `step` count from 1. `page`: where it is, or was last looked for; `count`: how
    many elements it names there; `element`: the one that the snippet takes; `after`: the step whose doing it may need."""

    file: str
    line: int
    column: int
    path: str
    message: str
    locale: str
    target: str
    state: State
    step: int | None = None
    page: str | None = None
    count: int = 0
    element: str | None = None
    after: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.state}: {self.path}: `{self.target}` is `{self.element}` on {self.page}"


class CheckedSite(Checked):
    """The same, and what became of every target. `unused`: globs given a page that no message names."""

    url: str
    targets: list[Tried]
    unused: list[str]

    @property
    def tried(self) -> str:
        """All targets in one line."""
        states = Counter(target.state for target in self.targets)
        told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items()))
        return f"{len(self.targets)} targets at {self.url}: {told or 'nothing to look for'}"


class _Where(msgspec.Struct, frozen=True):
    """Where a target is looked for. `globs`: one must fit the page, any page will do if empty; `visits`: what to load within the
    site, in turn, until it is found; `open`: globs that name no one page."""

    globs: tuple[str, ...]
    visits: tuple[str, ...]
    open: tuple[str, ...] = ()


class _Aim(msgspec.Struct, frozen=True):
    """A target as a content names it, at `at` below its locale. `patience`: ms; `step`: its index in a tour; `after`: the index of
    a step before it on the same page, which the person leaves by doing something."""

    at: Place
    target: str
    where: _Where
    patience: int = PATIENCE
    step: int | None = None
    missing: str = "wait"
    after: int | None = None


class _Wanted(msgspec.Struct, frozen=True):
    """A target of a message. `language`: of the browser that looks for it."""

    report: Report
    message: str
    locale: str
    language: str
    aim: _Aim


class _Seen(msgspec.Struct, frozen=True):
    """What was seen of a target on `page`; `trouble`: what came in place of that page."""

    state: Literal["no_page", "invalid", "missing", "hidden", "found"]
    page: str
    count: int = 0
    element: str | None = None
    trouble: str = ""


class _Look(msgspec.Struct):
    """A target to look for, the same for all who want it alike. `patience`: ms; `seen`: the best of its pages, or nothing yet."""

    target: str
    where: _Where
    patience: int
    seen: _Seen | None = None

    @property
    def found(self) -> bool:
        return self.seen is not None and self.seen.state == "found"

    def note(self, seen: _Seen) -> None:
        if self.seen is None or _RANK.index(seen.state) > _RANK.index(self.seen.state):
            self.seen = seen


class _Trouble(Exception):
    """Why a page cannot be looked at."""


def site_of(
    url: str,
    pages: Iterable[str] = (),
    headers: Iterable[str] = (),
    storage_state: Path | None = None,
    timeout: int | None = None,
    width: int | None = None,
    locales: Iterable[str] = (),
) -> Site:
    """A Site from what the command line gives; `timeout` in ms. Raises InvalidRequest, with the option in `field`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and bool(_origin(url))
    except ValueError:
        good = False
    if not good:
        raise InvalidRequest("an address such as https://staging.example.com", url, field="--url")
    if "@" in parts.netloc:
        hint = "sign in with --header 'Authorization: Basic …'"
        raise InvalidRequest("an address without a name and password", "one with them", field="--url", hint=hint)
    if storage_state is not None:
        _check_storage_state(storage_state)
    width = WIDTH if width is None else width
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise InvalidRequest(f"{WIDTHS[0]} to {WIDTHS[1]} pixels", str(width), field="--width")
    return Site(url, _pages(pages), _headers(headers), storage_state, timeout, width, frozenset(locales))


def check_site(checked: Checked, paths: Iterable[Path], site: Site) -> CheckedSite:
    """The same with what the messages of `paths` point at and the site does not have, as problems.

    Raises ConfigurationError where there is no browser, no built snippet, or no site that answers; InvalidRequest where no message
    has content in a locale of `site`.
    """
    messages = [(document, report) for document, report in parsed_in(paths) if isinstance(document, Message)]
    known = {locale for message, _ in messages for locale in message.content}
    for locale in site.locales - known:
        raise InvalidRequest("a locale of these messages", f"{locale}{nearest(locale, known)}", field="--locale")
    wanted = [one for message, report in messages for one in _wanted(message, report, site)]
    looks: dict[str, dict[tuple[str, _Where, int], _Look]] = {}
    looked = []
    for one in wanted:
        patience = one.aim.patience if site.timeout is None else site.timeout
        key = one.aim.target, one.aim.where, patience
        looked.append(looks.setdefault(one.language, {}).setdefault(key, _Look(*key)))
    if any(look.where.visits for look in looked):
        asyncio.run(_browse(site, {language: list(group.values()) for language, group in looks.items()}))
    tried = _judged(zip(wanted, looked, strict=True))
    problems = [*checked.problems, *(problem for _, report in messages for problem in report.problems)]
    both = summed(checked.documents, dict.fromkeys(problems))
    named = {glob for message, _ in messages for glob in _globs(message)}
    unused = [glob for glob in site.pages if glob not in named]
    return CheckedSite(both.documents, both.errors, both.warnings, both.problems, site.url, tried, unused)


def fits(glob: str, path: str) -> bool:
    """As `pathMatches` of the snippet: `*` stands for anything. Of a whole address, the path."""
    page, at = f"{path}\n", 0
    for index, part in enumerate(f"{_path_of(glob)}\n".split("*")):
        found = page.find(part, at)
        if found < 0 or (found and not index):
            return False
        at = found + len(part)
    return True


def _path_of(glob: str) -> str:
    scheme, found, address = glob.partition("://")
    return "/" + address.partition("/")[2] if found else scheme


def _page_for(glob: str) -> str:
    """What to write behind it in `--page`: its own path, where that is one page."""
    path = _path_of(glob)
    return "/…" if "*" in path else path


def _elsewhere(glob: str, site: Site) -> bool:
    """Whether a glob names pages of another host."""
    scheme, found, address = glob.partition("://")
    return bool(found) and f"{scheme}://{address.partition('/')[0]}" != site.origin


def _pages(pairs: Iterable[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for pair in pairs:
        glob, _, page = pair.partition("=")
        if not page.startswith("/") or page.startswith("//"):
            raise InvalidRequest("GLOB=PATH, such as '/projects/*=/projects/1'", pair, field="--page")
        if not fits(glob, _path(page)):
            raise InvalidRequest(f"a page that fits {glob}", page, field="--page")
        given.setdefault(glob, []).append(page)
    return given


def _headers(lines: Iterable[str]) -> dict[str, str]:
    sent = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            name = line.partition(":")[0][:40]  # the value may be a secret
            raise InvalidRequest("NAME: VALUE, such as 'Authorization: Bearer …'", f"`{name}` …", field="--header")
        sent[found[1].lower()] = found[2]
    return sent


def _check_storage_state(path: Path) -> None:
    hint = "Playwright writes one: `python -m playwright codegen --save-storage=FILE URL`, and sign in"
    try:
        state = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        got = f"{path}: {error}"
        raise InvalidRequest("a storage state of Playwright", got, field="--storage-state", hint=hint) from None
    if not isinstance(state, dict) or not {"cookies", "origins"} & set(state):
        got = f"{path} without `cookies` or `origins`"
        raise InvalidRequest("a storage state of Playwright", got, field="--storage-state", hint=hint)


def _origin(url: str) -> str:
    """As a browser writes it. Raises ValueError for a port or host that cannot be."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = host if host.isascii() else host.encode("idna").decode()
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _within(url: str) -> str:
    """What follows the origin of an address."""
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))


def _path(visit: str) -> str:
    return urlsplit(visit).path


def _wanted(message: Message, report: Report, site: Site) -> Iterator[_Wanted]:
    """Every target of a message, in each locale that is tried."""
    locales = [locale for locale in message.content if not site.locales or locale in site.locales]
    for locale in locales:
        for aim in _aims(message, message.content[locale], site):
            # What is not named by its words is the same in every language: it is looked for once.
            language = locale if aim.target.startswith(BY_WORDS) else locales[0]
            yield _Wanted(report, message.id, locale, language, aim)


def _aims(message: Message, content: Any, site: Site) -> Iterator[_Aim]:
    start = _resolved(_shown_on(message), site) if message.show_on else _Where((), (site.start,))
    if message.kind == "tooltip":
        yield _Aim(("target",), msgspec.convert(content, Tooltip).target, start)
    elif message.kind == "banner":
        into = msgspec.convert(content, Banner).into
        if into:
            yield _Aim(("into",), into, start)
    elif message.kind == "tour":
        steps = msgspec.convert(content, Tour).steps
        for index, (step, (where, after)) in enumerate(zip(steps, _stops(steps, start, site), strict=True)):
            if step.target:
                patience = parse_duration(step.timeout)
                yield _Aim(("steps", index, "target"), step.target, where, patience, index, step.missing, after)


def _globs(message: Message) -> Iterator[str]:
    """Every glob by which a message names pages."""
    yield from _shown_on(message)
    for content in message.content.values() if message.kind == "tour" else ():
        for step in msgspec.convert(content, Tour).steps:
            yield from (glob for glob in (step.path, step.advance and step.advance.path) if glob)


def _shown_on(message: Message) -> tuple[str, ...]:
    paths = message.show_on.path if message.show_on else []
    return (paths,) if isinstance(paths, str) else tuple(paths)


def _resolved(globs: Sequence[str], site: Site) -> _Where:
    """The pages that globs stand for: those that were given for it; or, of this site, itself, if it names one page; or the address, if it
    fits; or, of `/projects*`, what stands before the `*`."""
    visits: dict[str, None] = {}
    opened = []
    for glob in globs:
        path = _path_of(glob)
        before = path.removesuffix("*")
        found = site.pages.get(glob, [])
        if found or _elsewhere(glob, site):
            pass
        elif "*" not in path:
            found = [path]
        elif fits(path, _path(site.start)):
            found = [site.start]
        elif "*" not in before and not before.endswith("/"):
            found = [before]
        visits |= dict.fromkeys(found)
        if not found:
            opened.append(glob)
    return _Where(tuple(globs), tuple(visits), tuple(opened))


def _stops(steps: Sequence[Step], start: _Where, site: Site) -> list[tuple[_Where, int | None]]:
    """Where each step of a tour that begins at `start` is looked for, and `after` as an _Aim has it."""
    found: dict[int, tuple[_Where, int | None]] = {}
    ways: deque[tuple[int, _Where, int | None]] = deque([(0, start, None)])
    while ways:
        index, before, after = ways.popleft()
        if index >= len(steps) or index in found:
            continue
        step = steps[index]
        where = _narrowed(before, step.path, site)
        found[index] = where, after = where, after if where.visits == before.visits else None
        left = _left(step, where, site)
        if left.visits != where.visits:
            after = None
        elif step.advance is not None and step.advance.path is None:
            after = index
        ways += [(to, left, after) for to in _follow(steps, index)]
    return [found.get(index) or (_narrowed(start, step.path, site), None) for index, step in enumerate(steps)]


def _narrowed(before: _Where, path: str | None, site: Site) -> _Where:
    """Where a step with this `path` is, for who comes from `before`."""
    if path is None:
        return before
    same = () if _elsewhere(path, site) else tuple(visit for visit in before.visits if fits(path, _path(visit)))
    return _Where((path,), same) if same else _resolved((path,), site)


def _left(step: Step, where: _Where, site: Site) -> _Where:
    """Where the person is after a step."""
    if step.advance is not None:
        return where if step.advance.path is None else _resolved((step.advance.path,), site)
    if step.navigate is None:
        return where
    # An address of another host is the one of production: here it is the same page of this site.
    links = [urljoin(site.origin + visit, step.navigate) for visit in where.visits or ("/",)]
    visits = [_within(link) for link in links if link.startswith(("http:", "https:"))]
    return _Where((), tuple(dict.fromkeys(visits))) if visits else where


def _follow(steps: Sequence[Step], index: int) -> list[int]:
    """The indexes of the steps to which one leads; the number of steps for the end."""
    step = steps[index]
    indexes = {other.id: number for number, other in enumerate(steps)} | {END: len(steps)}
    names = [button.to or step.then for button in step.buttons] or [step.then]
    return [indexes.get(name, index + 1) if name else index + 1 for name in names]


async def _browse(site: Site, looks: Mapping[str, Sequence[_Look]]) -> None:
    """Looks for everything, by the language of the browser, and notes in each look what was seen."""
    finder = BUILT / FINDER
    if not finder.is_file():
        hint = "run `make setup`: it builds the snippet"
        raise ConfigurationError("the snippet's finder", f"{finder} is not there", hint=hint)
    script = f"targets => {{ {finder.read_text()}; return [location.href, finder.look(targets)]; }}"
    async with _chromium() as browser:
        for number, (language, wanted) in enumerate(looks.items()):
            async with _context(browser, site, language) as context:
                if number == 0:
                    await _reach(context, site)
                for visit in dict.fromkeys(visit for look in wanted for visit in look.where.visits):
                    here = [look for look in wanted if visit in look.where.visits and not look.found]
                    if here:
                        await _visit(context, site, visit, here, script)


def _playwright() -> Any:
    """Its module, which only those need who have a site checked. Raises ConfigurationError where it is not installed."""
    try:
        return import_module("playwright.async_api")
    except ModuleNotFoundError:
        hint = "install engage with its extra `browser`, or `pip install playwright` beside it"
        raise ConfigurationError("Playwright, which drives a browser", "none", field="--url", hint=hint) from None


@asynccontextmanager
async def _chromium() -> "AsyncIterator[Browser]":
    """The machine's Chromium, else the one that Playwright has installed."""
    api = _playwright()
    async with api.async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=find_browser(), timeout=HANGING)
        except api.Error as error:
            hint = "apt-get install chromium, or `python -m playwright install chromium`"
            raise ConfigurationError("a Chromium that starts", _said(error), field="--url", hint=hint) from None
        try:
            yield browser
        except api.Error as error:
            raise ConfigurationError("a browser that goes on", _said(error), field="--url") from error
        finally:
            await _end(browser.close())


@asynccontextmanager
async def _context(browser: "Browser", site: Site, language: str) -> "AsyncIterator[BrowserContext]":
    """A fresh profile in one language, signed in as `site` says."""
    try:
        context = await browser.new_context(
            viewport={"width": site.width, "height": HEIGHT},
            locale=language.replace("_", "-"),
            storage_state=site.storage_state,
            service_workers="block",  # they would ask for what the page may not
        )
    except _playwright().Error as error:
        raise InvalidRequest("a storage state of Playwright", _said(error), field="--storage-state") from None
    try:
        yield context
    finally:
        await _end(context.close())


@asynccontextmanager
async def _page(context: "BrowserContext", site: Site) -> "AsyncIterator[Page]":
    """An empty page that does not load the snippet, and sends the headers of `site` to that site alone. It speaks to Chromium itself:
    Playwright's own routes would send them on to wherever the site redirects, and let go what they hold when the page is closed."""
    page = await context.new_page()
    try:
        session = await context.new_cdp_session(page)
        await session.send("Network.enable")
        await session.send("Network.setBlockedURLs", {"urls": [SNIPPET]})
        if site.headers:
            session.on("Fetch.requestPaused", partial(_pass, session, site))
            await session.send("Fetch.enable")
        yield page
    finally:
        await _end(page.close())


async def _end(closing: Awaitable[None]) -> None:
    """Waits for what is closed, but not for long: what hangs ends with Playwright itself."""
    try:
        await asyncio.wait_for(closing, LOAD / 1000)
    except (_playwright().Error, TimeoutError):
        pass


async def _pass(session: "CDPSession", site: Site, paused: Mapping[str, Any]) -> None:
    """Lets a request go on: to the site with its headers, elsewhere without those that a redirect has kept."""
    request = paused["request"]
    headers = {name.lower(): value for name, value in request["headers"].items()}
    if _origin(request["url"]) == site.origin:
        headers = site.headers | headers  # what the page sends itself, it knows better
    else:
        headers = {name: value for name, value in headers.items() if site.headers.get(name) != value}
    pairs = [{"name": name, "value": value} for name, value in headers.items()]
    try:
        await session.send("Fetch.continueRequest", {"requestId": paused["requestId"], "headers": pairs})
    except _playwright().Error:
        pass  # the page is closed, and does not wait for it any more


async def _reach(context: "BrowserContext", site: Site) -> None:
    """Raises ConfigurationError unless the site answers, whatever it answers."""
    try:
        async with asyncio.timeout(HANGING / 1000), _page(context, site) as page:
            await page.goto(site.url, wait_until="commit", timeout=LOAD)
    except (_playwright().Error, TimeoutError) as error:
        hint = "start it, or mend the address"
        raise ConfigurationError("a site that answers", _said(error), field="--url", hint=hint) from None


async def _visit(context: "BrowserContext", site: Site, visit: str, looks: Sequence[_Look], script: str) -> None:
    """Loads one page and looks for what may be there, until all of it is found or its time is over."""
    # Much of what a browser is asked to do has no time limit of its own, and a page may hang.
    limit = HANGING + max(look.patience for look in looks)
    try:
        async with asyncio.timeout(limit / 1000), _page(context, site) as page:
            await _load(page, site.origin + visit)
            seen = await _watch(page, site, visit, looks, script)
    except _Trouble as trouble:
        seen = [_Seen("no_page", visit, trouble=str(trouble))] * len(looks)
    except TimeoutError:
        seen = [_Seen("no_page", visit, trouble="one that does not respond")] * len(looks)
    for look, one in zip(looks, seen, strict=True):
        look.note(one)


async def _load(page: "Page", url: str) -> None:
    api = _playwright()
    try:
        reply = await page.goto(url, wait_until="domcontentloaded", timeout=LOAD)
    except api.TimeoutError:
        raise _Trouble(f"none within {format_duration(LOAD)}") from None
    except api.Error as error:
        raise _Trouble(_said(error)) from None
    if reply is not None and reply.status >= 400:
        login = f": {LOGIN}" if reply.status in (401, 403) else ""
        raise _Trouble(f"status {reply.status}{login}")


async def _watch(page: "Page", site: Site, visit: str, looks: Sequence[_Look], script: str) -> list[_Seen]:
    """What is seen of each target at last. Raises _Trouble where the page cannot be asked."""
    began = time.monotonic()
    seen: list[_Seen | None] = [None] * len(looks)
    waiting = list(range(len(looks)))
    while waiting:
        spent = (time.monotonic() - began) * 1000
        try:
            href, found = await page.evaluate(script, [looks[number].target for number in waiting])
        except _playwright().Error as error:  # it is on its way to another page
            if spent > LOAD:
                raise _Trouble(f"one that cannot be asked: {_said(error)}") from None
        else:
            for number, one in zip(waiting, found, strict=True):
                seen[number] = _told(looks[number], one, href, site, visit)
            waiting = [number for number in waiting if not _settled(seen[number], looks[number].patience, spent)]
        if waiting:
            await asyncio.sleep(POLL / 1000)
    return [one for one in seen if one is not None]


def _settled(seen: _Seen | None, patience: int, spent: float) -> bool:
    return seen is not None and (seen.state in ("found", "invalid") or spent >= patience)


def _told(look: _Look, found: Mapping[str, Any], href: str, site: Site, visit: str) -> _Seen:
    """What the finder says of a target at `href`, if that is a page where it belongs."""
    path = _path(href)
    page = visit if path == _path(visit) else path  # without its query: a login's may be secret
    if _origin(href) != site.origin:
        return _Seen("no_page", visit, trouble=f"{_origin(href)}{path}: {LOGIN}")
    if look.where.globs and not any(fits(glob, path) for glob in look.where.globs):
        return _Seen("no_page", visit, trouble=f"{path}: {LOGIN}")
    return _Seen(found["state"], page, found["count"], found.get("element"))


def _said(error: Exception) -> str:
    """What Playwright says, without the name of its call and the log of it."""
    first = str(error).partition("\n")[0] or "none in time"
    return re.sub(r"^\w+\.\w+: ", "", first)


def _judged(pairs: Iterable[tuple[_Wanted, _Look]]) -> list[Tried]:
    """What became of each target; what is wrong goes to its report, a page that did not come once for each file."""
    tried = []
    troubles = set()
    for one, look in pairs:
        aim, seen, report = one.aim, look.seen, one.report
        at = ("content", one.locale, *aim.at)
        state, severity, words = _verdict(aim, look)
        trouble = (report.file, seen.page, seen.trouble) if seen and state == "no_page" else None
        if severity is not None and trouble not in troubles:
            report.add(at, words, severity)
        if trouble:
            troubles.add(trouble)
        line, column = line_column(report.text, report.place.find(at) if report.place else 0)
        found = Tried(report.file, line, column, show_path(at), one.message, one.locale, aim.target, state)
        found.step = None if aim.step is None else aim.step + 1
        found.after = None if aim.after is None else aim.after + 1
        if seen is not None:
            found.page, found.count, found.element = seen.page, seen.count, seen.element
        tried.append(found)
    return tried


def _verdict(aim: _Aim, look: _Look) -> tuple[State, Severity | None, str]:
    """What a target comes to, how bad that is, and in words. A tour that copes without it makes it a warning."""
    seen = look.seen
    if seen is not None and seen.state == "found":
        if seen.count < 2:
            return "found", None, ""
        taken = f"got {seen.count} on {seen.page}: the snippet takes the first, `{seen.element}`"
        return "several", "warning", f"Expected one element, {taken}"
    if seen is not None and seen.state == "invalid":
        return "invalid", "error", f"Expected a CSS selector, `text=…` or `data-engage=…`, got `{aim.target[:80]}`"
    if aim.where.open:
        glob = aim.where.open[0]
        beside = f"Not found on {seen.page}, and not tried" if seen else "Not tried"
        return (
            "not_tried",
            "warning",
            f"{beside} on `{glob}`, which names no one page of this site: add --page '{glob}={_page_for(glob)}'",
        )
    assert seen is not None
    if seen.state == "no_page":
        return "no_page", "error", f"Expected the page {seen.page}, got {seen.trouble}"
    within = f"{seen.page} within {format_duration(look.patience) or '0s'}"
    what = f"one that is hidden, `{seen.element}`" if seen.state == "hidden" else "none"
    if aim.after is not None:
        doing = f"it may come by what the person does at step {aim.after + 1}, and that is not done here"
        return "not_tried", "warning", f"Not tried: on {within} there is {what}; {doing}"
    copes = f"; the tour copes, as `missing` is `{aim.missing}`" if aim.missing in COPES else ""
    words = f"Expected an element `{aim.target[:80]}` that can be seen on {within}, got {what}{copes}"
    return seen.state, "warning" if copes else "error", words
