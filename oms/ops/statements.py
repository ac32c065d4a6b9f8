"""
Several statements in one round trip.

A round trip costs as much as the statement it carries (docs/benchmarks.md), so what belongs
together goes together: PostgreSQL runs the statements one after the other, each seeing what those
before it wrote, and the first error ends the lot like an error of a single statement.

Rows go along as one JSON parameter (`as_json`, read by json_to_recordset): the driver quotes
arrays in Python, value by value, at three times the price.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with its parameters by position, to be sent alone or together with others."""

    sql: str
    params: Sequence[Any] = ()


def as_json(rows: Sequence[Any]) -> str:
    """This function will write rows, dictionaries or dataclasses, as a JSON array of objects."""
    return orjson.dumps(rows).decode()


def as_array(numbers: Iterable[int]) -> str:
    """This function will write numbers as PostgreSQL writes an array, to be cast where it is used."""
    return f"{{{','.join(map(str, numbers))}}}"


def run_together(*statements: Statement) -> list[Rows]:
    """
    This function will send statements in one message and return the rows of each, in order.

    It needs parameters bound by the driver: Django's default, `server_side_binding` off.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            ";".join(statement.sql for statement in statements),
            [value for statement in statements for value in statement.params],
        )
        found = [cursor.fetchall() if cursor.description else []]
        while cursor.nextset():
            found.append(cursor.fetchall() if cursor.description else [])
    return found
