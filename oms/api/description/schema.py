"""Turns the tables of operations into OpenAPI: what drf-spectacular asks, they answer."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from oms.api.authentication import required_scopes
from oms.api.description import fields as fields  # its classes register themselves
from oms.api.description.operation import Operation, Query, ref
from oms.api.description.operations import TAGS, find_operation
from oms.api.description.shapes import SHAPES
from oms.api.errors import STATUS_ERRORS, error_body

ALWAYS_POSSIBLE: Final = (400, 401, 403, 429, 503)
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
KEY: Final = "AppKey"
TOKEN: Final = "AppToken"
PATH_PARAMETERS: Final = {
    "order_id": "The order's id, or `seq` and its sequence number.",
    "order_group": "The id of the purchase.",
    "invoice_number": "The invoice's number as it was sent; encode what an address cannot hold.",
    "payment_id": "The payment's id in the order's `paymentData`.",
    "request_id": "The id of the change request.",
    "hour": "A whole hour in UTC, such as 2026-01-31T18:00:00Z.",
}


class DescribedSchema(AutoSchema):
    """DRF's DEFAULT_SCHEMA_CLASS: one operation of one view, from the tables."""

    @property
    def operation(self) -> Operation:
        return find_operation(self.view, self.method, self.path)

    def get_operation_id(self) -> str:
        return self.operation.id

    def get_tags(self) -> list[str]:
        return [self.operation.tag]

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]
        scopes = sorted(required_scopes(self.view).get(self.method, ()))
        opened = f"Opened by any of the scopes {', '.join(scopes)}." if scopes else ""
        return "\n\n".join(text for text in (self.operation.text, opened) if text)

    def get_request_serializer(self) -> Any:
        body = self.operation.body
        return {"application/json": body} if isinstance(body, Mapping) else body

    def get_response_serializers(self) -> Any:
        answers: dict[str, Any] = {
            str(status): OpenApiResponse(dict(shape) if shape is not None else None, "")
            for status, shape in self.operation.answers.items()
        }
        refusals = {*ALWAYS_POSSIBLE, *self.operation.refusals}
        if self.method in WRITES:
            refusals |= {409, 422}
        if self._is_bound_to_an_order:
            refusals |= {412}
        for status in sorted(refusals):
            message = STATUS_ERRORS[status][1]
            answers[str(status)] = OpenApiResponse(dict(ref("Error")), message)
        if self.operation.conditional:
            answers["304"] = OpenApiResponse(None, "Nothing new since the tag in If-None-Match.")
        return answers

    def get_override_parameters(self) -> list[Any]:
        query: Any = self.operation.query
        parameters = (
            [query]
            if isinstance(query, type) and issubclass(query, serializers.Serializer)
            else [_query(parameter) for parameter in query]
        )
        return [*parameters, *self._path_parameters(), *self._header_parameters()]

    def get_examples(self) -> list[OpenApiExample]:
        examples = []
        if self.operation.example is not None:
            examples.append(
                OpenApiExample("Request", value=self.operation.example, request_only=True)
            )
        if self.operation.answer_example is not None:
            status = next(iter(self.operation.answers))
            examples.append(
                OpenApiExample(
                    "Answer",
                    value=self.operation.answer_example,
                    response_only=True,
                    status_codes=[str(status)],
                )
            )
        return examples

    @property
    def _is_bound_to_an_order(self) -> bool:
        return self.method in WRITES and "{order_id}" in self.path

    def _path_parameters(self) -> list[OpenApiParameter]:
        return [
            OpenApiParameter(
                name, str, OpenApiParameter.PATH, description=PATH_PARAMETERS.get(name, "")
            )
            for name in re.findall(r"{(\w+)}", self.path)
        ]

    def _header_parameters(self) -> list[OpenApiParameter]:
        headers = []
        if self.method in WRITES:
            headers.append(
                _header("Idempotency-Key", "A repetition with the same key has no second effect.")
            )
        if self._is_bound_to_an_order:
            headers.append(_header("If-Match", "The order's `ETag`: 412 if it has changed since."))
        if self.operation.conditional:
            headers.append(
                _header("If-None-Match", "An `ETag`: 304 if nothing has changed since.")
            )
        return headers


class AppKeyScheme(OpenApiAuthenticationExtension):
    """The contract's two headers, both needed."""

    target_class = "oms.api.authentication.AppKeyAuthentication"
    name = [KEY, TOKEN]

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:
        return {KEY: [], TOKEN: []}

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        headers = {KEY: "X-VTEX-API-AppKey", TOKEN: "X-VTEX-API-AppToken"}
        return [{"type": "apiKey", "in": "header", "name": headers[name]} for name in self.name]


def add_shapes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """This function will put the shapes of answers among the components (POSTPROCESSING_HOOKS)."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {name: dict(shape) for name, shape in SHAPES.items()}
    schemas["Error"]["examples"] = [error_body(*STATUS_ERRORS[404]) | {"requestId": "0f8c1d"}]
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


@cache
def whole_description() -> dict[str, Any]:
    """This function will return the API's whole description, made once a process."""
    description: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return description


def _query(parameter: Query) -> OpenApiParameter:
    return OpenApiParameter(
        parameter.name,
        dict(parameter.shape),
        OpenApiParameter.QUERY,
        description=parameter.text,
        required=parameter.required,
    )


def _header(name: str, text: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)
