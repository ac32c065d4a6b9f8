"""Moments, spans and amounts in words."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from oms.backoffice.money import money
from oms.backoffice.times import age, ago, exact, short, span

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (3 * 60 + 30, "3 min"), (3600, "1 h"),
        (3600 + 5 * 60, "1 h 5 min"), (5 * 3600 + 300, "5 h"), (26 * 3600, "1 d 2 h"),
        (12 * 86400, "12 d"), (45 * 86400, "1 month"), (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_a_span_has_one_or_two_units(seconds: int, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_a_moment_is_told_relative_to_now() -> None:
    assert ago(NOW - timedelta(seconds=2), NOW) == "just now"
    assert ago(NOW - timedelta(minutes=3), NOW) == "3 min ago"
    assert ago(NOW + timedelta(minutes=3), NOW) == "in 3 min"
    assert age(NOW - timedelta(minutes=99), NOW) == "1 h ago"


def test_exact_moments_are_in_the_store_s_zone(settings: Settings) -> None:
    settings.STORE_TIME_ZONE = "America/Sao_Paulo"
    assert exact(NOW) == "2026-11-22 09:00:00 -03"
    assert short(NOW - timedelta(hours=1), NOW) == "08:00"
    assert short(NOW - timedelta(days=1), NOW) == "21 Nov 09:00"
    assert short(NOW - timedelta(days=400), NOW) == "18 Oct 2025"


@pytest.mark.parametrize(
    ("cents", "currency", "words"),
    [
        (123456, "BRL", "R$ 1,234.56"), (5, "BRL", "R$ 0.05"), (-990, "BRL", "−R$ 9.90"),
        (1500, "JPY", "JPY 1,500"), (1500, "KWD", "KWD 1.500"),
        (9_007_199_254_740_993, "EUR", "EUR 90,071,992,547,409.93"),
    ],
)  # fmt: skip
def test_amounts_have_the_decimals_of_their_currency(
    cents: int, currency: str, words: str
) -> None:
    assert money(cents, currency) == words
