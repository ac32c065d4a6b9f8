"""
The evaluator's processes, seen from the process that needs them: started when first needed.

A child that is killed by an expression is replaced, and what killed it is a failure of that
expression on that document. A child that cannot be started or does not answer is nobody's failure:
`EvaluatorUnavailable`, and nothing is decided.
"""

import atexit
import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from feeds.evaluator.outcomes import (
    OUT_OF_MEMORY,
    PATIENCE_MS,
    TOO_LONG,
    TOO_MUCH_MEMORY,
    EvaluatorUnavailable,
    ExpressionRefused,
    Verdict,
)

ROOT: Final = Path(__file__).resolve().parents[2]
# A child is started on a busy machine within this time, and answers within it, or never.
SILENCE_SECONDS: Final = 30.0
# Documents under way to a child: their answers fit into the socket's buffer.
CHUNK: Final = 50
# Children of one process: as many evaluations at once.
MOST_CHILDREN: Final = 2
# Failures for lack of time or memory after which an expression gets less time for the rest of a call.
STRIKES: Final = 10
PATIENCE_AFTER_STRIKES_MS: Final = 5.0


class _ChildEnded(Exception):
    """The child is gone. `cause` says how the expression did it, if it can only have been that."""

    def __init__(self, code: int) -> None:
        self.cause = _CAUSES.get(code, "")
        self.is_by_others = code in _BY_OTHERS
        super().__init__(f"evaluator ended with {code}")


class _Child:
    """One process of the evaluator, used by one thread at a time. Raises EvaluatorUnavailable."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(SILENCE_SECONDS)
        self.answers = self.socket.makefile("rb")
        try:
            with theirs:
                self.process = _started(theirs.fileno())
        except OSError as error:
            self.answers.close()
            self.socket.close()
            raise EvaluatorUnavailable("No evaluator of expressions can be started.") from error
        try:
            ready = self.answers.readline()
        except OSError:
            ready = b""
        if not ready:
            self.end()
            raise EvaluatorUnavailable("The evaluator of expressions does not start.")

    def begin(self, text: str, count: int, patience_ms: float) -> dict[str, Any]:
        """This function will announce documents and return what the child says of the expression."""
        request = {"text": text, "count": count, "patienceMs": patience_ms}
        self.send(orjson.dumps(request) + b"\n")
        told: dict[str, Any] = orjson.loads(self.receive())
        return told

    def send(self, lines: bytes) -> None:
        try:
            self.socket.sendall(lines)
        except OSError as error:
            raise self._ended(error) from error

    def receive(self) -> bytes:
        try:
            line = self.answers.readline()
        except OSError as error:
            raise self._ended(error) from error
        if not line.endswith(b"\n"):
            raise self._ended(None)
        return line[:-1]

    def end(self) -> None:
        self.answers.close()
        self.socket.close()
        self.process.kill()
        self.process.wait()

    def _ended(self, error: OSError | None) -> Exception:
        if isinstance(error, TimeoutError):
            return EvaluatorUnavailable("The evaluator of expressions does not answer.")
        return _ChildEnded(self.process.wait(SILENCE_SECONDS))


def _started(channel: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "feeds.evaluator"],
        cwd=ROOT,
        # It needs no secret of ours, only what a Python needs to start.
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        stdin=channel,
        stdout=channel,
    )


_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "LANG", "LC_ALL")
# Nothing that an expression does ends its process in these ways: somebody else did.
_BY_OTHERS: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, 0})
_CAUSES: Final = {
    -signal.SIGPROF: f"{TOO_LONG}: The expression takes too long.",
    # The regular expression engine's way to run out of memory.
    -signal.SIGABRT: TOO_MUCH_MEMORY,
    OUT_OF_MEMORY: TOO_MUCH_MEMORY,
}


class _Children:
    """Idle children, and how many there are."""

    def __init__(self) -> None:
        self.idle: list[_Child] = []
        self.slots = threading.BoundedSemaphore(MOST_CHILDREN)

    def take(self, *, fresh: bool) -> _Child:
        """This function will return a child that nobody else has, a new one if `fresh`."""
        if not self.slots.acquire(timeout=SILENCE_SECONDS):
            raise EvaluatorUnavailable("The evaluators of expressions are all busy.")
        try:
            if fresh:
                self.end_all()
            with contextlib.suppress(IndexError):
                return self.idle.pop()
            return _Child()
        except BaseException as error:
            self.slots.release()
            if isinstance(error, OSError):
                raise EvaluatorUnavailable(
                    "No evaluator of expressions can be started."
                ) from error
            raise

    def give_back(self, child: _Child) -> None:
        self.idle.append(child)
        self.slots.release()

    def give_up(self, child: _Child) -> None:
        try:
            child.end()
        finally:
            self.slots.release()

    def end_all(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self.idle.pop().end()

    def forget(self) -> None:
        """This function will let go of a parent's children, in a process that was forked from it."""
        for child in self.idle:
            child.socket.close()
            child.process.returncode = 0
        self.__init__()  # type: ignore[misc]


_children = _Children()
atexit.register(_children.end_all)
os.register_at_fork(after_in_child=_children.forget)


def paths_of_expression(text: str) -> list[tuple[str, ...]]:
    """
    This function will return the paths that an expression asks for.

    Raises ExpressionRefused if it may not be kept, EvaluatorUnavailable.
    """
    told, _ = _ask(text, [], PATIENCE_MS)
    return [tuple(path) for path in told["paths"]]


def verdicts_of_expression(
    text: str, documents: Sequence[Any], *, seconds: float = math.inf
) -> list[Verdict]:
    """
    This function will say of each document whether an expression matches it.

    After `seconds` it goes no further: the verdicts are then of the first documents, one at least.
    Raises ExpressionRefused, EvaluatorUnavailable.
    """
    ends_at = time.monotonic() + seconds
    verdicts: list[Verdict] = []
    lines = [orjson.dumps(document) + b"\n" for document in documents]
    strikes = 0
    while len(verdicts) < len(lines):
        patience = PATIENCE_MS if strikes < STRIKES else PATIENCE_AFTER_STRIKES_MS
        begun = len(verdicts)
        _, fresh = _ask(text, lines[begun : begun + CHUNK], patience)
        verdicts += fresh
        strikes += sum(verdict.was_costly for verdict in fresh)
        if time.monotonic() >= ends_at:
            break
    return verdicts


def _ask(
    text: str, lines: Sequence[bytes], patience_ms: float
) -> tuple[dict[str, Any], list[Verdict]]:
    """
    This function will judge documents up to the first that kills the child, that one included.

    What a child did that others killed is done again by a new one.
    """
    for is_last in (False, True):
        verdicts: list[Verdict] = []
        child, told = _children.take(fresh=is_last), {}
        try:
            told = child.begin(text, len(lines), patience_ms)
            if "refused" not in told and lines:
                child.send(b"".join(lines))
                verdicts.extend(_verdict_of(child.receive()) for _ in lines)
        except _ChildEnded as end:
            _children.give_up(child)
            if not end.cause and not is_last:
                continue
            if end.is_by_others:
                raise EvaluatorUnavailable("The evaluators of expressions are killed.") from end
            cause = end.cause or "The expression ended its evaluator."
            if "paths" not in told:
                raise ExpressionRefused(cause) from end
            return told, [*verdicts, Verdict(False, cause)]
        except BaseException:
            _children.give_up(child)
            raise
        _children.give_back(child)
        if "refused" in told:
            raise ExpressionRefused(told["refused"], told["position"])
        return told, verdicts
    raise AssertionError("The second attempt returns or raises.")


def _verdict_of(line: bytes) -> Verdict:
    if line.startswith(b"!"):
        return Verdict(False, line[1:].decode(errors="replace"))
    return Verdict(line == b"1")
