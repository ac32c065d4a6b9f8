"""Every page of the back office opens, for those who may; what is edited there is audited."""

import io
import re
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from unfold.admin import ModelAdmin

from oms.backoffice.roles import GROUPS, ensure_groups
from oms.ops.audit import record_audit
from oms.ops.heartbeats import beat
from oms.ops.models import AuditEntry
from oms.orders.models import Affiliate, SellerPolicy
from tests.workflow.stories import place
from workflow.models import ConnectorState

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
LISTS = sorted(
    f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry
)


def test_every_registered_page_has_the_theme() -> None:
    for model, page in admin.site._registry.items():
        assert isinstance(page, ModelAdmin), model


@pytest.mark.parametrize("typed", ["/", "/admin"])
def test_who_types_the_bare_address_comes_to_the_back_office(login: Login, typed: str) -> None:
    answer = login("root").get(typed)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens(login: Login, name: str) -> None:
    place()
    beat("workflow", work_done=1)
    record_audit(actor="user:x", action="order.forced", object_type="order", object_id="1")
    ConnectorState.objects.create(name="stock")
    assert login("root").get(reverse(f"admin:{name}_changelist")).status_code == 200


@pytest.mark.parametrize("role", sorted(GROUPS))
def test_each_role_opens_every_page_of_its_sidebar(login: Login, role: str) -> None:
    client = login(role)
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    links = [
        str(item["link"])
        for group in page.context["sidebar_navigation"]
        for item in group["items"]
        if item["has_permission"]
    ]
    assert len(links) >= 4
    for link in links:
        assert client.get(link).status_code == 200, link


def test_the_landing_page_asks_no_more_with_more_orders(
    login: Login, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    client = login("root")
    place()
    with django_assert_max_num_queries(24) as few:  # type: ignore[attr-defined]
        client.get(reverse("admin:index"))
    for _ in range(10):
        place()
    with django_assert_max_num_queries(len(few)):  # type: ignore[attr-defined]
        client.get(reverse("admin:index"))


def test_no_page_names_another_host(login: Login) -> None:
    client = login("root")
    for link in (reverse("admin:index"), reverse("admin:orders_order_changelist")):
        page = client.get(link).content.decode()
        found = set(re.findall(r"""(?:src|href)=["'](?:https?:)?//([^/"']+)""", page))
        assert found == set()


def test_logs_page_by_key_and_count_nothing(login: Login) -> None:
    client = login("root")
    for number in range(120):
        record_audit(actor="user:x", action="order.forced", object_id=number)
    link = reverse("admin:ops_auditentry_changelist")
    first = client.get(link).context["cl"]
    assert [entry.object_id for entry in first.result_list[:2]] == ["119", "118"]
    second = client.get(link + first.older_link).context["cl"]
    assert second.result_list[0].object_id == "69"
    third = client.get(link + second.older_link).context["cl"]
    assert (len(third.result_list), third.older_link) == (20, "")
    back = client.get(link + third.newer_link).context["cl"]
    assert [e.pk for e in back.result_list] == [e.pk for e in second.result_list]


def test_the_audit_log_is_filtered_exactly(login: Login) -> None:
    record_audit(actor="user:ana", action="a.b", object_type="order", object_id="1")
    record_audit(actor="user:eva", action="a.c", object_type="app_key", object_id="2")
    link, client = reverse("admin:ops_auditentry_changelist"), login("root")
    for query in ("actor=user:eva", "action=a.c", "object_id=2", "object_type=app_key"):
        rows = client.get(f"{link}?{query}").context["cl"].result_list
        assert [row.actor for row in rows] == ["user:eva"], query


def test_an_edited_seller_policy_leaves_old_and_new_in_the_audit_log(login: Login) -> None:
    client = login("Supervisor")
    given = {"seller_id": "7", "name": "Lux", "window_to_cancel_minutes": "30"}
    client.post(reverse("admin:orders_sellerpolicy_add"), given)
    policy = SellerPolicy.objects.get()
    link = reverse("admin:orders_sellerpolicy_change", args=[policy.pk])
    client.post(link, {**given, "window_to_cancel_minutes": "45"})
    added, changed = AuditEntry.objects.order_by("id")
    assert (added.action, changed.action, changed.actor) == (
        "seller_policy.added", "seller_policy.changed", "user:supervisor",
    )  # fmt: skip
    assert changed.details == {"window_to_cancel_minutes": [30, 45]}


def test_the_flow_of_an_affiliate_never_changes(login: Login) -> None:
    Affiliate.objects.create(affiliate_id="MKP", name="Market", flow="fulfillment")
    link = reverse("admin:orders_affiliate_change", args=["MKP"])
    login("Administrator").post(link, {"name": "New", "flow": "complete", "is_active": "on"})
    affiliate = Affiliate.objects.get()
    assert (affiliate.name, affiliate.flow) == ("New", "fulfillment")


def test_who_manages_people_makes_no_superuser_and_touches_none(login: Login) -> None:
    root = User.objects.create_superuser("boss", password="x" * 20)
    client = login("Administrator")
    own = User.objects.get(username="administrator")
    given = {"username": "administrator", "is_active": "on", "is_staff": "on",
             "is_superuser": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
             "groups": [group.pk for group in own.groups.all()]}  # fmt: skip
    client.post(reverse("admin:auth_user_change", args=[own.pk]), given)
    own.refresh_from_db()
    assert not own.is_superuser
    link = reverse("admin:auth_user_password_change", args=[root.pk])
    assert client.post(link, {"password1": "y" * 20, "password2": "y" * 20}).status_code == 403
    root.refresh_from_db()
    assert root.check_password("x" * 20)


def test_a_new_password_and_new_roles_are_in_the_audit_log(login: Login) -> None:
    client, person = login("Administrator"), User.objects.create_user("eva")
    link = reverse("admin:auth_user_password_change", args=[person.pk])
    client.post(link, {"password1": "y" * 20 + "7", "password2": "y" * 20 + "7"})
    group = Group.objects.get(name="Support")
    group_link = reverse("admin:auth_group_change", args=[group.pk])
    client.post(group_link, {"name": "Support", "permissions": []})
    first, second = AuditEntry.objects.order_by("id")
    assert (first.action, first.object_id, first.actor) == (
        "user.changed", "eva", "user:administrator",
    )  # fmt: skip
    assert (second.action, second.object_id) == ("group.changed", "Support")
    assert "permissions" in str(second.details).lower()
    assert "yyy" not in str(first.details)


def test_only_superusers_write_schedules_which_run_any_code(login: Login) -> None:
    link = reverse("admin:django_q_schedule_add")
    assert login("root").get(link).status_code == 200
    assert login("Administrator").get(link).status_code == 403


def test_roles_are_made_again_without_taking_anything() -> None:
    ensure_groups()
    support = Group.objects.get(name="Support")
    before = support.permissions.count()
    operator = Group.objects.get(name="Operator")
    support.permissions.add(*operator.permissions.all())
    call_command("ensure_roles", stdout=io.StringIO())
    assert support.permissions.count() > before
    assert Group.objects.filter(name__in=GROUPS).count() == len(GROUPS)
