"""What is wrong with something that was sent, field by field: the facts of a refusal."""

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


class Refused(Exception):
    """What was sent cannot be taken. Nothing was changed. `details` is what an answer tells of it."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.sentence for problem in problems))

    @property
    def details(self) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in asdict(problem).items() if value}
            for problem in self.problems
        ]
