"""Reads request bodies as JSON, refusing what PostgreSQL or our own code could not carry."""

from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import IO, Any

import orjson
from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64
# orjson gives whole numbers beyond 64 bits as floats, so floats as large are refused with them,
# and so is -2**63: as a float it cannot be told from what was rounded to it.
MAX_WHOLE_NUMBER = 2**63 - 1
MIN_WHOLE_NUMBER = -MAX_WHOLE_NUMBER

_NUMBER_MESSAGE = "Numbers must fit in 64 bits."
_NUL_MESSAGE = "Text must not hold NUL characters (\\u0000)."
_DEPTH_MESSAGE = f"JSON must not be nested more than {MAX_DEPTH} levels deep."

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BodyRefused(APIException):
    """The body is not JSON that we take. `details` names the place, as field errors do."""

    status_code = 400
    default_code = "invalid_json"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.details = [{"field": field, "message": message}] if field is not None else []


class JsonBodyParser(BaseParser):
    """
    Parses JSON by orjson; an absent or blank body is an empty object.

    A view that takes a list says `json_body = list` or `list | dict`; others take an object. orjson itself
    refuses NaN, Infinity, numbers beyond a double, lone surrogates and bytes that are not UTF-8.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        view = (parser_context or {}).get("view")
        return parse_json_body(stream.read(), getattr(view, "json_body", dict))


def parse_json_body(body: bytes, expected: type | UnionType = dict) -> dict[str, Any] | list[Any]:
    """
    This function will parse and check one body; raises BodyRefused with position or field.

    The check goes level by level, not by recursion; it costs one and a half times the parsing.
    """
    text = body.removeprefix(_BYTE_ORDER_MARK)
    if not text.strip():
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BodyRefused(
            f"Malformed JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(parsed, dict | list) or not isinstance(parsed, expected):
        names: dict[Any, str] = {list: "list", dict: "object", list | dict: "list or object"}
        wanted = names[expected]
        raise BodyRefused(f"The body must be a JSON {wanted}.")
    # A NUL can only come from its escape, so most bodies skip looking at each string.
    problem = _quick_problem(parsed, may_hold_nul=b"\\u0000" in text)
    if problem is not None:
        raise BodyRefused(problem, field=_find_field(parsed))
    return parsed


def _quick_problem(top: dict[str, Any] | list[Any], may_hold_nul: bool) -> str | None:
    level: list[Any] = [top]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for container in level:
            values = container.values() if type(container) is dict else container
            if problem := _problem_among(values, may_hold_nul, deeper):
                return problem
            if may_hold_nul and type(container) is dict and "\0" in "".join(container):
                return _NUL_MESSAGE
        if not deeper:
            return None
        level = deeper
    return _DEPTH_MESSAGE


def _problem_among(values: Iterable[Any], may_hold_nul: bool, deeper: list[Any]) -> str | None:
    for value in values:
        kind = type(value)
        if kind is dict or kind is list:
            deeper.append(value)
        elif kind is int or kind is float:
            if not MIN_WHOLE_NUMBER <= value <= MAX_WHOLE_NUMBER:
                return _NUMBER_MESSAGE
        elif may_hold_nul and kind is str and "\0" in value:
            return _NUL_MESSAGE
    return None


def _find_field(top: dict[str, Any] | list[Any]) -> str:
    """Slow and only for the answer: walks again, with paths, to the first offending place."""
    level: list[tuple[str, Any]] = [("", top)]
    for _ in range(MAX_DEPTH):
        deeper: list[tuple[str, Any]] = []
        for path, container in level:
            for field, value in _children(path, container):
                if "\0" in field or _is_offending(value):
                    return field.replace("\0", "\\u0000")
                if isinstance(value, dict | list):
                    deeper.append((field, value))
        level = deeper
    return level[0][0] if level else ""


def _children(path: str, container: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(container, dict):
        for key, value in container.items():
            yield (f"{path}.{key}" if path else key), value
    else:
        for index, value in enumerate(container):
            yield f"{path}[{index}]", value


def _is_offending(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, int | float):
        return not MIN_WHOLE_NUMBER <= value <= MAX_WHOLE_NUMBER
    return False
