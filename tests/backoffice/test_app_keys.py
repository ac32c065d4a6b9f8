"""App keys in the back office: the token is shown once, everything is audited."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from oms.access.keys import hash_token, issue_app_key
from oms.access.models import AppKey, AppToken
from oms.access.scopes import Scope
from oms.ops.models import AuditEntry

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
ADD = reverse("admin:access_appkey_add")
GIVEN = {
    "owner_name": "ERP of Lux",
    "owner_contact": "it@example.com",
    "scopes": [Scope.OMS_VIEWER.value],
    "seller_ids": "1, 2",
    "expires_at": "2030-01-31",
    "reason": "New ERP",
}


def _act(key: AppKey, act: str) -> str:
    return reverse("admin:access_appkey_act", args=[key.pk, act])


@pytest.fixture
def key() -> AppKey:
    issued, _ = issue_app_key(owner_name="Old", scopes=[Scope.OMS_VIEWER], actor="command:test")
    return issued


def test_a_key_is_issued_and_its_token_shown_on_the_answer_alone(login: Login) -> None:
    client = login("Administrator")
    answer = client.post(ADD, GIVEN)
    token = answer.context["new_token"]
    key = AppKey.objects.get()
    assert bytes(AppToken.objects.get(app_key=key).token_hash) == hash_token(token)
    assert (key.owner_name, key.seller_ids, key.affiliate_ids) == ("ERP of Lux", ["1", "2"], None)
    assert key.expires_at
    assert key.expires_at.isoformat().startswith("2030-01-31T23:59:59")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert token in answer.content.decode()
    page = client.get(reverse("admin:access_appkey_change", args=[key.pk]))
    assert token not in page.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.reason) == (
        "app_key.issued", "user:administrator", "New ERP",
    )  # fmt: skip
    assert token not in str(entry.details)


@pytest.mark.parametrize(
    "wrong", [{"owner_name": " "}, {"scopes": []}, {"scopes": ["x"]}, {"reason": ""},
              {"expires_at": "never"}, {"owner_contact": "x"}],
)  # fmt: skip
def test_a_wrong_form_issues_nothing(login: Login, wrong: dict[str, object]) -> None:
    answer = login("Administrator").post(ADD, {**GIVEN, **wrong})
    assert (answer.status_code, AppKey.objects.count()) == (200, 0)
    assert "bo-error" in answer.content.decode()


def test_rotating_shows_the_new_token_and_a_third_one_is_refused(
    login: Login, key: AppKey
) -> None:
    client = login("Administrator")
    answer = client.post(_act(key, "rotate"), {"reason": "yearly"})
    assert answer.context["new_token"].startswith("bht_")
    assert key.tokens.count() == 2
    refused = client.post(_act(key, "rotate"), {"reason": "again"})
    assert (refused.status_code, key.tokens.count()) == (302, 2)


def test_a_token_is_revoked_and_a_key_switched_off_and_on(login: Login, key: AppKey) -> None:
    client, token = login("Administrator"), key.tokens.get()
    client.post(_act(key, "revoke"), {"reason": "leaked", "token": token.pk})
    token.refresh_from_db()
    assert token.revoked_at is not None
    for act, active in (("deactivate", False), ("activate", True)):
        client.post(_act(key, act), {"reason": "trial"})
        key.refresh_from_db()
        assert key.is_active is active
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True))[1:] == [
        "app_token.revoked", "app_key.deactivated", "app_key.activated",
    ]  # fmt: skip


def test_a_token_of_another_key_is_not_revoked_by_this_one(login: Login, key: AppKey) -> None:
    other, _ = issue_app_key(owner_name="Other", scopes=[Scope.OMS_VIEWER], actor="command:test")
    given = {"reason": "x", "token": other.tokens.get().pk}
    assert login("Administrator").post(_act(key, "revoke"), given).status_code == 404
    assert other.tokens.get().revoked_at is None


def test_keys_are_for_administrators(login: Login, key: AppKey) -> None:
    for role in ("Support", "Operator", "Supervisor"):
        client = login(role)
        assert client.get(ADD).status_code == 403
        assert client.post(_act(key, "rotate"), {"reason": "x"}).status_code == 403
        assert client.get(reverse("admin:access_appkey_changelist")).status_code == 403
    assert key.tokens.count() == 1


def test_a_reload_of_the_answer_issues_no_second_key(login: Login) -> None:
    client = login("Administrator")
    form = {**GIVEN, "form_id": "a" * 32}

    client.post(ADD, form)
    again = client.post(ADD, form)

    assert again.status_code == 302
    assert AppKey.objects.count() == 1
