"""Pages followed while writers commit in any order: every event once, and each page accounted for."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from feeds.ledger_pages import read_page
from oms.orders.models import OrderEvent
from tests.factories import order_draft
from workflow.services.placing import place_drafts

WRITERS = 4
ORDERS_EACH = 40
SLOWEST_COMMIT_SECONDS = 0.03


def write(number: int) -> None:
    """This function will place orders, each some moments before its commit."""
    chance = random.Random(number)
    try:
        for _ in range(ORDERS_EACH):
            with transaction.atomic():
                place_drafts([order_draft(seller_id=str(number))], actor="role:test")
                time.sleep(chance.uniform(0, SLOWEST_COMMIT_SECONDS))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seller_ids", [None, ["1"]])
def test_who_follows_the_pages_while_others_write_gets_every_event_once(
    seller_ids: list[str] | None,
) -> None:
    seen: list[int] = []
    after, limit = 0, 7
    with ThreadPoolExecutor(WRITERS) as writers:
        writing = [writers.submit(write, number) for number in range(WRITERS)]
        while True:
            are_done = all(writer.done() for writer in writing)
            page = read_page(after=after, limit=limit, seller_ids=seller_ids)
            assert page.first == after + 1
            if seller_ids is None:
                assert len(page.events) == page.last - page.first + 1
            seen += [event.event_pk for event in page.events]
            after = page.last
            if are_done and page.last == page.ledger_end and not page.events:
                break
        for writer in writing:
            writer.result()
    wanted = OrderEvent.objects.all()
    if seller_ids is not None:
        wanted = wanted.filter(order__seller_id__in=seller_ids)
    assert len(seen) == len(set(seen)) == wanted.count()
    assert set(seen) == set(wanted.values_list("pk", flat=True))
