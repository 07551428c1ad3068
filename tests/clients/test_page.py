"""docs/migrating.md names the clients that are tested, in the versions that are."""

import json
import re

from tests.clients.programs import HERE, PAGE


def test_the_page_names_what_is_tested_with_its_version():
    installed = json.loads((HERE / "package.json").read_text())["dependencies"]
    installed |= dict(re.findall(r"^([a-z-]+)==(.+)$", (HERE / "requirements.in").read_text(), re.MULTILINE))
    table = re.search(r"^\| client \| tested \|\n(.*?)\n\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert table
    named = {}
    for client, version in re.findall(r"^\| (`.+) \| (.+) \|$", table[1], re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`(?: ([0-9.]+[0-9]))?", client)
        named |= {first[0]: version} | dict(more)
    assert named == installed
