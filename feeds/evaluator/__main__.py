"""
The child: reads requests and answers them until its parent goes away.

A request is a line `{"text", "count", "patienceMs"}`. It is answered by one line on the expression,
`{"paths"}` or `{"refused", "position"}`. If it was not refused, `count` lines of documents follow,
and one line is answered for each as soon as it is known: `1`, `0`, or `!` and why it failed. So
when the child is killed the parent knows by which document.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

import orjson

from feeds.evaluator.engine import Compiled, compiled
from feeds.evaluator.outcomes import OUT_OF_MEMORY, ExpressionFailed, ExpressionRefused

# What an evaluation may take beyond what the process has when it starts.
MEMORY: Final = 64 * 1024 * 1024
# Beyond its patience an evaluation that cannot be interrupted is killed with its process.
KILL_AFTER_SECONDS: Final = 0.25


def main() -> None:
    # Ctrl-C is for the parent; its end ends the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _limit_memory()
    _send(answers, b"ready")
    try:
        while line := requests.readline():
            _answer(orjson.loads(line), requests, answers)
    except MemoryError:
        # What is left of the memory is in pieces: the next child starts afresh.
        os._exit(OUT_OF_MEMORY)


def _answer(request: dict[str, object], requests: BinaryIO, answers: BinaryIO) -> None:
    documents = range(int(str(request["count"])))
    try:
        with _killed_when_late():
            expression = compiled(str(request["text"]))
    except ExpressionRefused as refusal:
        _send(answers, orjson.dumps({"refused": str(refusal), "position": refusal.position}))
        return
    _send(answers, orjson.dumps({"paths": expression.paths}))
    patience_ms = float(str(request["patienceMs"]))
    for _ in documents:
        _send(answers, _judge(expression, requests.readline(), patience_ms))


def _judge(expression: Compiled, document: bytes, patience_ms: float) -> bytes:
    try:
        with _killed_when_late():
            is_match = expression.matches(orjson.loads(document), patience_ms=patience_ms)
    except (ExpressionFailed, orjson.JSONDecodeError) as failure:
        return b"!" + str(failure).replace("\n", " ").encode(errors="replace")
    return b"1" if is_match else b"0"


@contextlib.contextmanager
def _killed_when_late() -> Iterator[None]:
    # SIGPROF is not handled, on purpose: a handler would wait for the very call that does not end.
    signal.setitimer(signal.ITIMER_PROF, KILL_AFTER_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _send(answers: BinaryIO, line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def _limit_memory() -> None:
    # Where there is no /proc, the limit of time has to do.
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm", "rb") as told:
        most = int(told.read().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
