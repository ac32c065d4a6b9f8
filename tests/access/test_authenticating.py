import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from oms.access.authenticating import (
    BadCredentials,
    Principal,
    authenticate,
    forget_all_cached_keys,
)
from oms.access.keys import deactivate, hash_token, issue_app_key, revoke_token, rotate_token
from oms.access.models import AppKey, AppToken
from oms.access.scopes import Scope
from oms.ops.clock import database_now

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = "user:ann"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


@pytest.fixture
def pair() -> tuple[str, str]:
    key, token = issue_app_key(
        owner_name="ERP",
        scopes=[Scope.OMS_VIEWER, Scope.CANCEL_ACTION],
        seller_ids=["seller1"],
        actor=ACTOR,
    )
    return key.app_key, token


def test_a_valid_pair_says_who_calls_and_what_it_may_do(pair: tuple[str, str]) -> None:
    principal = authenticate(*pair)
    assert principal == Principal(
        key_id=AppKey.objects.get().pk,
        app_key=pair[0],
        scopes=frozenset({"OMSViewer", "CancelAction"}),
        seller_ids=frozenset({"seller1"}),
        affiliate_ids=None,
    )
    assert principal.actor == f"key:{pair[0]}"
    assert principal.has_any({Scope.CHANGES, Scope.OMS_VIEWER})
    assert not principal.has_any({Scope.CHANGES})
    assert not principal.has_any(set())
    assert principal.serves_seller("seller1")
    assert not principal.serves_seller("seller2")
    assert principal.serves_affiliate("any")


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(
    "wrong", ["", "x", "bulkhead-unknown", "a\x00b", "é", "\ud800", "x" * 10240]
)
def test_a_pair_with_one_wrong_half_is_refused(
    pair: tuple[str, str], half: int, wrong: str
) -> None:
    given = list(pair)
    given[half] = wrong
    with pytest.raises(BadCredentials, match=r"^Unauthorized access$"):
        authenticate(*given)


def test_a_token_of_another_key_is_refused(pair: tuple[str, str]) -> None:
    _, other_token = issue_app_key(owner_name="B", scopes=[Scope.CHANGES], actor=ACTOR)
    with pytest.raises(BadCredentials):
        authenticate(pair[0], other_token)


def test_both_tokens_work_during_a_rotation(pair: tuple[str, str]) -> None:
    authenticate(*pair)
    second = rotate_token(pair[0], actor=ACTOR)
    assert authenticate(pair[0], second) == authenticate(*pair)


def test_a_token_rotated_by_another_process_works_at_once(pair: tuple[str, str]) -> None:
    """The cache knows the key with one token; the unknown token makes it look again."""
    authenticate(*pair)
    second = "bht_of_another_process"
    AppToken.objects.create(
        app_key=AppKey.objects.get(), slot=2, token_hash=hash_token(second), prefix="bht_of_a"
    )
    assert authenticate(pair[0], second).app_key == pair[0]


def test_a_revoked_token_stops_and_the_other_goes_on(pair: tuple[str, str]) -> None:
    second = rotate_token(pair[0], actor=ACTOR)
    authenticate(*pair)
    revoke_token(AppToken.objects.get(slot=1).pk, actor=ACTOR, reason="leaked")
    with pytest.raises(BadCredentials):
        authenticate(*pair)
    assert authenticate(pair[0], second).app_key == pair[0]


def test_a_deactivated_key_stops(pair: tuple[str, str]) -> None:
    authenticate(*pair)
    deactivate(pair[0], actor=ACTOR, reason="gone")
    with pytest.raises(BadCredentials):
        authenticate(*pair)


def test_a_change_made_elsewhere_is_noticed_when_the_memory_is_old(
    pair: tuple[str, str], settings: Settings
) -> None:
    authenticate(*pair)
    AppKey.objects.update(is_active=False)
    authenticate(*pair)
    settings.APP_KEY_CACHE_SECONDS = 0
    with pytest.raises(BadCredentials):
        authenticate(*pair)


@pytest.mark.parametrize("model", [AppKey, AppToken])
def test_an_expired_key_or_token_is_refused(
    pair: tuple[str, str], model: type[AppKey] | type[AppToken]
) -> None:
    model.objects.update(expires_at=database_now() - timedelta(seconds=1))
    with pytest.raises(BadCredentials):
        authenticate(*pair)


def test_a_token_expires_inside_the_memory_too(pair: tuple[str, str]) -> None:
    AppToken.objects.update(expires_at=database_now() + timedelta(seconds=0.3))
    authenticate(*pair)
    time.sleep(0.4)
    with pytest.raises(BadCredentials):
        authenticate(*pair)


def test_a_remembered_pair_costs_no_query(
    pair: tuple[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    authenticate(*pair)
    with django_assert_num_queries(0):
        authenticate(*pair)


@pytest.mark.parametrize("remembered", [True, False])
def test_each_failure_costs_one_query_whichever_half_is_wrong(
    pair: tuple[str, str], remembered: bool, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    if remembered:
        authenticate(*pair)
    for app_key, token in ((pair[0], "wrong"), ("bulkhead-unknown", pair[1]), ("a b", "")):
        with django_assert_num_queries(1), pytest.raises(BadCredentials):
            authenticate(app_key, token)


def test_failing_takes_the_same_time_for_known_and_unknown_keys(pair: tuple[str, str]) -> None:
    authenticate(*pair)
    times: dict[str, list[float]] = {pair[0]: [], "bulkhead-unknown": []}
    for _ in range(200):
        for app_key, spent in times.items():
            started = time.perf_counter()
            with pytest.raises(BadCredentials):
                authenticate(app_key, "bht_wrong")
            spent.append(time.perf_counter() - started)
    known, unknown = (statistics.median(spent) for spent in times.values())
    assert abs(known - unknown) < 0.3 * max(known, unknown)


def test_the_last_use_is_written_once_a_minute(pair: tuple[str, str]) -> None:
    authenticate(*pair)
    first = AppToken.objects.get().last_used_at
    assert first is not None
    assert AppKey.objects.get().last_used_at == first
    forget_all_cached_keys()
    authenticate(*pair)
    assert AppToken.objects.get().last_used_at == first
    AppToken.objects.update(last_used_at=first - timedelta(minutes=2))
    forget_all_cached_keys()
    authenticate(*pair)
    assert AppToken.objects.get().last_used_at > first  # type: ignore[operator]


def test_a_key_locked_by_staff_or_a_read_only_database_does_not_stop_a_call(
    pair: tuple[str, str],
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert authenticate(*pair).app_key == pair[0]
        finally:
            cursor.execute("SET default_transaction_read_only = off")
    assert AppToken.objects.get().last_used_at is None
