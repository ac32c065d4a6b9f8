"""No key spends more than its minute, however many workers spend it."""

import concurrent.futures
import threading
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, connections
from django.test.utils import CaptureQueriesContext

from oms.access import limits
from oms.access.keys import issue_app_key
from oms.access.limits import Standing, forget_shares, size_of_share, spend
from oms.access.models import UsedQuota
from oms.access.scopes import Scope


@pytest.fixture(autouse=True)
def _nothing_held() -> Iterator[None]:
    forget_shares()
    yield
    forget_shares()


@pytest.fixture
def key_id(db: None) -> int:
    key, _ = issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    return key.pk


@pytest.fixture
def whole_minute(key_id: int) -> None:
    """This fixture will put the present minute far ahead, so that no test meets its end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_usedquota (app_key_id, bucket, minute, taken)"
            " VALUES (%s, 'all', statement_timestamp() + interval '1 hour', 0)",
            [key_id],
        )


def spent(key_id: int, limit: int) -> Standing:
    standing = spend(key_id, "all", limit)
    assert standing is not None
    return standing


@pytest.mark.parametrize(
    ("limit", "rest", "size"),
    [(6000, 6000, 100), (6000, 400, 50), (6000, 7, 1), (6000, 0, 1), (10, 10, 1), (60, 60, 1)],
)
def test_shares_shrink_toward_the_end(limit: int, rest: int, size: int) -> None:
    assert size_of_share(limit, rest) == size


def test_most_requests_cost_no_statement(key_id: int, whole_minute: None) -> None:
    spent(key_id, 6000)
    with CaptureQueriesContext(connection) as queries:
        standings = [spent(key_id, 6000) for _ in range(99)]
    assert len(queries) == 0
    assert [standings[0].remaining, standings[-1].remaining] == [5998, 5900]


def test_exactly_the_limit_passes_and_what_is_above_costs_nothing(
    key_id: int, whole_minute: None
) -> None:
    passed = [not spent(key_id, 130).is_exceeded for _ in range(200)]
    assert passed == [True] * 130 + [False] * 70
    with CaptureQueriesContext(connection) as queries:
        assert spent(key_id, 130).is_exceeded
    assert len(queries) == 0


def test_what_another_worker_took_is_not_there(key_id: int, whole_minute: None) -> None:
    UsedQuota.objects.update(taken=5_990)
    passed = sum(not spent(key_id, 6000).is_exceeded for _ in range(200))
    assert passed == 10


def test_buckets_and_keys_do_not_touch_each_other(key_id: int, whole_minute: None) -> None:
    for _ in range(11):
        exceeded = spent(key_id, 10)
    assert exceeded.is_exceeded
    other = spend(key_id, "list", 10)
    assert other is not None
    assert not other.is_exceeded


def test_a_new_minute_begins_at_nothing(key_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_usedquota (app_key_id, bucket, minute, taken)"
            " VALUES (%s, 'all', date_trunc('minute', now()) - interval '1 minute', 6000)",
            [key_id],
        )
    standing = spent(key_id, 6000)
    assert (standing.is_exceeded, standing.remaining) == (False, 5999)
    assert 0 < standing.seconds_left <= 60


def test_a_changed_limit_counts_at_once(key_id: int, whole_minute: None) -> None:
    assert all(not spent(key_id, 10).is_exceeded for _ in range(10))
    assert spent(key_id, 10).is_exceeded
    assert not spent(key_id, 20).is_exceeded


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_without_common_memory_never_pass_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, _ = issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_usedquota (app_key_id, bucket, minute, taken)"
            " VALUES (%s, 'all', statement_timestamp() + interval '1 hour', 0)",
            [key.pk],
        )

    class PerThread(threading.local):
        """Each thread remembers for itself, as a process does."""

        def __init__(self) -> None:
            self.held: dict[object, object] = {}

    memory = PerThread()

    class Shares(dict):  # type: ignore[type-arg]
        def get(self, name: object, default: object = None) -> object:
            return memory.held.get(name, default)

        def __setitem__(self, name: object, share: object) -> None:
            memory.held[name] = share

    monkeypatch.setattr(limits, "_shares", Shares())

    def ask(_: int) -> int:
        try:
            return sum(not spent(key.pk, 1000).is_exceeded for _ in range(100))
        finally:
            connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        passed = sum(threads.map(ask, range(20)))
    # What a thread had taken and did not come to ask for is lost, and never more than a share.
    assert 1000 - 20 * size_of_share(1000, 1000) <= passed <= 1000


def test_a_limiter_that_fails_lets_pass_and_is_left_alone_for_a_while(
    key_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(*_: object) -> tuple[int, float]:
        asked.append(1)
        raise DatabaseError("disk full")

    monkeypatch.setattr(limits, "_take", fail)
    assert [spend(key_id, "all", 10) for _ in range(20)] == [None] * 20
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_held_holds_nobody_up_for_long() -> None:
    key, _ = issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    assert spend(key.pk, "all", 10) is not None
    forget_shares()
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN; SELECT * FROM access_usedquota FOR UPDATE")
                holding.set()
                done.wait(20)
                cursor.execute("ROLLBACK")
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(20)
    assert spend(key.pk, "all", 10) is None
    done.set()
    holder.join()
