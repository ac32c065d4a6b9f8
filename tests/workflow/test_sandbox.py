"""The sandbox's services and books, over real HTTP."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.workflow.sandboxes import ThreadedSandbox
from workflow.sandbox.decisions import Policy
from workflow.sandbox.server import SandboxOptions

ITEM = {"uniqueId": "U1", "id": "1001", "seller": "1", "quantity": 1}
PATHS = {
    "analysis": "/antifraud/analyses",
    "authorization": "/payments/authorizations",
    "capture": "/payments/captures",
    "void": "/payments/voids",
    "refund": "/payments/refunds",
    "reservation": "/stock/reservations",
    "confirmation": "/stock/confirmations",
    "withdrawal": "/stock/withdrawals",
    "release": "/stock/releases",
}
BODIES: dict[str, dict[str, Any]] = {
    "analysis": {"value": 1000, "currency": "BRL", "payments": []},
    "authorization": {"value": 1000, "currency": "BRL", "payments": []},
    "capture": {"value": 1000, "transactionId": "T", "invoiceNumber": "N1"},
    "void": {},
    "refund": {"value": 1000, "transactionId": "T", "invoiceNumber": "R1"},
    "reservation": {"items": [ITEM]},
    "confirmation": {},
    "withdrawal": {},
    "release": {},
}


@pytest.fixture
def patient() -> Iterator[ThreadedSandbox]:
    """A sandbox whose verdicts are pending for a moment."""
    policy = Policy(pending_share=1.0, pending_seconds=0.3)
    with ThreadedSandbox(SandboxOptions(port=0, policy=policy)) as running:
        yield running


def post(
    sandbox: ThreadedSandbox, operation: str, *, key: str | None = None, **changes: Any
) -> requests.Response:
    body = {"orderId": "A-1", **BODIES[operation], **changes}
    subject = f":{body['invoiceNumber']}" if "invoiceNumber" in body else ""
    headers = {"Idempotency-Key": key or f"{body['orderId']}:{operation}{subject}"}
    return requests.post(f"{sandbox.url}{PATHS[operation]}", json=body, headers=headers, timeout=5)


def result(sandbox: ThreadedSandbox, operation: str, **changes: Any) -> str:
    answer = post(sandbox, operation, **changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"])


def counts(sandbox: ThreadedSandbox, operation: str) -> dict[str, int]:
    found: dict[str, int] = sandbox.effects()["operations"][operation]
    return found


@pytest.mark.parametrize("operation", PATHS)
def test_the_same_key_gets_the_same_answer_and_the_effect_once(
    sandbox: ThreadedSandbox, operation: str
) -> None:
    post(sandbox, "reservation", key="before")
    post(sandbox, "authorization", key="before")
    first, second = post(sandbox, operation), post(sandbox, operation)
    assert first.status_code == 200
    assert first.json() == second.json()
    assert counts(sandbox, operation)["replays"] == 1


def test_the_same_key_with_another_body_is_refused(sandbox: ThreadedSandbox) -> None:
    post(sandbox, "authorization")
    answer = post(sandbox, "authorization", value=2000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "key-reused")
    assert counts(sandbox, "authorization")["effects"] == 1


def test_a_void_that_learned_its_transaction_is_the_same_void(sandbox: ThreadedSandbox) -> None:
    post(sandbox, "authorization")
    assert result(sandbox, "void", transactionId=None) == "voided"
    assert result(sandbox, "void", transactionId="T") == "voided"
    assert counts(sandbox, "void")["effects"] == 1


def test_a_call_without_key_is_refused(sandbox: ThreadedSandbox) -> None:
    answer = requests.post(f"{sandbox.url}/stock/releases", json={"orderId": "A-1"}, timeout=5)
    assert answer.status_code == 400
    assert counts(sandbox, "release") == {
        "calls": 1, "effects": 0, "replays": 0, "faults": 0, "invalid": 1, "doubled": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        ("authorization", {"value": "1000"}),
        ("authorization", {"value": -1}),
        ("capture", {"transactionId": None}),
        ("reservation", {"items": [{"id": "1001"}]}),
        ("reservation", {"items": [{**ITEM, "quantity": 0}]}),
    ],
)
def test_a_body_of_another_shape_is_refused(
    sandbox: ThreadedSandbox, operation: str, changes: dict[str, Any]
) -> None:
    assert post(sandbox, operation, **changes).status_code == 400
    assert sandbox.effects("A-1")["effects"] == []


def test_an_effect_under_two_keys_is_counted_as_doubled(sandbox: ThreadedSandbox) -> None:
    post(sandbox, "authorization", key="first")
    assert sandbox.effects()["doubled"] == []
    post(sandbox, "authorization", key="second")
    assert counts(sandbox, "authorization")["doubled"] == 1
    assert sandbox.effects()["doubled"] == [
        {
            "orderId": "A-1",
            "operation": "authorization",
            "subject": "",
            "keys": ["first", "second"],
        }
    ]


def test_two_invoices_of_one_order_are_not_a_doubled_capture(sandbox: ThreadedSandbox) -> None:
    assert result(sandbox, "capture", invoiceNumber="N1") == "captured"
    assert result(sandbox, "capture", invoiceNumber="N2") == "captured"
    assert counts(sandbox, "capture")["effects"] == 2
    assert sandbox.effects()["doubled"] == []


def test_a_denied_effect_cannot_be_doubled(sandbox: ThreadedSandbox) -> None:
    sandbox.force_outcome("A-1", "authorization", "denied", times=1)
    assert result(sandbox, "authorization", key="first") == "denied"
    assert result(sandbox, "authorization", key="second") == "approved"
    assert counts(sandbox, "authorization")["effects"] == 1
    assert sandbox.effects()["doubled"] == []


def test_an_orders_effects_are_listed_in_order(sandbox: ThreadedSandbox) -> None:
    for operation in ("reservation", "authorization", "confirmation"):
        post(sandbox, operation)
    post(sandbox, "reservation", orderId="A-2")
    listed = sandbox.effects("A-1")["effects"]
    assert [effect["operation"] for effect in listed] == [
        "reservation", "authorization", "confirmation",
    ]  # fmt: skip
    assert [effect["effective"] for effect in listed] == [True] * 3


def test_money_is_captured_up_to_what_was_authorized_and_refunded_up_to_what_was_captured(
    sandbox: ThreadedSandbox,
) -> None:
    post(sandbox, "authorization", value=1000)
    assert result(sandbox, "capture", invoiceNumber="N1", value=600) == "captured"
    assert result(sandbox, "capture", invoiceNumber="N2", value=500) == "denied"
    assert result(sandbox, "refund", invoiceNumber="R1", value=700) == "denied"
    assert result(sandbox, "refund", invoiceNumber="R2", value=600) == "refunded"


def test_a_void_gives_back_what_is_open_once(sandbox: ThreadedSandbox) -> None:
    assert result(sandbox, "void", key="early") == "nothing-to-void"
    post(sandbox, "authorization")
    assert result(sandbox, "void") == "voided"
    assert result(sandbox, "void", key="again") == "nothing-to-void"
    assert result(sandbox, "capture") == "denied"


def test_stock_is_confirmed_and_released_only_while_it_is_held(sandbox: ThreadedSandbox) -> None:
    assert result(sandbox, "confirmation", key="early") == "refused"
    assert result(sandbox, "release", key="early") == "nothing-to-release"
    assert result(sandbox, "reservation") == "reserved"
    assert result(sandbox, "confirmation") == "confirmed"
    assert result(sandbox, "withdrawal") == "withdrawn"
    assert result(sandbox, "release") == "nothing-to-release"


def test_a_refused_reservation_says_what_is_missing(sandbox: ThreadedSandbox) -> None:
    sandbox.force_outcome("A-1", "reservation", "refused")
    assert post(sandbox, "reservation").json() == {"result": "refused", "missing": ["U1"]}


def test_a_pending_verdict_ripens_under_the_same_key(patient: ThreadedSandbox) -> None:
    pending = post(patient, "analysis").json()
    assert pending["result"] == "pending"
    assert post(patient, "analysis").json() == pending
    time.sleep(0.35)
    assert post(patient, "analysis").json() == {**pending, "result": "approved"}
    assert counts(patient, "analysis")["effects"] == 1


def test_a_forced_verdict_settles_a_pending_one_and_stays(patient: ThreadedSandbox) -> None:
    post(patient, "authorization")
    patient.force_outcome("A-1", "authorization", "denied")
    assert result(patient, "authorization") == "denied"
    time.sleep(0.35)
    assert result(patient, "authorization") == "denied"
    assert counts(patient, "authorization")["effects"] == 0


def test_shares_are_of_orders_and_the_same_each_time() -> None:
    policy = Policy(deny_share=0.3, payment_deny_share=0.1, refuse_share=0.5)
    fates = []
    for _ in range(2):
        with ThreadedSandbox(SandboxOptions(port=0, policy=policy)) as running:
            fates.append([result(running, "analysis", orderId=f"A-{n}") for n in range(100)])
    assert fates[0] == fates[1]
    assert 15 <= fates[0].count("denied") <= 45


@pytest.mark.parametrize("mode", ["error", "drop"])
def test_every_second_failure_comes_after_the_effect(sandbox: ThreadedSandbox, mode: str) -> None:
    sandbox.set_fault(mode)
    for number in range(10):
        try:
            assert post(sandbox, "analysis", orderId=f"A-{number}").status_code == 500
        except requests.ConnectionError:
            assert mode == "drop"
    found = counts(sandbox, "analysis")
    assert (found["effects"], found["faults"], found["calls"]) == (5, 5, 10)


@pytest.mark.parametrize(
    ("mode", "effects"), [("refuse", 0), ("throttle", 0), ("delay", 1), ("malformed", 1)]
)
def test_faults_say_whether_the_work_was_done(
    sandbox: ThreadedSandbox, mode: str, effects: int
) -> None:
    sandbox.set_fault(mode, seconds=0.1)
    post(sandbox, "analysis")
    assert counts(sandbox, "analysis")["effects"] == effects


def test_a_fault_ends_by_itself(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("error", forSeconds=0.3)
    assert post(sandbox, "analysis").status_code == 500
    time.sleep(0.35)
    assert post(sandbox, "analysis").status_code == 200
    assert requests.get(f"{sandbox.url}/control/health", timeout=5).json()["faults"] == {}


def test_a_share_of_the_calls_meets_the_fault(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("refuse", share=0.5)
    statuses = [post(sandbox, "analysis", orderId=f"A-{n}").status_code for n in range(60)]
    assert 15 <= statuses.count(422) <= 45


def test_one_connector_can_be_well_while_all_others_fail(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("error", connector="*")
    sandbox.set_fault("ok", connector="stock")
    assert post(sandbox, "reservation").status_code == 200
    assert post(sandbox, "analysis").status_code == 500


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("faults", {"mode": "explode"}, "mode"),
        ("faults", {"mode": "error", "connector": "erp"}, "connector"),
        ("faults", {"mode": "error", "share": 2}, "share"),
        ("faults", {"mode": "delay", "seconds": "9"}, "seconds"),
        ("faults", [], "expected a JSON object"),
        ("outcomes", {"orderId": "A", "operation": "analysis", "result": "maybe"}, "result"),
        ("outcomes", {"orderId": "A", "operation": "tracking", "result": "x"}, "operation"),
        ("outcomes", {"operation": "analysis", "result": "denied"}, "orderId"),
        ("trackings", {"trackingNumber": "B", "deliveredAt": "today"}, "deliveredAt"),
        ("trackings", {"trackingNumber": "B", "events": [{}]}, "events"),
    ],
)
def test_a_wrong_control_call_is_refused_with_the_fields_name(
    sandbox: ThreadedSandbox, path: str, body: Any, field: str
) -> None:
    answer = requests.post(f"{sandbox.url}/control/{path}", json=body, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(field)


def track(sandbox: ThreadedSandbox, number: str) -> requests.Response:
    return requests.get(f"{sandbox.url}/carrier/trackings/{number}", timeout=5)


def tell(sandbox: ThreadedSandbox, **parcel: Any) -> None:
    requests.post(f"{sandbox.url}/control/trackings", json=parcel, timeout=5).raise_for_status()


def test_a_parcel_travels_and_is_delivered_where_its_number_says() -> None:
    with ThreadedSandbox(SandboxOptions(port=0, transit_seconds=0.4)) as running:
        first = track(running, "BKSRN000000042").json()
        time.sleep(0.65)
        last = track(running, "BKSRN000000042").json()
    assert first["delivered"] is False
    assert [event["description"] for event in first["events"]][:1] == [
        "Package received from the sender"
    ]
    assert last["delivered"] is True
    assert last["deliveredAt"] == last["events"][-1]["date"]
    assert (last["events"][-1]["city"], last["events"][-1]["state"]) == ("Porto Sereno", "SC")
    assert last["events"][: len(first["events"])] == first["events"]


def test_a_parcel_can_be_told_what_happened_to_it(sandbox: ThreadedSandbox) -> None:
    event = {
        "date": "2026-01-01T10:00:00Z", "city": "Ipoeira", "state": "PE", "description": "Left",
    }  # fmt: skip
    delivered_at = "2026-01-02T10:00:00+00:00"
    tell(sandbox, trackingNumber="X1", deliveredAt=delivered_at, events=[event])
    assert track(sandbox, "X1").json() == {
        "trackingNumber": "X1",
        "delivered": True,
        "deliveredAt": delivered_at,
        "events": [event],
    }


def test_a_parcel_can_be_unknown_to_the_carrier(sandbox: ThreadedSandbox) -> None:
    tell(sandbox, trackingNumber="X1", known=False)
    assert track(sandbox, "X1").status_code == 404
