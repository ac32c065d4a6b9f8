"""Who had an order canceled, as its document tells it."""

import pytest

from oms.orders.documents.assembling import _who_canceled

USER, SYSTEM, SELLER, PAYMENT = (
    f"RequestedBy{who}" for who in ("User", "System", "SellerNotification", "PaymentNotification")
)


@pytest.mark.parametrize(
    ("actor", "last_status", "flag"),
    [
        ("user:ana", "window-to-cancel", USER),
        ("key:bulkhead-x", "payment-pending", USER),
        ("key:bulkhead-x", "cancellation-requested", SELLER),
        ("user:ana", "waiting-for-seller-decision", SELLER),
        ("role:workflow", "waiting-for-authorization", SYSTEM),
        ("role:workflow", "cancellation-requested", SYSTEM),
        ("role:workflow", "payment-denied", PAYMENT),
    ],
)
def test_the_event_says_who_had_the_order_canceled(
    actor: str, last_status: str, flag: str
) -> None:
    flags = _who_canceled({"actor": actor, "last_status": last_status})

    assert [name for name, is_set in flags.items() if is_set] == [flag]
