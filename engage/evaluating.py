"""`engage rules eval`: a condition on a data document, or a stream of them, one line each.

Evaluations run in a child (`python -m engage.evaluating`) that may be lost: a rule can make the engine copy without end, or crash it, and must
take neither the stream nor the machine with it. The child ends itself; the next evaluation has a new one.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import msgspec

from engage.errors import InvalidRequest
from rules import EvaluationError, evaluate, read_pair, read_value
from rules.limits import MAX_TEXT_BYTES

MAX_SECONDS: Final = 2.0  # of processor time, for one evaluation
MAX_MEMORY: Final = 1 << 30  # bytes of address space, all of the child
MAX_RESULT: Final = 1 << 20  # bytes of JSON

_encode: Final = msgspec.json.Encoder().encode
_SKIP: Final = 64 * 1024


class EvaluationFailed(InvalidRequest):
    """What the engine or the reader of a text said; it is the whole message."""

    @property
    def message(self) -> str:
        return self.expected


class Evaluator:
    """The child, started when it is first needed. A context manager."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def answer(self, rule: Any, data: Any) -> bytes:
        """`{"result": …}` or `{"error": "…"}` as JSON. Never raises for what a rule does."""
        if self._child is None:
            command = [sys.executable, "-P", "-m", "engage.evaluating"]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(_encode([rule, data]) + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        if line.endswith(b"\n"):
            return line[:-1]
        status = self._end()
        if status == -signal.SIGPROF:
            return _error(f"stopped: more than {MAX_SECONDS:g} seconds")
        return _error(f"stopped: more than {MAX_MEMORY >> 20:,} MB of memory, or the engine failed (status {status})")

    def _end(self) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        try:
            child.communicate(timeout=2 * MAX_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            child.kill()
        return child.wait()


def evaluate_arguments(condition: str, data: str) -> bytes:
    """The result as JSON. Each argument is a JSON text, or `@` and the name of a file.

    Raises InvalidRequest, naming the place and what was expected.
    """
    with Evaluator() as evaluator:
        try:
            answer = evaluator.answer(read_value(*_text(condition, "CONDITION")), read_value(*_text(data, "DATA")))
        except EvaluationError as error:
            raise EvaluationFailed(str(error)) from error
    found = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
    if "error" in found:
        raise EvaluationFailed(msgspec.json.decode(found["error"], type=str))
    return bytes(found["result"])


def evaluate_stream(source: BinaryIO, out: BinaryIO) -> None:
    """A line out for each line in, in order, each written at once. A reader that goes away ends it quietly."""
    with Evaluator() as evaluator:
        try:
            while line := source.readline(MAX_TEXT_BYTES + 2):
                out.write(_answer(evaluator, source, line) + b"\n")
                out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # else Python complains when it ends


def _answer(evaluator: Evaluator, source: BinaryIO, line: bytes) -> bytes:
    if not line.endswith(b"\n") and len(line) > MAX_TEXT_BYTES + 1:
        while (rest := source.readline(_SKIP)) and not rest.endswith(b"\n"):
            pass
        return _error(f"Expected a line of at most {MAX_TEXT_BYTES:,} bytes, got a longer one")
    try:
        return evaluator.answer(*read_pair(line.rstrip(b"\r\n")))
    except EvaluationError as error:
        return _error(str(error))


def _text(argument: str, name: str) -> tuple[bytes, str]:
    """A text, and what it is called in its problems."""
    if not argument.startswith("@"):
        return argument.encode("utf-8", "surrogateescape"), name
    path = Path(argument[1:])
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT_BYTES + 1), str(path)
    except OSError as error:
        raise InvalidRequest("a readable file", f"{path} ({error.strerror})", field=name) from error


def _error(text: str) -> bytes:
    return _encode({"error": text})


def _evaluated(line: bytes) -> bytes:
    rule, data = msgspec.json.decode(line)
    try:
        answer = _encode({"result": evaluate(rule, data)})
    except EvaluationError as error:
        return _error(str(error))
    except MemoryError:
        return _error(f"stopped: more than {MAX_MEMORY >> 20:,} MB of memory")
    if len(answer) > MAX_RESULT:
        return _error(f"Expected a result of at most {MAX_RESULT:,} bytes, got {len(answer):,}")
    return answer


def _serve(source: BinaryIO, out: BinaryIO) -> None:
    """The child: answers until its parent goes. SIGPROF, when the time is over, ends it, whatever it is in the middle of."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    except (ValueError, OSError):
        pass  # not every system bounds it; the time still does
    os.dup2(
        os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno()
    )  # an engine that runs out of memory cries; the parent tells
    for line in source:
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        answer = _evaluated(line)
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(answer + b"\n")
        out.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
