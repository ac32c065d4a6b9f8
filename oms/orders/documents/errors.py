"""What is wrong with a document, field by field. Messages never repeat a person's data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be taken: its path, as in `items[0].quantity`, and what it wants."""

    field: str
    message: str
    allowed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        facts = asdict(self)
        if not self.allowed:
            del facts["allowed"]
        return facts

    def __str__(self) -> str:
        words = f"{self.field}: {self.message}" if self.field else self.message
        return f"{words} (allowed: {', '.join(self.allowed)})" if self.allowed else words


class DocumentError(Exception):
    """A document that was refused, with everything that is wrong with it."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))

    @property
    def details(self) -> list[dict[str, Any]]:
        return [error.as_json() for error in self.errors]


class NotTaken(ValueError):
    """A single value that a column cannot take. Becomes a `FieldError` where its path is known."""

    def __init__(self, message: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed
