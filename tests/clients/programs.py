"""Others' clients as programs of their own: the code of docs/migrating.md, and after it the calls of a test."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engage.bootstrap import VENV
from tests.conftest import Service

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"
SECONDS = 120
Json = dict[str, Any]
Call = tuple[str, Json]


def documented(heading: str) -> list[str]:
    """The code below a heading of docs/migrating.md, box by box."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"docs/migrating.md has no heading {heading!r}"
    return re.findall(r"^```\w+\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


def filled(code: str, key: str, url: str) -> str:
    """The code with a real key and a real address."""
    assert "wk_…" in code or "_cdn" in code
    assert "https://engage.example.com" in code
    return code.replace("wk_…", key).replace("https://engage.example.com", url)


class Program:
    """A client at work. `requests` are the bodies that it sent, also those it sent again."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.failures: list[str] = []

    def told(self) -> Iterator[Json]:
        """What it does, one thing after another, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "request" in said:
                self.requests.append(said["request"])
            if "headers" in said:
                self.headers.append({name.lower(): value for name, value in said["headers"].items()})
            if "failed" in said:
                self.failures.append(said["failed"])
            yield said

    def wait_requests(self, number: int) -> None:
        """Until it has sent so many."""
        for _ in self.told():
            if len(self.requests) == number:
                return
        raise AssertionError(f"it ended after {len(self.requests)} requests: {self.failures}")

    def finish(self) -> None:
        """Until it has ended, of itself and well."""
        for _ in self.told():
            pass
        _, complaints = self._process.communicate(timeout=SECONDS)
        assert self._process.returncode == 0, complaints

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def items(self) -> dict[str, tuple[Json, Json]]:
        """Of each messageId the event as it was last sent, and the batch it came in."""
        return {item["messageId"]: (item, body) for body in self.requests for item in body["batch"]}


class Client:
    """One of the four for servers."""

    def __init__(self, name: str, heading: str, driver: str) -> None:
        self.name = name
        self._heading = heading
        self._driver = HERE / driver

    def start(self, service: Service, calls: Sequence[Call], url: str | None = None, key: str | None = None) -> Program:
        code = filled(documented(self._heading)[0], key or service.write_key, url or service.url)
        path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(VENV / "clients")}
        if self._driver.suffix == ".py":
            return Program([sys.executable, str(self._driver), code, json.dumps(calls)], HERE, environment)
        node = shutil.which("node", path=path)
        assert node, "Node.js is needed: `make test` installs it"
        whole = code + self._driver.read_text()
        return Program([node, "--input-type=module", "-e", whole, json.dumps(calls)], HERE, environment)


SEGMENT_NODE = Client("segment-node", "Segment for Node.js", "segment_node.js")
SEGMENT_PYTHON = Client("segment-python", "Segment for Python", "drive.py")
RUDDER_NODE = Client("rudderstack-node", "RudderStack for Node.js", "rudder_node.js")
RUDDER_PYTHON = Client("rudderstack-python", "RudderStack for Python", "drive.py")
CLIENTS = (SEGMENT_NODE, SEGMENT_PYTHON, RUDDER_NODE, RUDDER_PYTHON)
