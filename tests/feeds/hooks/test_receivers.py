"""Who gets how many places: pure, without a socket."""

from datetime import UTC, datetime

from feeds.hooks.claiming import ClaimedItem
from feeds.hooks.receivers import MOST_AHEAD, HookTerms, Receiver, Receivers

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def terms(subscription_id: int = 1, version: datetime = NOW, paused: float = 0.0) -> HookTerms:
    return HookTerms(
        subscription_id=subscription_id,
        app_key="bulkhead-x",
        version=version,
        url="https://erp.customer.com/",
        headers={},
        keys=(b"key",),
        paused_seconds=paused,
    )


def item(number: int, subscription_id: int = 1) -> ClaimedItem:
    return ClaimedItem(
        *(number, subscription_id, 1, 0, number, f"O-{number}", "Marketplace"),
        *("handling", "ready-for-handling", NOW, NOW, NOW, 0.0),
    )


def receiver(waiting: int = 0) -> Receiver:
    made = Receiver(terms(), places=8)
    made.waiting.extend(item(number) for number in range(waiting))
    return made


def test_a_receiver_that_fails_is_halved_down_to_one_place() -> None:
    failing = receiver()
    widths = []
    for _ in range(5):
        failing.failed(None)
        widths.append(failing.width)
    assert widths == [4, 2, 1, 1, 1]
    assert failing.wanted == 1


def test_successes_give_the_places_back() -> None:
    mended = receiver()
    for _ in range(5):
        mended.failed(None)
    widths = []
    for _ in range(4):
        mended.succeeded(0.01)
        widths.append(mended.width)
    assert widths == [2, 4, 8, 8]


def test_as_much_is_leased_ahead_as_a_receiver_takes_in_half_a_second() -> None:
    quick, slow = receiver(), receiver()
    for _ in range(60):
        quick.succeeded(0.001)
        slow.succeeded(3.0)
    assert quick.wanted == 8 + MOST_AHEAD
    assert slow.wanted == 8 + 1


def test_what_is_leased_for_places_that_are_gone_is_given_up() -> None:
    failing = receiver(waiting=20)
    failing.failed(None)
    assert [given.item_id for given in failing.take_beyond_places()] == list(range(19, 3, -1))
    failing.failed(retry_after=60)
    assert len(failing.take_beyond_places()) == 4
    assert (failing.wanted, failing.free_places) == (0, 0)


def test_a_new_configuration_begins_with_all_places_and_no_pause() -> None:
    failing = receiver()
    failing.failed(retry_after=60)
    failing.renew(terms())
    assert failing.is_paused
    failing.renew(terms(version=NOW.replace(year=2027)))
    assert (failing.is_paused, failing.width) == (False, 8)


def test_a_pause_that_another_process_wrote_is_kept() -> None:
    paused = receiver()
    paused.renew(terms(paused=30.0))
    assert paused.wanted == 0


def all_of(count: int, *, places: int = 16, waiting: int = 10) -> Receivers:
    made = Receivers(places=places, places_each=8)
    made.renew([terms(number) for number in range(count)])
    for number in range(count):
        known = made.get(number)
        assert known is not None
        known.waiting.extend(item(n, number) for n in range(waiting))
    return made


def begun(receivers: Receivers) -> dict[int, int]:
    counts: dict[int, int] = {}
    for known, _ in receivers.take_startable():
        counts[known.terms.subscription_id] = counts.get(known.terms.subscription_id, 0) + 1
    return counts


def test_places_go_round_among_receivers() -> None:
    assert begun(all_of(4)) == {0: 4, 1: 4, 2: 4, 3: 4}
    assert begun(all_of(1)) == {0: 8}


def test_all_that_fail_share_half_of_the_places() -> None:
    receivers = all_of(30, places=16)
    for number in range(29):
        known = receivers.get(number)
        assert known is not None
        known.failed(None)
    counts = begun(receivers)
    assert sum(count for number, count in counts.items() if number < 29) == 8
    assert counts[29] == 8


def test_what_was_leased_for_hooks_that_are_gone_is_given_up() -> None:
    receivers = all_of(2, waiting=3)
    assert len(receivers.renew([terms(1)])) == 3
    assert receivers.ids() == [1]
    assert len(receivers.take_all_waiting()) == 3
    assert receivers.take_all_waiting() == []
