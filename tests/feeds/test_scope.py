"""An order that changes its seller: each seller's key is told of what happened while it had it."""

import pytest

from feeds.hooks.claiming import claim
from feeds.lag import sample_lag
from feeds.ledger_pages import read_page
from feeds.models import Channel, HookEndpoint, LagSample, Subscription
from feeds.pulling import pull
from oms.access.models import AppKey
from oms.orders.statuses import Flow, Status
from tests.feeds.feeding import drain, make_feed, make_key, told
from tests.workflow.stories import ACTOR, move_to, place_in
from workflow.services.cancellation import cancel_order
from workflow.services.seller_changes import NewSeller, change_seller

pytestmark = pytest.mark.django_db(transaction=True)

WAITING, LOST = Status.WAITING_FOR_AUTHORIZATION, Status.WINDOW_TO_CHANGE_SELLER
LATER = Status.PAYMENT_PENDING


@pytest.fixture
def former() -> AppKey:
    return make_key(seller_ids=["1"])


@pytest.fixture
def new() -> AppKey:
    return make_key(seller_ids=["2"])


def lose(order_id: str) -> None:
    cancel_order(order_id=order_id, reason="no stock", actor=ACTOR, as_seller=True)


def take_over(order_id: str, seller_id: str = "2") -> None:
    change_seller(order_id=order_id, seller=NewSeller(seller_id=seller_id), actor=ACTOR)


def test_a_former_seller_that_reads_late_hears_that_it_lost_the_order_and_nothing_of_after(
    former: AppKey, new: AppKey
) -> None:
    feeds = [make_feed(WAITING, LOST, LATER, key=key) for key in (former, new)]
    order_id = place_in(WAITING, Flow.MARKETPLACE)
    lose(order_id)
    take_over(order_id)
    move_to(order_id, LATER)
    until_then = [(order_id, WAITING), (order_id, LOST), (order_id, WAITING)]
    assert told(drain(feeds[0])) == until_then
    assert told(drain(feeds[1])) == [*until_then, (order_id, LATER)]


def test_what_was_queued_for_the_former_seller_before_the_change_is_still_handed_out(
    former: AppKey,
) -> None:
    feed = make_feed(LOST, key=former)
    order_id = place_in(WAITING, Flow.MARKETPLACE)
    lose(order_id)
    pull(feed.pk)
    take_over(order_id)
    assert told(drain(feed)) == [(order_id, LOST)]


def test_a_hook_of_the_former_seller_is_sent_what_was_queued_for_it(former: AppKey) -> None:
    feed = make_feed(LOST, key=former)
    Subscription.objects.filter(pk=feed.pk).update(channel=Channel.HOOK)
    HookEndpoint.objects.create(
        subscription=feed, url="https://erp.example.com", headers=b"", secret=b""
    )
    order_id = place_in(WAITING, Flow.MARKETPLACE)
    lose(order_id)
    pull(feed.pk)
    take_over(order_id)
    assert [item.order_id for item in claim({feed.pk: 5})] == [order_id]


def test_an_order_that_comes_back_is_its_sellers_whole_history(former: AppKey) -> None:
    feed = make_feed(WAITING, LOST, key=former)
    order_id = place_in(WAITING, Flow.MARKETPLACE)
    take_over(order_id, "2")
    lose(order_id)
    take_over(order_id, "3")
    assert told(drain(feed)) == [(order_id, WAITING)]
    take_over(order_id, "1")
    lose(order_id)
    assert told(drain(feed)) == [(order_id, LOST)]


def test_ledger_pages_and_lag_go_by_the_seller_at_the_event(former: AppKey) -> None:
    feed = make_feed(LOST, key=former)
    order_id = place_in(WAITING, Flow.MARKETPLACE)
    lose(order_id)
    take_over(order_id)
    move_to(order_id, LATER)
    kinds = [event.kind for event in read_page(after=0, limit=100, seller_ids=["1"]).events]
    assert kinds[-2:] == ["order.seller-lost", "order.seller-changed"]
    everything = read_page(after=0, limit=100, seller_ids=["2"]).events
    assert [event.kind for event in everything][: len(kinds)] == kinds
    assert len(everything) > len(kinds)
    sample_lag()
    assert LagSample.objects.get(subscription=feed).open_count == 1
