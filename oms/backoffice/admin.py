"""Found by Django's autodiscovery: importing the subjects registers their pages."""

from oms.backoffice import (
    app_keys,
    expression_trial,
    integration_asking,
    integrations,
    orders,
    oversight,
    polling_keys,
    selling,
    third_party,
    work_items,
)

__all__ = [
    "app_keys",
    "expression_trial",
    "integration_asking",
    "integrations",
    "orders",
    "oversight",
    "polling_keys",
    "selling",
    "third_party",
    "work_items",
]
