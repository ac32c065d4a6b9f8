"""Runs the same work in several processes at once and counts what they did together."""

import multiprocessing
import time
from collections.abc import Callable

from django.db import connections

# Takes its number and a moment of the monotonic clock; returns how much it did until then.
Work = Callable[[int, float], int]


def rate_of(work: Work, *, clients: int, seconds: float) -> float:
    """
    This function will return how much `clients` processes did together, a second.

    Each counts until it ends: work that runs out of orders early is divided by its own time.
    """
    if clients == 1:
        return _rate_alone(work, 0, seconds)
    connections.close_all()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(clients)
    results: multiprocessing.SimpleQueue[float] = context.SimpleQueue()

    def run(number: int) -> None:
        connections["default"].ensure_connection()
        barrier.wait(60)
        results.put(_rate_alone(work, number, seconds))

    processes = [context.Process(target=run, args=(number,)) for number in range(clients)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds * 10 + 60)
    if any(process.exitcode != 0 for process in processes):
        raise RuntimeError("A measuring process failed.")
    return sum(results.get() for _ in processes)


def _rate_alone(work: Work, number: int, seconds: float) -> float:
    started = time.perf_counter()
    done = work(number, time.monotonic() + seconds)
    return done / (time.perf_counter() - started)
