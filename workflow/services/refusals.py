"""Why a service refuses. Each carries the facts; `oms.api.errors` maps it to an answer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that is wrong, and what it may be instead."""

    field: str
    message: str
    allowed: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """What is wrong with the whole of it has no field."""
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidInput(Exception):
    """What was sent contradicts the order. Nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.sentence for problem in problems))

    @property
    def details(self) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in asdict(problem).items() if value}
            for problem in self.problems
        ]


class PartOfOrderNotFound(Exception):
    """The order has no such payment, invoice or cancellation request."""


class CancellationRefused(Exception):
    """A partly invoiced order cannot be canceled: the rest can be changed or returned."""


class NotRepairable(Exception):
    """This step cannot be skipped, or is not parked."""
