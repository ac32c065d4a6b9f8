"""One operation as an integrator reads it. What follows from the view (scopes, path) is not here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers
from rest_framework.views import APIView

Shape = Mapping[str, Any]
Body = type[serializers.Serializer[Any]] | Shape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    `id` names the method of generated clients. `body` is a serializer or a JSON schema, `answers`
    a JSON schema or None by status. `refusals` are the statuses that this operation adds to those
    that any may answer. `query` are parameters, or a serializer whose fields are.
    """

    id: str
    tag: str
    summary: str
    text: str = ""
    body: Body = None
    answers: Mapping[int, Shape | None]
    refusals: Sequence[int] = ()
    query: Sequence["Query"] | type[serializers.Serializer[Any]] = ()
    example: Any = None
    answer_example: Any = None
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query string."""

    name: str
    text: str
    shape: Shape = field(default_factory=lambda: {"type": "string"})
    required: bool = False


Operations = dict[tuple[type[APIView], str], Operation]


def ref(name: str) -> Shape:
    """This function will point to one of `shapes.SHAPES`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(of: Shape, **more: Any) -> Shape:
    return {"type": "array", "items": of, **more}
