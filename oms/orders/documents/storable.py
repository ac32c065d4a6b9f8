"""
What JSON may say and PostgreSQL cannot keep: refused with its place, before anything is written.

NUL characters, halves of surrogate pairs, whole numbers beyond 64 bits, nesting beyond reason.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from oms.orders.documents.errors import FieldError

UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
SMALLEST_WHOLE: Final = -(2**63)
BIGGEST_WHOLE: Final = 2**64 - 1
DEEPEST: Final = 100
# Digits become 0 and whatever may stand before a number becomes a colon: found at memory speed.
NUMBER_SHAPES: Final = bytes.maketrans(b"123456789,[ \t-", b"000000000:::::")
LONG_NUMBER: Final = b":" + b"0" * 19
NUL_AS_JSON: Final = b"\\u0000"


def storable_errors(document: Mapping[str, Any] | list[Any]) -> list[FieldError]:
    """This function will list every value at any depth that could not be stored and given back."""
    try:
        if NUL_AS_JSON not in orjson.dumps(document):
            return []
    except orjson.JSONEncodeError:
        return list(_search(document, "", 0)) or [
            FieldError("", "holds a value that JSON cannot spell")
        ]
    return list(_search(document, "", 0))


def _search(value: Any, path: str, depth: int) -> Iterator[FieldError]:
    if depth > DEEPEST:
        yield FieldError(path[:200], f"nested deeper than {DEEPEST} levels")
    elif isinstance(value, str):
        if UNSTORABLE.search(value):
            yield FieldError(path, "contains a NUL character or half a surrogate pair")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str) or UNSTORABLE.search(key):
                yield FieldError(
                    path, "contains a name with a NUL character or half a surrogate pair"
                )
            else:
                yield from _search(inner, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _search(inner, f"{path}[{index}]", depth + 1)
    elif isinstance(value, int) and not SMALLEST_WHOLE <= value <= BIGGEST_WHOLE:
        yield FieldError(path, "whole number beyond 64 bits")


def exact_number_errors(text: bytes) -> list[FieldError]:
    """
    This function will list the whole numbers in JSON text that do not fit into 64 bits.

    orjson turns them into floats, so the parsed document no longer shows them.
    """
    if LONG_NUMBER not in text.translate(NUMBER_SHAPES):
        return []
    return list(_search(json.loads(text), "", 0))
