"""
What a key wants to be told of: the filter of a feed or hook, read from a configuration's body.

Pure. Where the contract contradicts itself, every reading is taken: no filter and no type mean
statuses, no status means all of them, `disableSingleFire` beside statuses says nothing.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from feeds.models import FilterType
from feeds.refusals import FeedRefused, MixedFilter, Problem
from oms.orders.statuses import Status

# Every status an order can have, and so the thirty that the contract lists as filter values.
KNOWN_STATUSES: Final = tuple(sorted(status.value for status in Status))
# Told at once when many are wrong; the list of what is allowed goes with the first.
MOST_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class EventFilter:
    """An empty `statuses` means all. `fires_once` is `disableSingleFire: false`."""

    type: FilterType = FilterType.FROM_WORKFLOW
    statuses: tuple[str, ...] = ()
    expression: str = ""
    fires_once: bool = False

    def as_json(self) -> dict[str, Any]:
        """This function will write the filter as the contract answers it."""
        if self.type is FilterType.FROM_WORKFLOW:
            return {"type": self.type.value, "status": list(self.statuses)}
        return {
            "type": self.type.value,
            "expression": self.expression,
            "disableSingleFire": not self.fires_once,
        }


def parse_filter(body: object, *, field: str = "filter") -> EventFilter:
    """
    This function will read a filter; `field` is where it stood, for the refusals.

    The expression's own syntax is not looked at here. Raises MixedFilter for statuses beside an
    expression, and FeedRefused for anything else that is wrong.
    """
    if body is None:
        return EventFilter()
    if not isinstance(body, Mapping):
        raise FeedRefused(Problem(field, "Expected an object with type and status."))
    given = {str(key).lower(): value for key, value in body.items()}
    statuses = _statuses(given.get("status"), f"{field}.status")
    expression = _expression(given.get("expression"), f"{field}.expression")
    if statuses and expression:
        raise MixedFilter(
            Problem(field, "Either status (FromWorkflow) or expression (FromOrders), not both.")
        )
    if _type(given.get("type"), f"{field}.type") is FilterType.FROM_WORKFLOW:
        if expression:
            raise FeedRefused(
                Problem(
                    f"{field}.type", "An expression needs this type.", [FilterType.FROM_ORDERS]
                )
            )
        return EventFilter(statuses=statuses)
    if not expression:
        raise FeedRefused(Problem(f"{field}.expression", "FromOrders needs an expression."))
    is_disabled = _flag(given.get("disablesinglefire"), f"{field}.disableSingleFire")
    return EventFilter(
        type=FilterType.FROM_ORDERS, expression=expression, fires_once=not is_disabled
    )


def _type(given: object, field: str) -> FilterType:
    if given is None:
        return FilterType.FROM_WORKFLOW
    for known in FilterType:
        if isinstance(given, str) and given.strip().lower() == known.value.lower():
            return known
    raise FeedRefused(
        Problem(field, "Unknown type of filter.", [known.value for known in FilterType])
    )


def _statuses(given: object, field: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise FeedRefused(Problem(field, "Expected a list of statuses."))
    problems = [
        Problem(f"{field}[{index}]", _misspelling(name))
        for index, name in enumerate(given)
        if name not in KNOWN_STATUSES
    ]
    if problems:
        first = problems[0]
        raise FeedRefused(
            Problem(first.field, first.message, KNOWN_STATUSES), *problems[1:MOST_PROBLEMS]
        )
    return tuple(dict.fromkeys(given))


def _misspelling(name: object) -> str:
    if not isinstance(name, str):
        return "Expected the name of a status."
    suggestions = suggest(name, KNOWN_STATUSES)
    known = f" Did you mean {suggestions[0]}?" if suggestions else ""
    return f"There is no status {name[:80]!r}.{known}"


def suggest(name: str, known: Sequence[str]) -> list[str]:
    """This function will return the known names that look most like what was written."""
    written = name.strip().lower().replace("_", "-").replace(" ", "-")[:80]
    return difflib.get_close_matches(written, known, n=1, cutoff=0.6)


def _expression(given: object, field: str) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise FeedRefused(Problem(field, "Expected a JSONata expression as text."))
    return given.strip()


def _flag(given: object, field: str) -> bool:
    if given is None:
        return False
    if not isinstance(given, bool):
        raise FeedRefused(Problem(field, "Expected true or false."))
    return given
