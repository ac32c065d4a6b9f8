"""What an expression can come to. Shared by both sides of the evaluator; imports nothing."""

from dataclasses import dataclass

# Bounds that both sides know. Characters of an expression; milliseconds of processor time for one
# document; nested calls.
LONGEST_EXPRESSION = 2_000
PATIENCE_MS = 50
DEEPEST_CALL = 100
LONGEST_RANGE = 1_000
# How the child's process ends when its memory is used up.
OUT_OF_MEMORY = 77
# How the words of those failures begin that cost as much as they may (the first is JSONata's code).
TOO_LONG = "D1012"
TOO_MUCH_MEMORY = "The expression takes too much memory."


class ExpressionRefused(Exception):
    """This text is no expression that may be kept. `position` counts characters from 0, or None."""

    def __init__(self, message: str, position: int | None = None) -> None:
        self.message = message
        self.position = position
        super().__init__(message)

    @property
    def details(self) -> list[dict[str, str | int]]:
        detail: dict[str, str | int] = {"field": "Expression", "message": self.message}
        if self.position is not None:
            detail["position"] = self.position
        return [detail]


class ExpressionFailed(Exception):
    """The expression has no result for this document: it counts as no match."""


class EvaluatorUnavailable(Exception):
    """The evaluator cannot be started or does not answer: nobody knows what the result is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an expression says of one document. One that failed does not match."""

    is_match: bool
    error: str = ""

    @property
    def was_costly(self) -> bool:
        """Whether it failed for using all its time or memory."""
        return self.error.startswith((TOO_LONG, TOO_MUCH_MEMORY))
