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
        return {
            key: None if key.lower() in SECRET_FIELDS else without_card_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_card_secrets(inner) for inner in value]
    return value
