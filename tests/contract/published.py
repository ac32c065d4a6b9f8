"""
The published contract's response schemas, applied to our answers.

The contract lies beside the project (`../shared/contract`); where it does not, tests that need it
are skipped and say so. Its OpenAPI 3.0 dialect is translated: `nullable` becomes a type.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CONTRACT: Final = ROOT.parent / "shared" / "contract" / "vtex-orders-openapi.json"

needs_contract = pytest.mark.skipif(
    not CONTRACT.is_file(), reason=f"the published contract is not at {CONTRACT}"
)


@cache
def contract() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(CONTRACT.read_bytes())
    return found


def problems(method: str, path: str, answer: Any, status: int = 200) -> list[str]:
    """This function will tell where an answer is not what the contract says, place and message."""
    schema = response_schema(method, path, status)
    validator = Draft202012Validator(
        {**translated(schema), "components": translated(contract()["components"])}
    )
    return sorted(
        f"{_place(error.absolute_path)}: {_words(error)}"
        for error in validator.iter_errors(answer)
    )


def response_schema(method: str, path: str, status: int = 200) -> dict[str, Any]:
    response = contract()["paths"][path][method.lower()]["responses"][str(status)]
    (media_type,) = response["content"].values()
    schema: dict[str, Any] = media_type["schema"]
    return schema


def response_example(method: str, path: str, status: int = 200) -> Any:
    response = contract()["paths"][path][method.lower()]["responses"][str(status)]
    (media_type,) = response["content"].values()
    return media_type["example"]


def translated(schema: Any) -> Any:
    """This function will turn OpenAPI 3.0's `nullable` into JSON Schema's null type."""
    if isinstance(schema, list):
        return [translated(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    known = {key: translated(part) for key, part in schema.items() if key not in SILENT}
    if known.pop("nullable", False) is True:
        return {"anyOf": [known, {"type": "null"}]}
    return known


# `example` may hold anything; `enum` of the contract lists what is usual, not what is possible.
SILENT: Final = frozenset({"example", "examples"})


def _words(error: Any) -> str:
    if error.validator == "required":
        return str(error.message).replace(" is a required property", " is missing")
    if error.validator == "type":
        kind = type(error.instance).__name__
        return f"{kind}, expected {error.validator_value}"
    return str(error.message)[:100]


def _place(path: Iterator[Any]) -> str:
    """Positions in lists do not matter: the same problem in two lines is one."""
    return ".".join("[]" if isinstance(part, int) else str(part) for part in path)


def missing(method: str, path: str, answer: Any, status: int = 200) -> list[str]:
    """This function will name the documented properties that an answer does not have."""
    return sorted(set(_missing(response_schema(method, path, status), answer, "")))


def _missing(schema: dict[str, Any], answer: Any, place: str) -> Iterator[str]:
    schema = _resolved(schema)
    if isinstance(answer, list):
        for part in answer:
            yield from _missing(schema.get("items", {}), part, f"{place}[]")
    elif isinstance(answer, dict):
        for name, described in schema.get("properties", {}).items():
            where = f"{place}.{name}" if place else name
            if name not in answer:
                yield where
            else:
                yield from _missing(described, answer[name], where)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while reference := schema.get("$ref"):
        schema = contract()["components"]["schemas"][reference.rpartition("/")[2]]
    return schema
