"""The repair commands, on parked items."""

import pytest
from django.core.management import CommandError, call_command

from oms.ops.models import AuditEntry
from oms.orders.models import Order
from tests.factories import order_draft
from workflow.models import WorkItem
from workflow.services.placing import place_drafts
from workflow.work import park_item

pytestmark = pytest.mark.django_db


@pytest.fixture
def parked() -> WorkItem:
    [pk] = place_drafts([order_draft()], actor="key:test")
    item = WorkItem.objects.get(order_id=pk)
    park_item(item.pk, cause="time-out", error="The service did not answer.")
    return item


def test_parked_work_is_retried_by_cause(
    parked: WorkItem, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("retry_work", cause="time-out", reason="It answers again.", actor="ana")

    parked.refresh_from_db()
    assert parked.parked_at is None
    assert capsys.readouterr().out == "1 done, 0 refused.\n"
    entry = AuditEntry.objects.get(action="work.retried")
    assert (entry.actor, entry.reason) == ("command:ana", "It answers again.")


def test_a_dry_run_changes_nothing(parked: WorkItem, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("retry_work", cause="time-out", reason="Look first.", dry_run=True)

    parked.refresh_from_db()
    assert parked.parked_at is not None
    assert capsys.readouterr().out == "1 parked work items would be reached.\n"


def test_a_repair_needs_a_choice() -> None:
    with pytest.raises(CommandError, match="Choose by"):
        call_command("retry_work", reason="All of it.")


def test_a_step_that_cannot_be_skipped_says_which_can(
    parked: WorkItem, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("skip_work", item=[parked.pk], reason="Go on.")

    assert "cannot be skipped" in capsys.readouterr().err
    assert WorkItem.objects.get(pk=parked.pk).parked_at is not None


def test_a_forced_status_is_on_the_timeline_and_in_the_audit_log(parked: WorkItem) -> None:
    order = Order.objects.get(pk=parked.order_id)

    call_command("force_status", order.order_id, "handling", reason="Shipped by hand.")

    order.refresh_from_db()
    assert order.status == "handling"
    assert order.events.latest("seq").kind == "order.forced"
    assert AuditEntry.objects.filter(action="order.forced", object_id=order.order_id).count() == 1
