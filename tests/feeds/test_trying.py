"""Expressions are tried one after the other, and few wait for it: others have their feeds to read."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from feeds import trying
from feeds.expressions import EvaluatorUnavailable
from feeds.trying import MOST_WAITING, trying_in_turn


@contextmanager
def somebody_trying() -> Iterator[None]:
    """This function will have another thread at its trial until the block ends."""
    begun, go_on = threading.Event(), threading.Event()

    def try_long() -> None:
        with trying_in_turn():
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=try_long)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        go_on.set()
        thread.join(10)


def try_shortly() -> str:
    with trying_in_turn():
        return "tried"


def test_a_trial_that_waits_in_vain_gives_its_thread_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "PATIENCE_SECONDS", 0.01)
    with somebody_trying(), pytest.raises(EvaluatorUnavailable, match="Another"):
        try_shortly()
    assert try_shortly() == "tried"


def test_few_wait_for_their_turn_and_the_others_are_told_at_once() -> None:
    asked: list[Callable[[], str]] = [try_shortly] * (MOST_WAITING + 3)
    with ThreadPoolExecutor(len(asked)) as threads:
        with somebody_trying():
            answers: list[Future[str]] = [threads.submit(ask) for ask in asked]
            refused = [_refusal_of(answer) for answer in answers]
            assert refused.count("Too many") == 3
        assert [answer.result(10) for answer in answers if not answer.exception()] == [
            "tried"
        ] * MOST_WAITING


def _refusal_of(answer: Future[str]) -> str:
    """Those that wait have none yet."""
    try:
        error = answer.exception(0.5)
    except TimeoutError:
        return ""
    return "Too many" if "Too many" in str(error) else str(error)
