"""Identity verification as a page meets it: with the proof that its backend made, without, and with a short-lived token."""

import time

import jwt
import pytest
from playwright.sync_api import Browser, Page, expect

from engage.verification import user_hash
from tests.conftest import Service, until

pytestmark = pytest.mark.browser
SECRET = "the identity secret of this journey, long enough"
DOCUMENTS = {
    "rules/hello.json": {"id": "hello", "trigger": "Wake", "message": "hi"},
    "messages/hi.json": {"id": "hi", "kind": "chat", "content": {"en": {"text": "Hello"}}},
}


def _open(browser: Browser, service: Service, user: str, proof: str | None) -> Page:
    """A page of a customer whose visitor has signed in, and does what wakes a message."""
    page = browser.new_context().new_page()
    options = f'{{writeKey: "{service.write_key}", host: "{service.url}"{f", userHash: {proof!r}" if proof else ""}}}'
    html = f"""<!doctype html><script>window.engage=window.engage||[];
engage.push(["init", {options}], ["identify", "{user}", {{plan: "gold"}}], ["track", "Wake"])</script>
<script async src="{service.url}/sdk/engage.js"></script>"""
    page.route("**/customer", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{service.url}/customer")
    return page


def test_a_page_with_proof_gets_its_users_message_and_one_without_gets_nothing(browser, service, write_documents):
    environment = {"ENGAGE_IDENTITY_SECRET": SECRET, "ENGAGE_IDENTITY_ENFORCE": "all"}
    running = service(rules=write_documents(DOCUMENTS), env=environment)
    token = jwt.encode({"sub": "bob", "exp": time.time() + 600, "traits": {"plan": "free"}}, SECRET, "HS256")
    for user, proof, plan in (("aiko", user_hash(SECRET, "aiko"), "gold"), ("bob", token, "free")):
        page = _open(browser, running, user, proof)
        expect(page.locator("[data-engage] .chat")).to_contain_text("Hello")
        with running.client(auth=(running.secret_key, "")) as server:
            exported = server.get(f"/api/users/{user}/export")
            assert exported.json()["user"]["traits"] == {"plan": plan}
            assert proof not in exported.text
            shown = until(lambda: server.get(f"/api/users/{user}/export").json()["deliveries"][0]["shown_at"])  # noqa: B023
            assert shown
        page.context.close()
    page = _open(browser, running, "carol", user_hash(SECRET, "aiko"))
    with running.client(auth=(running.secret_key, "")) as server:
        anonymous = page.evaluate("engage.anonymousId")
        until(lambda: server.get(f"/api/users/{anonymous}").status_code == 200, what="the visitor is known")
        assert server.get("/api/users/carol").status_code == 404
        assert server.get(f"/api/users/{anonymous}").json()["person"] == f"a:{anonymous}"
    page.context.close()
