from datetime import timedelta

import pytest

from workflow.retries import LONGEST_DELAY_SECONDS, retry_delay, tracking_pause

MANY = range(200)


@pytest.mark.parametrize(
    ("attempts", "full"),
    [(1, 2), (2, 4), (3, 8), (4, 16), (8, 256), (9, 300), (12, 300), (1_000, 300)],
)
def test_the_delay_doubles_up_to_five_minutes_half_of_it_jitter(
    attempts: int, full: float
) -> None:
    delays = [retry_delay(attempts) for _ in MANY]
    assert full / 2 <= min(delays) < max(delays) <= full


def test_what_failed_together_does_not_return_together() -> None:
    assert len({retry_delay(3) for _ in MANY}) > len(MANY) / 2


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        (0.0, 1.0, 2.0),  # never sooner than the backoff
        (60.0, 60.0, 60.0),
        (3600.0, LONGEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS),  # nor later than the longest
    ],
)
def test_a_services_own_wish_is_honored_within_limits(
    retry_after: float, least: float, most: float
) -> None:
    for _ in MANY:
        assert least <= retry_delay(1, retry_after=retry_after) <= most


@pytest.mark.parametrize(
    ("age", "minutes"),
    [
        (timedelta(seconds=-5), 5),  # dispatched in a moment, says the ERP
        (timedelta(0), 5),
        (timedelta(hours=2), 30),
        (timedelta(days=3), 120),
        (timedelta(days=59), 720),
    ],
)
def test_the_older_a_parcel_the_longer_until_it_is_asked_for_again(
    age: timedelta, minutes: int
) -> None:
    assert tracking_pause(age) == timedelta(minutes=minutes)


def test_a_parcel_that_never_comes_is_asked_for_no_more() -> None:
    assert tracking_pause(timedelta(days=60)) is None
