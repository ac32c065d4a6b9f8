"""
Personal data made unreadable, but still comparable: `a•••@example.com`, `•••••••4321`.

Pure. Who may see what is decided in `oms.backoffice.personal_data`.
"""

from collections.abc import Mapping
from typing import Any, Final

from oms.ops.redaction import is_sensitive_key

DOT: Final = "•"
HIDDEN: Final = DOT * 5
# Inside an address these say where to ship, not who lives there.
PLACES: Final = frozenset({"city", "state", "country", "addressType"})
# Looks personal by name, is not: says what kind of thing the value beside it is.
HARMLESS: Final = frozenset({"documentType", "addressType", "areTaxesDesignatedByMarketplace"})
# Personal by what people put into it, not by name.
FREE_TEXTS: Final = frozenset(
    {
        "openTextField",
        "customApps",
        "customFields",
        "giftRegistryData",
        "contactInformation",
        "userProfileId",
        "customerCode",
        "tradeName",
        "stateInscription",
        "geoCoordinates",
        "userName",
        "embeddedInvoice",
        "firstDigits",
    }
)


def mask_name(name: str) -> str:
    """This function will keep the first letter of each word: `M••••• S••••`."""
    return " ".join(word[0] + DOT * min(len(word) - 1, 5) for word in name.split())


def mask_email(email: str) -> str:
    """This function will keep the first letter and the domain."""
    local, at, domain = email.partition("@")
    if not at:
        return HIDDEN if email else ""
    return f"{local[:1]}{DOT * 3}@{domain}"


def mask_number(number: str, *, keep: int = 4) -> str:
    """This function will keep the last characters of a document, phone or card number."""
    text = number.strip()
    if len(text) <= keep + 2:
        return HIDDEN if text else ""
    return DOT * min(len(text) - keep, 8) + text[-keep:]


def mask_text(text: str) -> str:
    return HIDDEN if text else ""


def mask_document(value: Any) -> Any:
    """This function will return a copy of an order document with personal values masked."""
    if isinstance(value, Mapping):
        return {key: _mask_field(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [mask_document(inner) for inner in value]
    return value


def mask_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """This function will mask old and new values of personal fields of an event."""
    return {
        path: _mask_all(values) if is_personal_path(path) else values
        for path, values in changes.items()
    }


def is_personal_path(path: str) -> bool:
    """This function will tell whether a field named like this holds personal data."""
    last = path.rsplit(".", 1)[-1]
    return last not in HARMLESS and (last in FREE_TEXTS or is_sensitive_key(last))


def _mask_field(key: str, value: Any) -> Any:
    if is_personal_path(key):
        return _mask_all(value)
    return mask_document(value)


def _mask_all(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if key in PLACES or key in HARMLESS else _mask_all(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_mask_all(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    if "@" in text:
        return mask_email(text)
    return mask_number(text) if any(c.isdigit() for c in text) else mask_text(text)
