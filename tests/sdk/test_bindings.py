"""The npm package in small real applications: React and Vue, which draw their elements anew all the time."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.sdk.conftest import SDK, Site
from tests.sdk.fake_service import FakeService

pytestmark = pytest.mark.browser
APPS = {"react": "react.tsx", "vue": "vue.ts"}


@pytest.fixture(scope="module")
def package(bundle: Path) -> None:
    """dist/npm, as `npm pack` would take it."""
    npm = shutil.which("npm")
    assert npm
    subprocess.run([npm, "run", "--silent", "package"], cwd=SDK, check=True)


@pytest.fixture(params=list(APPS))
def app(request: Any, package: None, service: FakeService, site: Site, tmp_path: Path) -> Page:
    """The application, on a page that allows scripts of the service and its own alone."""
    built = tmp_path / "app.js"
    define = [f"--define:HOST={json.dumps(service.host)}", '--define:process.env.NODE_ENV="development"']
    define += [f"--define:__VUE_{flag}__=false" for flag in ("PROD_DEVTOOLS", "PROD_HYDRATION_MISMATCH_DETAILS")]
    define.append("--define:__VUE_OPTIONS_API__=true")
    more = ["--bundle", "--format=iife", "--jsx=automatic", f"--outfile={built}", "--log-level=warning"]
    esbuild = SDK / "node_modules" / ".bin" / "esbuild"
    subprocess.run([esbuild, f"test/apps/{APPS[request.param]}", *more, *define], cwd=SDK, check=True)
    site.context.route("**/app.js", lambda route: route.fulfill(path=built, content_type="text/javascript"))
    service.headers["content-security-policy"] = (
        f"default-src 'self' {service.host}; require-trusted-types-for 'script'; img-src data:; style-src 'unsafe-inline'"
    )
    service.pages["/app"] = (
        '<!doctype html><link rel="icon" href="data:,"><body><div id="root"></div><script src="/app.js"></script>'
    )
    page = site.context.new_page()
    page.goto(service.site + "/app")
    return page


def test_a_tour_runs_while_everything_is_drawn_anew(app: Page, service: FakeService, site: Site) -> None:
    steps = [
        {"target": "#create", "title": "Press it", "advance": {"event": "Project Created"}},
        {"target": "text=New project", "title": "Again"},
        {"title": "Done"},
    ]
    service.deliver(delivery_id="t", kind="tour", content={"steps": steps})
    expect(app.get_by_role("dialog", name="Press it")).to_be_visible()
    before = app.locator("h1").inner_text()
    app.wait_for_function("before => document.querySelector('h1').innerText !== before", arg=before)
    expect(app.get_by_role("dialog", name="Press it")).to_be_visible()
    app.evaluate("document.querySelector('#create').click()")  # it is another one a moment later
    expect(app.get_by_role("dialog", name="Again")).to_be_visible()
    app.locator(".popover").get_by_role("button", name="Next").click()
    app.locator(".popover").get_by_role("button", name="Done", exact=True).click()
    expect(app.locator("output")).to_have_text("tour at true")
    assert service.names().count("Message Shown") == 1
    assert service.calls == [("claim", "t")]
    assert service.wait_event("Project Created")["properties"].keys() == {"turn"}
    assert [line for line in site.complaints() if "React DevTools" not in line and "development" not in line] == []


def test_what_is_done_before_the_script_is_there_counts_and_once(app: Page, service: FakeService, site: Site) -> None:
    app.get_by_role("button", name="Sign in").click()
    identified = service.wait_event("identify")
    assert (identified["userId"], identified["traits"]) == ("ann", {"plan": "trial"})
    app.wait_for_function("engage.userId === 'ann'")
    app.evaluate("engage.track('End')")
    service.wait_event("End")
    assert service.names() == ["identify", "End"]


def test_who_is_gone_hears_no_more(app: Page, service: FakeService, site: Site) -> None:
    service.deliver(delivery_id="a", kind="banner", content={"text": "One", "actions": [{"label": "Fine"}]})
    app.get_by_role("button", name="Fine").click()
    expect(app.locator("output")).to_have_text("banner at true")
    app.get_by_role("button", name="Toggle").click()
    expect(app.locator("output")).to_have_count(0)
    service.deliver(delivery_id="b", kind="banner", content={"text": "Two", "actions": [{"label": "Fine"}]})
    app.get_by_role("button", name="Fine").click()
    service.wait_event("Message Completed", 2)
    app.get_by_role("button", name="Toggle").click()
    expect(app.locator("output")).to_have_text("")
    assert [line for line in site.complaints() if "React DevTools" not in line and "development" not in line] == []


def test_on_a_server_nothing_happens(package: None) -> None:
    script = """import { createEngage } from "@engage/sdk";
    const engage = createEngage({ writeKey: "wk", host: "https://engage.example.com/" });
    engage.track("Opened"); engage.on("shown", () => {});
    console.log(engage === createEngage({ writeKey: "wk", host: "https://engage.example.com" }), engage.userId, typeof engage.ready.then);"""
    node = shutil.which("node")
    assert node
    done = subprocess.run([node, "--input-type=module", "-e", script], cwd=SDK, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("true undefined function\n", "")
