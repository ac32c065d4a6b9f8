"""
How the fields of a document and the columns of a row translate into each other without loss.

What no column holds stays in `extra` under its own name. Where a column holds the value but not
its spelling (seven fraction digits, null for blank, a field left out), `extra` remembers the
original under `$imported`, and it is given back for as long as it means what the column says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oms.orders.documents.errors import FieldError, NotTaken
from oms.orders.documents.kinds import Kind

IMPORTED: Final = "$imported"
PLACED: Final = "$placed"
RESERVED: Final = frozenset({IMPORTED, PLACED})
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Column:
    """
    One field of a document and the attribute of the draft and column of the row that hold it.

    `default` stands in for null and for a field left out; `same_as` names another attribute,
    declared before it, whose value does.
    """

    key: str
    attribute: str
    kind: Kind
    required: bool = False
    default: Any = None
    same_as: str = ""

    def fallback(self, values: Mapping[str, Any]) -> Any:
        return values.get(self.same_as) if self.same_as else self.default

    def read(self, raw: Any, values: Mapping[str, Any]) -> Any:
        if raw is None or raw is _MISSING:
            if self.required:
                raise NotTaken("required")
            return self.fallback(values)
        return self.kind.read(raw)


def take(
    source: Mapping[str, Any], columns: Iterable[Column], path: str, errors: list[FieldError]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    This function will split one object of a document into column values and `extra`.

    What cannot be taken is added to `errors`; its value is then the column's default.
    """
    values: dict[str, Any] = {}
    extra = dict(source)
    spelled: dict[str, Any] = {}
    absent: list[str] = []
    for name in RESERVED & extra.keys():
        errors.append(FieldError(at(path, name), "this name is reserved"))
    for column in columns:
        key = column.key
        raw = extra.pop(key, _MISSING)
        try:
            value = column.read(raw, values)
        except NotTaken as error:
            errors.append(FieldError(at(path, key), str(error), error.allowed))
            value = column.fallback(values)
        values[column.attribute] = value
        if raw is _MISSING:
            absent.append(key)
            continue
        # Most values are their own spelling: the comparison of identities saves a third of reading.
        written = column.kind.write(value)
        if written is not raw and not _equal(written, raw):
            spelled[key] = raw
    extra[IMPORTED] = {
        **({"spelled": spelled} if spelled else {}),
        **({"absent": absent} if absent else {}),
    }
    return values, extra


def give(
    row: Mapping[str, Any], columns: Iterable[Column], *, all_fields: bool = False
) -> dict[str, Any]:
    """
    This function will put a row's columns and its `extra` together to an object of a document.

    With `all_fields`, fields that the import left out are given as well.
    """
    extra: dict[str, Any] = row["extra"]
    given = {key: value for key, value in extra.items() if key not in RESERVED}
    marks = extra.get(IMPORTED) or {}
    spelled = marks.get("spelled") or {}
    absent = marks.get("absent") or () if not all_fields else ()
    for column in columns:
        value = row[column.attribute]
        if column.key in spelled and _still_means(column, spelled[column.key], value, row):
            given[column.key] = spelled[column.key]
        elif column.key not in absent or value != column.fallback(row):
            given[column.key] = column.kind.write(value)
    return given


def is_imported(extra: Mapping[str, Any]) -> bool:
    return IMPORTED in extra


def at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _still_means(column: Column, original: Any, value: Any, row: Mapping[str, Any]) -> bool:
    try:
        return bool(column.read(original, row) == value)
    except NotTaken:
        return False


def _equal(ours: Any, theirs: Any) -> bool:
    # `1 == True == 1.0` in Python, not in JSON.
    return type(ours) is type(theirs) and bool(ours == theirs)
