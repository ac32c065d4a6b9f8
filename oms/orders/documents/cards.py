"""Card numbers and security codes never reach the database: they are taken out on the way in."""

from typing import Any, Final

SECRET_FIELDS: Final = frozenset(
    {"cvv2", "cvv", "cvc", "cardnumber", "securitycode", "validationcode", "csc"}
)


def without_card_secrets(value: Any) -> Any:
    """
    This function will return payment data with every card number and security code set to None.

    At any depth, and whatever the case of the name. First and last digits stay: they are printed
    on receipts and staff need them.
    """
    if isinstance(value, dict):
        return {key: _field(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_card_secrets(inner) for inner in value]
    return value


def _field(name: str, value: Any) -> Any:
    if name.lower() in SECRET_FIELDS:
        return None
    return without_card_secrets(value) if isinstance(value, dict | list) else value
