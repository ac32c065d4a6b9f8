import hashlib
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from oms.access.keys import (
    AccessRefused,
    TooManyLiveTokens,
    activate,
    deactivate,
    issue_app_key,
    revoke_token,
    rotate_token,
)
from oms.access.models import AppKey, AppToken
from oms.access.scopes import SCOPE_MEANINGS, Scope
from oms.ops.clock import database_now
from oms.ops.models import AuditEntry

ACTOR = "user:ann"


def issue() -> tuple[AppKey, str]:
    return issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor=ACTOR)


@pytest.mark.django_db
def test_only_the_hash_of_a_token_is_stored() -> None:
    key, token = issue()
    stored = AppToken.objects.get()
    assert bytes(stored.token_hash) == hashlib.sha256(token.encode()).digest()
    assert len(token) == len("bht_") + 43
    assert token.startswith(stored.prefix)
    assert len(stored.prefix) == 8
    assert key.app_key.startswith("bulkhead-")


@pytest.mark.django_db
def test_issuing_is_audited_without_the_token() -> None:
    key, token = issue()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_id) == (ACTOR, "app_key.issued", key.app_key)
    assert entry.details == {"scopes": ["OMSViewer"], "seller_ids": None, "affiliate_ids": None}
    assert token not in str(entry.details)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scopes": ["OMSViewr"]}, "Unknown scope OMSViewr. Scopes are: OMSViewer, "),
        ({"scopes": []}, "An app key needs a scope"),
        ({"owner_name": "  "}, "An app key needs an owner's name"),
        ({"seller_ids": []}, "seller_ids must name at least one"),
        ({"affiliate_ids": [""]}, "affiliate_ids must name at least one"),
        ({"owner_contact": "ann"}, "must be an e-mail address"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    asked = {"owner_name": "ERP", "scopes": [Scope.CHANGES], "actor": ACTOR, **given}
    with pytest.raises(AccessRefused, match=message):
        issue_app_key(**asked)  # type: ignore[arg-type]
    assert AppKey.objects.count() == 0
    assert AuditEntry.objects.count() == 0


@pytest.mark.django_db
def test_rotation_gives_a_second_token_and_refuses_a_third() -> None:
    key, _ = issue()
    rotate_token(key.app_key, actor=ACTOR)
    with pytest.raises(TooManyLiveTokens, match="has two live tokens"):
        rotate_token(key.app_key, actor=ACTOR)
    assert list(key.tokens.order_by("slot").values_list("slot", "revoked_at")) == [
        (1, None),
        (2, None),
    ]


@pytest.mark.django_db
def test_revoking_makes_room_for_a_new_token() -> None:
    key, _ = issue()
    rotate_token(key.app_key, actor=ACTOR)
    first = key.tokens.get(slot=1)
    revoke_token(first.pk, actor=ACTOR, reason="leaked")
    revoke_token(first.pk, actor=ACTOR, reason="leaked")
    rotate_token(key.app_key, actor=ACTOR)
    assert key.tokens.filter(revoked_at__isnull=True).count() == 2
    assert AuditEntry.objects.filter(action="app_token.revoked").count() == 1


@pytest.mark.django_db
def test_rotation_ends_the_oldest_token_only_if_told_to() -> None:
    key, _ = issue()
    rotate_token(key.app_key, actor=ACTOR)
    rotate_token(key.app_key, actor=ACTOR, revoke_oldest=True)
    live = key.tokens.filter(revoked_at__isnull=True).order_by("id")
    assert [token.slot for token in live] == [2, 1]


@pytest.mark.django_db
def test_an_expired_token_makes_room() -> None:
    key, _ = issue()
    rotate_token(key.app_key, actor=ACTOR)
    key.tokens.filter(slot=2).update(expires_at=database_now() - timedelta(seconds=1))
    rotate_token(key.app_key, actor=ACTOR)
    assert key.tokens.filter(revoked_at__isnull=True).count() == 2


@pytest.mark.django_db
def test_deactivating_is_undone_by_activating_and_both_are_audited_once() -> None:
    key, _ = issue()
    deactivate(key.app_key, actor=ACTOR, reason="unpaid")
    deactivate(key.app_key, actor=ACTOR, reason="unpaid")
    assert AppKey.objects.get().is_active is False
    activate(key.app_key, actor=ACTOR, reason="paid")
    assert AppKey.objects.get().is_active is True
    assert list(AuditEntry.objects.order_by("id").values_list("action", "reason")[1:]) == [
        ("app_key.deactivated", "unpaid"),
        ("app_key.activated", "paid"),
    ]


@pytest.mark.django_db
def test_the_database_itself_refuses_a_third_live_token() -> None:
    key, _ = issue()
    with pytest.raises(IntegrityError, match="two_live_tokens_a_key"), transaction.atomic():
        AppToken.objects.create(app_key=key, slot=1, token_hash=b"1" * 32, prefix="x")
    with pytest.raises(IntegrityError, match="slot_is_1_or_2"), transaction.atomic():
        AppToken.objects.create(app_key=key, slot=3, token_hash=b"1" * 32, prefix="x")
    assert key.tokens.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_rotations_at_once_one_wins() -> None:
    key, _ = issue()
    refused: list[str] = []

    def rotate() -> None:
        try:
            rotate_token(key.app_key, actor=ACTOR)
        except TooManyLiveTokens as error:
            refused.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert key.tokens.filter(revoked_at__isnull=True).count() == 2


def test_every_scope_has_words_for_people() -> None:
    assert set(SCOPE_MEANINGS) == set(Scope)
