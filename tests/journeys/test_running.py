"""`make demo` as a process: what it starts it ends, what it kept it still knows, and it says what is wrong."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import expect

from tests.conftest import unused_port
from tests.journeys.conftest import SERVE, STOP_SECONDS, Demo, Visit

Start = Callable[..., Demo]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.browser
def test_ctrl_c_ends_every_process_also_while_somebody_watches(start_demo: Start, visit: Visit) -> None:
    demo = start_demo()
    visitor = visit(demo)
    visitor.go("/help")
    expect(visitor.event("page")).to_be_visible()
    assert demo.press_ctrl_c() == 0
    assert "Everything has ended." in demo.log
    assert "Traceback" not in demo.log
    assert "ERROR" not in demo.log
    visitor.page.close()
    visitor.complaints.clear()  # the browser's own notes on a server that went away


@pytest.mark.browser
def test_a_second_start_knows_people_their_history_and_what_was_shown(start_demo: Start, visit: Visit) -> None:
    first = start_demo()
    visitor = visit(first)
    visitor.sign_up("Ren")
    for number in range(1, 6):
        visitor.step(number)
        visitor.next()
    expect(visitor.decision("welcome-tour").get_by_text("finished")).to_be_visible()
    visitor.page.click("#new-project")
    visitor.page.fill("#project-dialog [name=name]", "Kept for tomorrow")
    visitor.page.keyboard.press("Enter")
    expect(visitor.event("Project Created")).to_be_visible()
    visitor.page.goto("about:blank")
    first.press_ctrl_c()

    again = start_demo(again=first)
    visitor.demo = again
    visitor.go("/")  # signed in still
    visitor.page.wait_for_url("**/dashboard")
    expect(visitor.page.locator("h1")).to_have_text("Good to see you, Ren")
    expect(visitor.decision("welcome-tour", "capped")).to_be_visible()
    expect(visitor.decision("welcome-tour").get_by_text("finished")).to_be_visible()
    expect(visitor.event("Project Created")).to_be_visible()
    expect(visitor.tour).to_have_count(0)
    visitor.go("/projects")
    expect(visitor.page.get_by_text("Kept for tomorrow")).to_be_visible()
    visitor.page.close()  # before the demo ends: a page would note that its server is gone


def test_sigterm_ends_everything_too(start_demo: Start) -> None:
    demo = start_demo()
    children = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(STOP_SECONDS) == 0
    _, alive = psutil.wait_procs(children, 5)
    assert not alive


@pytest.mark.faults
def test_when_engage_ends_for_good_the_demo_says_so_and_ends(start_demo: Start) -> None:
    demo = start_demo()
    children = psutil.Process(demo.process.pid).children(recursive=True)
    (engage,) = psutil.Process(demo.process.pid).children()
    engage.kill()
    assert demo.process.wait(STOP_SECONDS) == 1
    assert "Engage ended while it ran" in demo.log
    _, alive = psutil.wait_procs(children, 5)
    assert not alive


@pytest.mark.faults
def test_when_the_demo_is_killed_nothing_goes_on(start_demo: Start) -> None:
    demo = start_demo()
    children = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.kill()
    demo.process.wait()
    _, alive = psutil.wait_procs(children, STOP_SECONDS)
    assert not alive


@pytest.mark.parametrize("option", ["--port", "--engage-port"])
def test_a_taken_port_is_named_with_what_to_do(taken_port: int, option: str) -> None:
    other = {"--port": "--engage-port", "--engage-port": "--port"}[option]
    command = [sys.executable, str(SERVE), option, str(taken_port), other, str(unused_port())]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=STOP_SECONDS, check=False)
    assert tried.returncode == 1
    assert f"Port {taken_port} on 127.0.0.1" in tried.stderr
    assert f"serve.py {option} " in tried.stderr
