"""The demo as `make demo` starts it, and people who use it in a real Chromium. `screenshots/` is for a person to look at."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from tests.conftest import PATIENCE, until, unused_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERVE = EXAMPLES / "demo-app" / "serve.py"
SCREENSHOTS = Path(__file__).parent / "screenshots"
START_SECONDS = 60.0
STOP_SECONDS = 40.0


class Demo:
    """`serve.py`, running, in a session of its own as below a terminal."""

    def __init__(self, data: Path, rules: Path = EXAMPLES, ports: tuple[int, int] | None = None) -> None:
        self.data, self.rules = data, rules
        self.port, self.engage_port = ports or (unused_port(), unused_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = data.parent / f"{data.name}.log"
        options = ["--port", str(self.port), "--engage-port", str(self.engage_port)]
        options += ["--data", str(data), "--rules", str(rules)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
        self._before = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE), *options], stdout=log, stderr=log, env=kept, start_new_session=True
            )
        until(lambda: self.is_ready or self.process.poll() is not None, START_SECONDS, "the demo prints its address")
        if self.process.poll() is not None:
            pytest.fail(f"the demo ended with {self.process.returncode}:\n{self.log}")

    @property
    def log(self) -> str:
        """What it said since this start."""
        return self.log_file.read_bytes()[self._before :].decode()

    @property
    def is_ready(self) -> bool:
        return f"{self.url}\n" in self.log

    def press_ctrl_c(self) -> int:
        """As a terminal does it: to the whole foreground group. Sees that nothing is left; returns the exit status."""
        if self.process.poll() is None:
            started = [self.process, *psutil.Process(self.process.pid).children(recursive=True)]
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(STOP_SECONDS)
            _, alive = psutil.wait_procs([one for one in started if isinstance(one, psutil.Process)], 5)
            assert not alive, f"left running: {alive}"
        return self.process.returncode


class Visitor:
    """A person with a browser of their own, and what they can see of Engage."""

    def __init__(self, demo: Demo, context: BrowserContext, name: str) -> None:
        self.demo = demo
        self.context = context
        self.name = name
        self.complaints: list[str] = []
        context.on("console", lambda said: self._hear(f"{said.type}: {said.text}"))
        context.on("weberror", lambda error: self._hear(f"uncaught: {error.error}"))
        self.page = context.new_page()

    def _hear(self, words: str) -> None:
        self.complaints.append(words)

    def go(self, path: str) -> None:
        self.page.goto(self.demo.url + path)

    def sign_up(self, first_name: str = "Aiko") -> None:
        self.go("/")
        self.page.fill("[name=first_name]", first_name)
        self.page.fill("[name=email]", f"{self.name}@example.com")
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/dashboard")

    def sign_up_past_the_tour(self) -> None:
        self.sign_up()
        expect(self.tour).to_be_visible()
        self.page.keyboard.press("Escape")
        expect(self.decision("welcome-tour").get_by_text("closed")).to_be_visible()

    def visit_pricing(self) -> None:
        """Looks at the prices, and waits until Engage has thought about it."""
        before = self.event("page", "Pricing").count()
        self.go("/pricing")
        expect(self.event("page", "Pricing")).to_have_count(before + 1)

    def fail_export(self) -> None:
        before = self.event("Export Failed").count()
        self.page.click("#export:enabled")
        expect(self.event("Export Failed")).to_have_count(before + 1)

    @property
    def tour(self) -> Locator:
        return self.page.locator("[data-engage] .popover")

    @property
    def chat(self) -> Locator:
        return self.page.locator("[data-engage] .chat")

    @property
    def suggestion(self) -> Locator:
        return self.page.locator("[data-engage] .suggestion")

    @property
    def article(self) -> Locator:
        return self.page.locator("[data-engage] .panel")

    @property
    def panel(self) -> Locator:
        return self.page.locator("#engage-panel")

    def event(self, name: str, words: str = "") -> Locator:
        """Entries of the side panel, the newest first."""
        found = self.page.locator(f"#panel-feed > li[data-event={name!r}]")
        return found.filter(has_text=words) if words else found

    def decision(self, rule: str, outcome: str = "matched") -> Locator:
        return self.page.locator(f"#panel-feed .verdict[data-rule={rule!r}][data-outcome={outcome!r}]")

    def step(self, number: int) -> None:
        """The tour stands at this step."""
        expect(self.tour).to_contain_text(f"{number} / 5")

    def next(self) -> None:
        self.tour.locator("button.main").click()

    def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        # Cards glide in: a picture is taken of what stands still.
        self.page.wait_for_function(
            "[document, document.querySelector('[data-engage]')?.shadowRoot].filter(Boolean).every(root => "
            "root.getAnimations().every(one => one.playState !== 'running' || one.effect.getTiming().iterations > 9))"
        )
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all who only visit it."""
    running = Demo(tmp_path_factory.mktemp("demo") / "data")
    yield running
    running.press_ctrl_c()


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """`start_demo(rules=…, again=an_earlier_one)`: a demo of one's own."""
    started: list[Demo] = []

    def start(rules: Path = EXAMPLES, again: Demo | None = None) -> Demo:
        ports = (again.port, again.engage_port) if again else None
        started.append(Demo(again.data if again else tmp_path / "data", rules, ports))
        return started[-1]

    yield start
    for one in started:
        one.press_ctrl_c()


@pytest.fixture
def own_rules(tmp_path: Path) -> Path:
    """A copy of the examples' definitions, to be edited."""
    for name in ("rules", "messages", "articles"):
        shutil.copytree(EXAMPLES / name, tmp_path / "definitions" / name)
    return tmp_path / "definitions"


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """`visit(demo, locale="en-US", size=(1440, 900))`: somebody new. Their console has to stay silent."""
    visitors: list[Visitor] = []

    def arrive(demo: Demo, locale: str = "en-US", size: tuple[int, int] = (1440, 900)) -> Visitor:
        context = browser.new_context(locale=locale, viewport={"width": size[0], "height": size[1]})
        context.set_default_timeout(PATIENCE)
        name = re.sub(r"\W+", "-", request.node.name).strip("-").lower()
        visitors.append(Visitor(demo, context, f"{name}-{len(visitors)}"))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.context.close()
        assert not visitor.complaints


@pytest.fixture
def visitor(visit: Visit, demo: Demo) -> Visitor:
    return visit(demo)
