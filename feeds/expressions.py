"""
Filters by expression: JSONata over the order document, read and run by `feeds.evaluator`.

    expression = compile_expression('status = "invoiced" and value > 100')
    expression.matches(document)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feeds.evaluator.outcomes import (
    EvaluatorUnavailable,
    ExpressionFailed,
    ExpressionRefused,
    Verdict,
)
from feeds.evaluator.processes import paths_of_expression, verdicts_of_expression

__all__ = [
    "EvaluatorUnavailable",
    "Expression",
    "ExpressionFailed",
    "ExpressionRefused",
    "Verdict",
    "compile_expression",
    "warnings_for",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that may be kept. `paths` are the fields that it asks for, from the root."""

    text: str
    paths: tuple[tuple[str, ...], ...] = ()

    def matches(self, document: Mapping[str, Any]) -> bool:
        """
        This function will tell whether a document matches.

        Raises ExpressionFailed where the expression has no result for it; EvaluatorUnavailable.
        """
        (verdict,) = self.verdicts([document])
        if verdict.error:
            raise ExpressionFailed(verdict.error)
        return verdict.is_match

    def verdicts(
        self, documents: Sequence[Mapping[str, Any]], *, seconds: float = math.inf
    ) -> list[Verdict]:
        """
        This function will judge many documents, in order; after `seconds` no more of them.

        Raises EvaluatorUnavailable.
        """
        return verdicts_of_expression(self.text, documents, seconds=seconds)


def compile_expression(text: str) -> Expression:
    """
    This function will read an expression.

    Raises ExpressionRefused, with the position of the mistake, for one that cannot be read or may
    not be kept; EvaluatorUnavailable.
    """
    return Expression(text, tuple(paths_of_expression(text)))


def warnings_for(expression: Expression, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    This function will say which paths of an expression are in none of the documents.

    A comparison with what is not there is never true, not even `!=`: the contract's own example
    `salesChannel.Id != "3"` matches nothing, because `salesChannel` is a text.
    """
    if not documents:
        return []
    missing: dict[str, None] = {}
    for path in expression.paths:
        for length in range(1, len(path) + 1):
            if not any(_has(document, path[:length]) for document in documents):
                missing[".".join(path[:length])] = None
                break
    return [
        f"{path} is in none of the orders looked at ({len(documents)}); a comparison with what is "
        "not there is never true, not even by !=."
        for path in missing
    ]


def _has(document: Mapping[str, Any], path: Sequence[str]) -> bool:
    found: list[Any] = [document]
    for name in path:
        found = [node[name] for node in _objects(found) if name in node]
    return bool(found)


def _objects(nodes: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        if isinstance(node, Mapping):
            yield node
        elif isinstance(node, list):
            yield from _objects(node)
