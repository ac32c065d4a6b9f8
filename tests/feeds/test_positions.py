"""Where in the ledger a time is."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from feeds.positions import DISORDER, first_position_since, last_position_before
from oms.orders.ledger import NewEvent, number_all_events, record_events
from oms.orders.writing import insert_orders
from tests.factories import order_draft

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write_ledger(offsets: list[float]) -> None:
    """This function will fill the ledger with events that happened so many seconds after AT."""
    (order_pk,) = insert_orders([order_draft(now=AT)])
    record_events(
        [
            NewEvent(
                order_pk=order_pk,
                seq=seq,
                kind="order.moved",
                actor="role:test",
                status="handling",
                last_status="handling",
                occurred_at=AT + timedelta(seconds=offset),
                last_change_at=None,
            )
            for seq, offset in enumerate(offsets, start=1)
        ]
    )
    number_all_events()


@pytest.mark.django_db
def test_an_empty_ledger_begins_at_one_and_ends_at_zero() -> None:
    assert (first_position_since(AT), last_position_before(AT)) == (1, 0)


@pytest.mark.django_db
def test_a_time_lies_between_the_last_before_and_the_first_since() -> None:
    write_ledger([0, 100, 200, 300])
    second = AT + timedelta(seconds=100)
    assert (last_position_before(second), first_position_since(second)) == (1, 2)
    later = AT + timedelta(seconds=101)
    assert (last_position_before(later), first_position_since(later)) == (2, 3)
    assert (last_position_before(AT), first_position_since(AT)) == (0, 1)
    after_all = AT + timedelta(days=1)
    assert (last_position_before(after_all), first_position_since(after_all)) == (4, 5)


class AnyLedger(TestCase):
    """Times as slow transactions leave them: late by anything below the allowed disorder."""

    @settings(max_examples=60, deadline=None)
    @given(
        steps=st.lists(st.floats(0, 400), min_size=1, max_size=40),
        lateness=st.lists(st.floats(0, DISORDER.total_seconds() - 1), min_size=40, max_size=40),
        asked=st.floats(-600, 16_000),
    )
    def test_no_event_of_the_time_asked_for_is_left_out(
        self, steps: list[float], lateness: list[float], asked: float
    ) -> None:
        numbered = list(itertools.accumulate(steps))
        offsets = [at - late for at, late in zip(numbered, lateness, strict=False)]
        write_ledger(offsets)
        moment = AT + timedelta(seconds=asked)
        since = [
            n for n, offset in enumerate(offsets, 1) if AT + timedelta(seconds=offset) >= moment
        ]
        before = [n for n in range(1, len(offsets) + 1) if n not in since]
        assert first_position_since(moment) == min(since, default=len(offsets) + 1)
        assert last_position_before(moment) == max(before, default=0)
