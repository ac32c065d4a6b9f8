"""What each seller and the store want: windows, a warehouse system. Read once every few seconds."""

import time
from datetime import timedelta
from typing import Final

from django.conf import settings

from oms.orders.models import SellerPolicy
from workflow.models import StoreRules
from workflow.steps import CHANGE_SELLER_WITHIN, SellerRules

REFRESH_SECONDS: Final = 5.0


class SellerPolicies:
    """The seller policies of this process. Few rows; sellers without one follow the settings."""

    def __init__(self) -> None:
        self._rules: dict[str, SellerRules] = {}
        self._window_to_change_seller = CHANGE_SELLER_WITHIN
        self._read_at = float("-inf")

    def rules_of(self, seller_id: str) -> SellerRules:
        if time.monotonic() - self._read_at > REFRESH_SECONDS:
            self._window_to_change_seller = window_to_change_seller()
            self._rules = {
                policy.seller_id: _rules(policy, self._window_to_change_seller)
                for policy in SellerPolicy.objects.all()
            }
            self._read_at = time.monotonic()
        return self._rules.get(seller_id) or SellerRules(
            default_window_to_cancel(), window_to_change_seller=self._window_to_change_seller
        )

    def forget(self) -> None:
        self._read_at = float("-inf")


def default_window_to_cancel() -> timedelta:
    return timedelta(seconds=settings.WINDOW_TO_CANCEL_SECONDS)


def window_to_change_seller() -> timedelta:
    """This function will return how long an order without a seller waits for another one."""
    days = StoreRules.objects.values_list("days_to_change_seller", flat=True).first()
    return CHANGE_SELLER_WITHIN if days is None else timedelta(days=days)


def _rules(policy: SellerPolicy, window_to_change_seller: timedelta) -> SellerRules:
    minutes = policy.window_to_cancel_minutes
    return SellerRules(
        window_to_cancel=default_window_to_cancel()
        if minutes is None
        else timedelta(minutes=minutes),
        has_warehouse_system=policy.has_warehouse_system,
        window_to_change_seller=window_to_change_seller,
    )


policies: Final = SellerPolicies()
