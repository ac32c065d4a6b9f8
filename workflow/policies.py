"""What each seller wants: the window to cancel, a warehouse system. Read once every few seconds."""

import time
from datetime import timedelta
from typing import Final

from django.conf import settings

from oms.orders.models import SellerPolicy
from workflow.steps import SellerRules

REFRESH_SECONDS: Final = 5.0


class SellerPolicies:
    """The seller policies of this process. Few rows; sellers without one follow the settings."""

    def __init__(self) -> None:
        self._rules: dict[str, SellerRules] = {}
        self._read_at = float("-inf")

    def rules_of(self, seller_id: str) -> SellerRules:
        if time.monotonic() - self._read_at > REFRESH_SECONDS:
            self._rules = {
                policy.seller_id: _rules(policy) for policy in SellerPolicy.objects.all()
            }
            self._read_at = time.monotonic()
        return self._rules.get(seller_id) or SellerRules(default_window_to_cancel())

    def forget(self) -> None:
        self._read_at = float("-inf")


def default_window_to_cancel() -> timedelta:
    return timedelta(seconds=settings.WINDOW_TO_CANCEL_SECONDS)


def _rules(policy: SellerPolicy) -> SellerRules:
    minutes = policy.window_to_cancel_minutes
    return SellerRules(
        window_to_cancel=default_window_to_cancel()
        if minutes is None
        else timedelta(minutes=minutes),
        has_warehouse_system=policy.has_warehouse_system,
    )


policies: Final = SellerPolicies()
