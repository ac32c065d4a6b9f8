"""
What the parameters of a list may look like. Pure: texts in, values out, or a refusal that names
what is allowed.

Each parameter may be repeated. Where the contract contradicts itself every reading is taken
(docs/integrators.md lists them).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from oms.orders.criteria import Period
from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import parse_moment
from oms.orders.listing import SortField, Sorting
from oms.orders.statuses import Status

ALL_VALUES: Final = "$$ALL_VALUES$$"
MOST_VALUES: Final = 1_000
TRUE_WORDS: Final = frozenset({"true", "1", "yes"})
FALSE_WORDS: Final = frozenset({"false", "0", "no"})
# Other spellings of statuses: the list's own in the contract, and of its guides.
STATUS_SPELLINGS: Final = {
    "waiting-for-sellers-confirmation": Status.WAITING_FOR_AUTHORIZATION,
    "waiting-for-seller-confirmation": Status.WAITING_FOR_AUTHORIZATION,
    "cancelled": Status.CANCELED,
    "cancellation-request": Status.CANCELLATION_REQUESTED,
    "cancelation-request": Status.CANCELLATION_REQUESTED,
    "cancelation-requested": Status.CANCELLATION_REQUESTED,
    "order-completed": Status.ON_ORDER_COMPLETED,
}
_RANGE: Final = re.compile(
    r"(?:(?P<prefix>\w+)\s*:)?\s*\[?\s*(?P<first>[^\s\[\]]+)\s+TO\s+(?P<last>[^\s\[\]]+)\s*\]?",
    re.IGNORECASE,
)
_DAY_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAYS: Final = re.compile(r"(-?\d{1,4})(?:\.days?)?", re.ASCII)
DATE_PREFIXES: Final = ("creationDate", "authorizedDate", "invoicedDate")
YEARS: Final = (1900, 2999)
# The pattern may look at each blank many times.
LONGEST_RANGE: Final = 200


class Repeated(forms.Widget):
    """Reads every value of a parameter, not the last alone."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[str]:
        values = data.getlist(name) if isinstance(data, QueryDict) else data.get(name, [])
        return [value for value in values if value.strip()]


class ParameterField(forms.Field):
    """A parameter that may be left out: then, and when it is blank, its value is None."""

    widget = Repeated

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "required": False})

    def clean(self, value: Any) -> Any:
        if not value:
            return None
        if len(value) > MOST_VALUES:
            raise ValidationError(f"Expected at most {MOST_VALUES} values.")
        if any("\x00" in text for text in value):
            raise ValidationError("NUL characters are not allowed.")
        return self.read(value)

    def read(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError


class TextField(ParameterField):
    """One text as it is; the last one where the parameter is repeated."""

    def read(self, texts: Sequence[str]) -> str:
        return texts[-1]


class RequiredTextField(TextField):
    """A text without which there is no answer."""

    def clean(self, value: Any) -> Any:
        if not value:
            raise ValidationError("This parameter is required.")
        return super().clean(value)


class TextsField(ParameterField):
    """
    Names, any of which may apply. A comma may part two names or belong to one, and quotes may
    be the sender's or the name's: a name is compared in each of these readings.
    """

    def read(self, texts: Sequence[str]) -> list[str] | None:
        if ALL_VALUES in texts:
            return None
        return list(dict.fromkeys(reading for text in texts for reading in _readings(text)))


def _readings(text: str) -> Iterable[str]:
    yield text
    parts = [text.strip(), *(part.strip() for part in text.split(","))]
    for part in filter(None, parts):
        yield part
        if len(part) > 2 and part[0] == part[-1] == '"':
            yield part[1:-1]


class StatusesField(ParameterField):
    def read(self, texts: Sequence[str]) -> list[Status] | None:
        words = [word.strip() for text in texts for word in text.split(",")]
        if ALL_VALUES in words:
            return None
        return list(dict.fromkeys(_status(word) for word in filter(None, words)))


def _status(word: str) -> Status:
    name = re.sub(r"[\s_]+", "-", word.lower())
    if name in STATUS_SPELLINGS:
        return STATUS_SPELLINGS[name]
    allowed = [status.value for status in Status]
    if name in allowed:
        return Status(name)
    close = get_close_matches(name, allowed, n=1)
    advice = f" Did you mean {close[0]!r}?" if close else ""
    message = f"{word[:80]!r} is no status.{advice}"
    raise ValidationError(message, params={"allowed": allowed})


class BooleanField(ParameterField):
    def read(self, texts: Sequence[str]) -> bool:
        word = texts[-1].strip().lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise ValidationError(
                f"{word[:80]!r} is neither true nor false.", params={"allowed": ["true", "false"]}
            )
        return word in TRUE_WORDS


class PeriodsField(ParameterField):
    """`creationDate:[2022-01-01T02:00:00.000Z TO *]`; the word before the colon may be any date's."""

    def read(self, texts: Sequence[str]) -> list[Period]:
        return [_period(text.strip()) for text in texts]


def _period(text: str) -> Period:
    match = _RANGE.fullmatch(text) if len(text) <= LONGEST_RANGE else None
    prefixes = {prefix.lower() for prefix in DATE_PREFIXES}
    if match is None or (match["prefix"] or "creationdate").lower() not in prefixes:
        raise _no_range(text)
    try:
        return Period(_bound(match["first"]), _bound(match["last"], is_last=True))
    except (NotTaken, OverflowError):
        raise _no_range(text) from None


def _no_range(text: str) -> ValidationError:
    example = "creationDate:[2022-01-01T02:00:00.000Z TO 2022-01-02T01:59:59.999Z]"
    return ValidationError(
        f"{text[:80]!r} is no range of dates.",
        params={"allowed": [example, "creationDate:[* TO 2022-01-02T01:59:59.999Z]"]},
    )


def _bound(text: str, *, is_last: bool = False) -> Any:
    if text == "*":
        return None
    moment = parse_moment(text)
    if moment is None or not YEARS[0] <= moment.year <= YEARS[1]:
        raise NotTaken("expected a date")
    if is_last and _DAY_ONLY.fullmatch(text):
        return moment + timedelta(days=1, microseconds=-1)
    return moment


class DaysField(ParameterField):
    """`7.days` ahead, `0.days` today, `-1.days` late."""

    def read(self, texts: Sequence[str]) -> int:
        match = _DAYS.fullmatch(texts[-1].strip())
        if match is None or int(match[1]) < -1:
            raise ValidationError(
                f"{texts[-1][:80]!r} is no number of days.",
                params={"allowed": ["7.days", "1.days", "0.days", "-1.days"]},
            )
        return int(match[1])


class SortingField(ParameterField):
    """`creationDate,desc`; a field alone sorts downwards."""

    def read(self, texts: Sequence[str]) -> Sorting:
        name, _, direction = texts[-1].partition(",")
        fields = {field.value.lower(): field for field in SortField}
        directions = {"": True, "desc": True, "asc": False}
        field = fields.get(name.strip().lower())
        is_descending = directions.get(direction.strip().lower())
        if field is None or is_descending is None:
            allowed = [f"{field.value},{way}" for field in SortField for way in ("asc", "desc")]
            message = f"Lists cannot be sorted by {texts[-1][:80]!r}."
            raise ValidationError(message, params={"allowed": allowed})
        return Sorting(field, is_descending)


class NumberField(ParameterField):
    def __init__(self, *, largest: int, **given: Any) -> None:
        super().__init__(**given)
        self.largest = largest

    def read(self, texts: Sequence[str]) -> int:
        text = texts[-1].strip()
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        if not is_number or not 1 <= int(text) <= self.largest:
            raise ValidationError(
                f"{text[:80]!r} is not between 1 and {self.largest}.",
                params={"allowed": [f"1 to {self.largest}"]},
            )
        return int(text)
