"""Who walks the list as if it were a feed, told from who looks something up."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from oms.api.polling import ListRequest, Pattern, classify, read_request

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
SHOP = frozenset({("f_status", "invoiced")})


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def following(
    count: int, every: float = 60, *, behind: float = 0, page: int = 1
) -> list[ListRequest]:
    """Windows that follow the present, each where the last one ended."""
    return [
        ListRequest(
            after(n * every),
            SHOP,
            after((n - 1) * every - behind),
            after(n * every - behind),
            page,
        )
        for n in range(count)
    ]


def pages(*numbers: int, every: float = 20) -> list[ListRequest]:
    return [ListRequest(after(n * every), SHOP, page=page) for n, page in enumerate(numbers)]


def at(*seconds: float) -> list[ListRequest]:
    return [ListRequest(after(second), SHOP) for second in seconds]


def since(count: int) -> list[ListRequest]:
    """Only the beginning moves: everything since the last time."""
    return [
        ListRequest(after(n * 30), SHOP, after(n * 30 - 60), NOW + timedelta(days=1))
        for n in range(count)
    ]


BACKWARD = [
    ListRequest(after(n * 60), SHOP, after(-n * 60 - 60), after(-n * 60)) for n in range(12)
]
MONTHS = [
    ListRequest(
        after(n * 20), SHOP, NOW - timedelta(days=400 - 30 * n), NOW - timedelta(days=370 - 30 * n)
    )
    for n in range(12)
]


@pytest.mark.parametrize(
    ("requests", "pattern"),
    [
        pytest.param(following(6), Pattern.DATES, id="windows that follow the present"),
        pytest.param(following(12)[::2], Pattern.DATES, id="the half that one worker sees"),
        pytest.param(following(6, behind=900), Pattern.DATES, id="windows a quarter behind"),
        pytest.param(since(6), Pattern.DATES, id="everything since the last time"),
        pytest.param(following(6, behind=90_000), None, id="windows of yesterday"),
        pytest.param(following(3), None, id="three windows"),
        pytest.param(following(6, every=5), None, id="six windows within a moment"),
        pytest.param(MONTHS, None, id="a year read month by month, once"),
        pytest.param(BACKWARD, None, id="windows that go back"),
        pytest.param(pages(1, 2, 3, 1, 2, 3, 1, 2, 3), Pattern.PAGES, id="sweep after sweep"),
        pytest.param(pages(1, 3, 4, 2, 3, 1, 4), Pattern.PAGES, id="a sample of sweeps"),
        pytest.param(pages(*range(1, 24)), None, id="one long sweep"),
        pytest.param(pages(1, 2, 3, 1, 2, 3), None, id="two sweeps"),
        pytest.param(at(*range(0, 300, 30)), Pattern.REPEATING, id="every half minute"),
        pytest.param(at(*range(0, 2400, 240)), Pattern.REPEATING, id="every four minutes"),
        pytest.param(at(*range(0, 20_000, 2_000)), None, id="every half hour"),
        pytest.param(at(*range(0, 270, 30)), None, id="nine times"),
        pytest.param(at(*range(0, 30, 3)), None, id="ten times within a moment"),
        pytest.param(at(0, 1, 2, 3, 4, 5, 400, 401, 402, 900), None, id="a person, now and then"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_a_habit_is_recognized(requests: list[ListRequest], pattern: Pattern | None) -> None:
    assert classify(requests) is pattern


def test_requests_with_other_filters_do_not_count() -> None:
    others = [ListRequest(after(n * 30), frozenset({("q", str(n))})) for n in range(20)]
    assert classify(others) is None


def test_a_query_is_reduced_to_what_a_habit_shows_in() -> None:
    asked = read_request(
        {
            "f_creationDate": "creationDate:[2026-11-16T11:59:00.000Z TO 2026-11-16T12:00:00.000Z]",
            "f_status": "invoiced",
            "q": "ann@shop.example",
            "page": "3",
            "per_page": "100",
        },
        NOW,
    )
    assert (asked.starts, asked.ends, asked.page) == (after(-60), NOW, 3)
    assert asked.names == "f_creationDate, f_status, q"


@pytest.mark.parametrize("page", ["", "x", "-1", "9" * 30, "²"])
def test_a_page_that_is_none_is_the_first(page: str) -> None:
    assert read_request({"page": page}, NOW).page == 1


@pytest.mark.parametrize("dates", ["[a TO b]", "[* TO *]", "[2026 TO", "[9999-99-99 TO NOW]"])
def test_dates_that_are_none_are_no_dates(dates: str) -> None:
    assert not read_request({"f_creationDate": f"creationDate:{dates}"}, NOW).has_dates


def test_a_hostile_text_is_not_read_to_its_end() -> None:
    begun = time.thread_time()
    read_request({"f_creationDate": "[" * 50_000}, NOW)
    assert time.thread_time() - begun < 0.1
