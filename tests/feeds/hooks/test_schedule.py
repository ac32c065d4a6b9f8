from datetime import UTC, datetime

import pytest

from feeds.hooks.schedule import ATTEMPTS, DELAYS_SECONDS, delay_after, read_retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        (1, 5),
        (2, 300),
        (3, 1800),
        (4, 2 * HOUR),
        (5, 5 * HOUR),
        (6, 10 * HOUR),
        (7, 14 * HOUR),
        (8, 20 * HOUR),
        (9, 24 * HOUR),
        (10, None),
        (11, None),
    ],
)
def test_the_published_schedule(attempt: int, seconds: float | None) -> None:
    assert delay_after(attempt, jitter=0.0) == seconds


def test_all_attempts_together_take_about_76_hours() -> None:
    assert ATTEMPTS == 10
    assert sum(DELAYS_SECONDS) / HOUR == pytest.approx(75.6, abs=0.1)


def test_jitter_only_adds_and_at_most_a_tenth() -> None:
    delays = [delay_after(2, jitter=share / 10) for share in range(11)]
    assert delays == sorted(delays, key=float)  # type: ignore[arg-type]
    assert (delays[0], delays[-1]) == (300, 330)


def test_a_receivers_retry_after_is_waited_at_least() -> None:
    assert delay_after(1, jitter=0.0, retry_after=60) == 60
    assert delay_after(2, jitter=0.0, retry_after=60) == 300
    assert delay_after(10, jitter=0.0, retry_after=60) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 1),
        ("120", 120),
        (" 120 ", 120),
        ("99999999999", 6 * HOUR),
        ("9" * 500, None),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 1),
        ("Sun, 01 Mar 2036 12:00:00 GMT", 6 * HOUR),
        ("Sun, 99 Mar 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_spellings_and_bounded(
    header: str | None, seconds: float | None
) -> None:
    assert read_retry_after(header, now=NOW) == seconds
