import pytest
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from oms.ops.audit import record_audit
from oms.ops.logs import bind_request
from oms.ops.models import AuditEntry
from oms.ops.requests import RequestIdMiddleware

pytestmark = pytest.mark.django_db


def test_an_entry_says_who_did_what_to_which_object_and_why() -> None:
    with bind_request("r-7"):
        entry = record_audit(
            actor="user:ann",
            action="order.forced",
            object_type="order",
            object_id="v502-01",
            reason="carrier lost it",
            details={"to": "canceled"},
        )
    entry.refresh_from_db()
    assert entry.at is not None
    assert (entry.actor, entry.action, entry.object_id) == ("user:ann", "order.forced", "v502-01")
    assert entry.request_id == "r-7"
    assert entry.remote_address is None
    assert entry.details == {"to": "canceled"}


def test_an_entry_made_in_a_request_holds_its_id_and_the_address_that_is_not_a_claim() -> None:
    def act(request: HttpRequest) -> HttpResponse:
        record_audit(actor="user:ann", action="order.forced")
        return HttpResponse()

    spoofed = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="6.6.6.6", HTTP_X_REQUEST_ID="r-8"
    )
    RequestIdMiddleware(act)(spoofed)
    entry = AuditEntry.objects.get()
    assert (entry.remote_address, entry.request_id) == ("192.0.2.1", "r-8")


@pytest.mark.parametrize(
    "statement", ["UPDATE ops_auditentry SET reason = 'x'", "DELETE FROM ops_auditentry"]
)
def test_postgresql_refuses_to_change_an_entry_and_says_why(statement: str) -> None:
    record_audit(actor="user:ann", action="app_key.issued", reason="new ERP")
    with (
        pytest.raises(IntegrityError, match="The audit log is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEntry.objects.get().reason == "new ERP"


def test_postgresql_refuses_to_empty_the_table() -> None:
    record_audit(actor="user:ann", action="app_key.issued")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ops_auditentry ENABLE TRIGGER ops_auditentry_no_truncate")
        with (
            pytest.raises(IntegrityError, match="TRUNCATE of ops_auditentry is refused"),
            transaction.atomic(),
        ):
            cursor.execute("TRUNCATE ops_auditentry")
        cursor.execute("ALTER TABLE ops_auditentry DISABLE TRIGGER ops_auditentry_no_truncate")
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(("actor", "action"), [("", "app_key.issued"), ("user:ann", "")])
def test_an_entry_without_actor_or_action_is_refused(actor: str, action: str) -> None:
    with pytest.raises(IntegrityError, match="names_actor_and_action"), transaction.atomic():
        record_audit(actor=actor, action=action)
    assert AuditEntry.objects.count() == 0
