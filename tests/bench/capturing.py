"""What a service really sends to PostgreSQL, turned into a pgbench script that sends the same."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import ClientCursor

# Stand in for the values of the captured order while the text is made; found again by search.
ID, SEQ, NAME = 987_654_321_012, 1_234_543_21, "BENCHORDERNAME"


@dataclass(frozen=True, slots=True)
class Sent:
    sql: str
    params: Any


@contextmanager
def captured() -> Iterator[list[Sent]]:
    """This function will yield a list that fills with the statements of the default connection."""
    sent: list[Sent] = []

    def keep(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append(Sent(sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        yield sent


def transition_script(
    sent: list[Sent], *, pk: int, order_id: str, seq: int, first: int, last: int
) -> str:
    """
    This function will make the script of one transition of a random order between two numbers.

    The statement that locks comes first; what it returns names the order in the others.
    """
    with connection.cursor() as wrapper:
        cursor = ClientCursor(wrapper.connection)
        stand_ins: list[tuple[Any, Any]] = [(pk, ID), (seq, SEQ), (order_id, NAME)]
        texts = [_text(cursor, statement, stand_ins) for statement in sent]
    lock, *others = texts
    lines = [
        rf"\set n random({first}, {last})",
        "BEGIN;",
        rf"{lock} \gset",
        r"\set seq :version + 1",
        *(f"{text};" for text in others),
        "COMMIT;",
    ]
    return "\n".join(lines) + "\n"


def as_text(statement: Sent) -> str:
    """This function will return a statement with its values, as Django's driver sends it."""
    with connection.cursor() as wrapper:
        cursor = ClientCursor(wrapper.connection)
        return _text(cursor, statement, [])


def _text(cursor: Any, statement: Sent, stand_ins: list[tuple[Any, Any]]) -> str:
    params = [_stood_in(value, stand_ins) for value in statement.params or ()]
    # Statements that go in one round trip do so in pgbench as well.
    together = statement.sql.replace(";", r" \;")
    text = " ".join(cursor.mogrify(together, params).split())
    for stand_in, variable in ((ID, ":id"), (SEQ, ":seq"), (NAME, "BEN-:n-01")):
        text = text.replace(str(stand_in), variable)
    return text


def _stood_in(value: Any, stand_ins: list[tuple[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_replaced(part, stand_ins) for part in value]
    # A number by itself is a limit, say: keys and sequence numbers come in lists.
    return value if isinstance(value, int) else _replaced(value, stand_ins)


def _replaced(value: Any, stand_ins: list[tuple[Any, Any]]) -> Any:
    if isinstance(value, str) and value.startswith("["):
        return _in_json(value, stand_ins)
    for real, stand_in in stand_ins:
        if type(value) is type(real) and value == real:
            return stand_in
    return value


def _in_json(rows: str, stand_ins: list[tuple[Any, Any]]) -> str:
    """Rows as JSON: after each colon a space, or pgbench takes `::id` for a cast."""
    for real, stand_in in stand_ins:
        if stand_in == ID:
            rows = re.sub(rf'"(id|order_id|order_pk)":{real}\b', rf'"\1": {stand_in}', rows)
        elif stand_in == SEQ:
            rows = re.sub(rf'"seq":{real}\b', f'"seq": {stand_in}', rows)
    return rows
