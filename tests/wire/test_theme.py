"""A project's theme: published with its document, served as a style sheet, seen in what is shown."""

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import Service, StartService, until

THEME = {"accent": "#0a7c66", "radius": "3px", "font": ["Inter", "sans-serif"], "dark": {"accent": "#34d399"}}


def write(folder: Path, theme: object) -> Path:
    path = folder / "project" / "shop.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"id": "shop", "theme": theme}))
    return folder


@pytest.fixture(scope="module")
def themed(start_service: StartService, tmp_path_factory: pytest.TempPathFactory) -> tuple[Service, Path]:
    folder = write(tmp_path_factory.mktemp("definitions"), THEME)
    return start_service(folder), folder


def sheet(service: Service, **headers: str) -> httpx.Response:
    path = f"/v1/projects/{service.write_key}/theme.css"
    return httpx.get(service.url + path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_it_is_served_and_kept_by_its_etag(themed: tuple[Service, Path]) -> None:
    service, _ = themed
    until(lambda: sheet(service).text, what="the theme is in force")
    reply = sheet(service)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/css; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert "--engage-accent: light-dark(#0a7c66,#34d399);" in reply.text
    assert '--engage-font: "Inter",sans-serif;' in reply.text
    known = sheet(service, if_none_match=reply.headers["etag"])
    assert (known.status_code, known.content) == (304, b"")
    assert httpx.get(f"{service.url}/v1/projects/wk_nobody/theme.css").status_code == 404


@pytest.mark.browser
def test_what_is_shown_has_it_but_what_the_site_says_outweighs_it(
    themed: tuple[Service, Path], browser: Browser
) -> None:
    service, _ = themed
    until(lambda: sheet(service).text, what="the theme is in force")
    page = browser.new_page(color_scheme="light", bypass_csp=True)
    page.goto(f"{service.url}/sdk/gallery?writeKey={service.write_key}&theme=Yours&show=5")  # a banner
    card, button = page.locator(".banner"), page.locator(".banner .main")
    expect(button).to_have_css("background-color", "rgb(10, 124, 102)")
    expect(card).to_have_css("border-top-left-radius", "3px")
    expect(card).to_have_css("font-family", "Inter, sans-serif")
    page.emulate_media(color_scheme="dark")
    expect(button).to_have_css("background-color", "rgb(52, 211, 153)")
    # Whichever comes first.
    page.evaluate(
        "document.head.prepend(Object.assign(document.createElement('style'), {textContent: ':root { --engage-radius: 9px }'}))"
    )
    expect(card).to_have_css("border-top-left-radius", "9px")
    page.goto(f"{service.url}/sdk/gallery?writeKey={service.write_key}")
    expect(page.get_by_label("Yours")).to_be_checked()
    expect(page.frame_locator('iframe[title="Banner"]').locator(".main")).to_have_css(
        "background-color", "rgb(52, 211, 153)"
    )
    page.close()


def test_a_change_is_followed_and_a_mistake_is_not(themed: tuple[Service, Path]) -> None:
    service, folder = themed
    before = sheet(service).headers["etag"]
    write(folder, {"accent": "#fff;} body { display: none"})
    until(lambda: "Expected a colour" in service.log, what="the mistake is told")
    assert sheet(service).headers["etag"] == before
    write(folder, {"radius": "12px"})
    until(lambda: "--engage-radius: 12px" in sheet(service).text, what="the new theme is in force")
    assert "accent" not in sheet(service).text
    write(folder, None)
    until(lambda: not sheet(service).text, what="there is no theme any more")
    assert sheet(service).status_code == 200
