"""
The kinds of values a document holds, each with its way in and its one spelling on the way out.

`read` takes a value from a document or raises `NotTaken`; `write` spells a column's value as the
contract does. `null` is handled by `oms.orders.documents.columns`, never here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from oms.orders.documents.errors import NotTaken

BIGGEST_CENTS: Final = 2**63 - 1
BIGGEST_COUNT: Final = 2**31 - 1
# Placing takes its numbers from a sequence that imports push ahead: this keeps room above them.
BIGGEST_SEQUENCE: Final = 10**15
UNFIT_FOR_AN_ID: Final = re.compile(r"[\x00-\x1f\x7f/]|^\s|\s$|^\.{1,2}$")


@dataclass(frozen=True, slots=True)
class Kind:
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def as_is(value: Any) -> Any:
    return value


def type_name(value: object) -> str:
    """This function will name a JSON value's type in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return {
        str: "text",
        int: "a whole number",
        float: "a number with a fraction",
        list: "a list",
    }.get(type(value), "an object")


def text(limit: int | None, *, when_blank: str | None = None) -> Kind:
    """This function will take text up to `limit` characters, and whole numbers as their digits."""

    def read(raw: Any) -> str:
        if isinstance(raw, int) and not isinstance(raw, bool):
            raw = str(raw)
        if not isinstance(raw, str):
            raise NotTaken(f"expected text, got {type_name(raw)}")
        if limit is not None and len(raw) > limit:
            raise NotTaken(f"expected at most {limit} characters, got {len(raw)}")
        return raw

    return Kind(read, lambda value: value or when_blank)


def identifier(limit: int) -> Kind:
    """This function will take an id that fits into an address: not blank, no slash, no control."""
    plain = text(limit)

    def read(raw: Any) -> str:
        value: str = plain.read(raw)
        if not value:
            raise NotTaken("expected an id, got blank text")
        if UNFIT_FOR_AN_ID.search(value):
            raise NotTaken("expected an id without slash, control character or blanks at its ends")
        return value

    return Kind(read, as_is)


def choice(*allowed: str) -> Kind:
    words = frozenset(allowed)

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or raw not in words:
            got = repr(raw[:40]) if isinstance(raw, str) else type_name(raw)
            raise NotTaken(f"expected one of the allowed values, got {got}", allowed)
        return raw

    return Kind(read, as_is)


def _whole(raw: Any, smallest: int, biggest: int) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise NotTaken(f"expected a whole number, got {type_name(raw)}")
    if not smallest <= raw <= biggest:
        raise NotTaken(f"expected a whole number from {smallest} to {biggest}")
    return raw


def cents(*, smallest: int = -BIGGEST_CENTS) -> Kind:
    """This function will take money: whole minor units. Fractions are refused, never rounded."""

    def read(raw: Any) -> int:
        if isinstance(raw, float):
            raise NotTaken("expected money in whole cents, got a number with a fraction")
        return _whole(raw, smallest, BIGGEST_CENTS)

    return Kind(read, as_is)


def cents_or_digits() -> Kind:
    """This function will take money that some senders spell as text: `"1015"` is 1015 cents."""
    plain = cents()

    def read(raw: Any) -> int:
        if isinstance(raw, str) and re.fullmatch(r"-?\d{1,19}", raw, re.ASCII):
            raw = int(raw)
        value: int = plain.read(raw)
        return value

    return Kind(read, as_is)


def count(*, smallest: int = 0, biggest: int = BIGGEST_COUNT) -> Kind:
    return Kind(lambda raw: _whole(raw, smallest, biggest), as_is)


def sequence_number() -> Kind:
    """This function will take an order's number, which the contract spells as text."""

    def read(raw: Any) -> int:
        if isinstance(raw, str) and re.fullmatch(r"\d{1,15}", raw, re.ASCII):
            raw = int(raw)
        if isinstance(raw, str):
            raise NotTaken("expected up to 15 digits")
        return _whole(raw, 1, BIGGEST_SEQUENCE - 1)

    return Kind(read, str)


def boolean() -> Kind:
    def read(raw: Any) -> bool:
        if not isinstance(raw, bool):
            raise NotTaken(f"expected true or false, got {type_name(raw)}")
        return raw

    return Kind(read, as_is)


def moment() -> Kind:
    """This function will take an ISO 8601 date and time; UTC where it names no offset."""
    return Kind(parse_moment, moment_text)


def moment_if_readable() -> Kind:
    """This function will take any text where a date is told by others: unreadable is None."""

    def read(raw: Any) -> datetime | None:
        try:
            return parse_moment(raw)
        except NotTaken:
            return None

    return Kind(read, moment_text)


def json_list() -> Kind:
    def read(raw: Any) -> list[Any]:
        if not isinstance(raw, list):
            raise NotTaken(f"expected a list, got {type_name(raw)}")
        return raw

    return Kind(read, as_is)


def anything() -> Kind:
    return Kind(as_is, as_is)


def parse_moment(raw: Any) -> datetime | None:
    """
    This function will turn ISO 8601 text into a time in UTC, None for blank text.

    The contract's dates have seven fraction digits, PostgreSQL keeps six: the seventh is cut off.
    """
    if raw == "":
        return None
    if not isinstance(raw, str):
        raise NotTaken(f"expected a date and time as text, got {type_name(raw)}")
    try:
        parsed = datetime.fromisoformat(raw)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise NotTaken("expected an ISO 8601 date and time, like 2024-02-04T20:09:43Z") from None


def moment_text(value: datetime | None) -> str | None:
    """This function will spell a time as the contract does: UTC, seven fraction digits."""
    if value is None:
        return None
    spelled = value.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{spelled[:26]}0{spelled[26:]}"
