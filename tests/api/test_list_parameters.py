"""What parameters of the list may look like: pure, texts in and values out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import QueryDict

from oms.api.listing.fields import (
    BooleanField,
    DaysField,
    NumberField,
    ParameterField,
    PeriodsField,
    SortingField,
    StatusesField,
    TextsField,
)
from oms.api.listing.filters import BadParameters, searched, spelled_as
from oms.api.listing.paging import Page, read_cursor, read_page, write_cursor
from oms.orders.criteria import Period
from oms.orders.listing import Position, SortField, Sorting
from oms.orders.statuses import Status


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


FIRST, LAST = at(2022, 1, 1, 2), at(2022, 1, 2, 1, 59, 59, 999000)
DAY_END = at(2022, 1, 2, 23, 59, 59, 999999)
PUBLISHED = "[2022-01-01T02:00:00.000Z TO 2022-01-02T01:59:59.999Z]"


@pytest.mark.parametrize(
    ("field", "texts", "value"),
    [
        (PeriodsField(), [f"creationDate:{PUBLISHED}"], [Period(FIRST, LAST)]),
        (PeriodsField(), [f"CREATIONDATE: {PUBLISHED}"], [Period(FIRST, LAST)]),
        (PeriodsField(), [PUBLISHED], [Period(FIRST, LAST)]),
        (PeriodsField(), [PUBLISHED.strip("[]")], [Period(FIRST, LAST)]),
        (PeriodsField(), ["creationDate:[* TO 2022-01-02]"], [Period(None, DAY_END)]),
        (PeriodsField(), ["[2022-01-01T04:00:00+02:00 to *]"], [Period(FIRST, None)]),
        (PeriodsField(), [PUBLISHED, "[* TO *]"], [Period(FIRST, LAST), Period(None, None)]),
        (StatusesField(), ["handling,invoiced", "handling"], [Status.HANDLING, Status.INVOICED]),
        (StatusesField(), ["Ready for_Invoicing"], [Status.READY_FOR_INVOICING]),
        (StatusesField(), ["cancelled"], [Status.CANCELED]),
        (StatusesField(), ["handling", "$$ALL_VALUES$$"], None),
        (TextsField(), ["A"], ["A"]),
        (TextsField(), ["A, B"], ["A, B", "A", "B"]),
        (TextsField(), ['"A  B"'], ['"A  B"', "A  B"]),
        (TextsField(), [" A "], [" A ", "A"]),
        (BooleanField(), ["True"], True),
        (BooleanField(), ["0"], False),
        (DaysField(), ["7.days"], 7),
        (DaysField(), ["-1.days"], -1),
        (DaysField(), ["0"], 0),
        (SortingField(), ["totalvalue,ASC"], Sorting(SortField.TOTAL_VALUE, False)),
        (SortingField(), ["origin"], Sorting(SortField.ORIGIN, True)),
        (NumberField(largest=30), ["30"], 30),
        (NumberField(largest=30), ["007"], 7),
        (NumberField(largest=30), [], None),
    ],
)
def test_readings(field: ParameterField, texts: list[str], value: Any) -> None:
    assert field.clean(texts) == value


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        (PeriodsField(), ["creationDate:[2022-01-01]"]),
        (PeriodsField(), ["creationDate:[a TO b]"]),
        (PeriodsField(), ["creationDate:[9999-12-31T23:59:59-14:00 TO *]"]),
        (PeriodsField(), ["creationDate:[2022-01-01 TO 2022-01-02] OR 1=1"]),
        (PeriodsField(), ["x" * 10_000]),
        (PeriodsField(), ["creationDate:" + " " * 100_000 + "x"]),
        (StatusesField(), ["handling;invoiced"]),
        (StatusesField(), ["handling"] * 1_001),
        (BooleanField(), ["y"]),
        (DaysField(), ["1.5.days"]),
        (DaysField(), ["٣.days"]),
        (SortingField(), ["creationDate,desc,orderId"]),
        (NumberField(largest=30), ["٣"]),
        (NumberField(largest=30), ["1e1"]),
        (TextsField(), ["a\x00b"]),
    ],
)
def test_refusals(field: ParameterField, texts: list[str]) -> None:
    with pytest.raises(ValidationError):
        field.clean(texts)


def test_names_of_parameters_are_known_in_any_case_and_with_or_without_underscores() -> None:
    query = QueryDict("PER_PAGE=5&perPage=6&fstatus=a&f_Status=b&other=c")
    spelled = spelled_as({"per_page": None, "f_status": None}, query)
    assert dict(spelled.lists()) == {"per_page": ["5", "6"], "f_status": ["a", "b"]}


@pytest.mark.parametrize(
    ("query", "turned"),
    [
        ("searchField=tid&q=X", {"tid": ["X"]}),
        ("searchField=tid%26tid&q=X", {"tid": ["X"]}),
        ("searchField=TID:X", {"tid": ["X"]}),
        ("searchField=tid=X&q=Y", {"tid": ["X"], "q": ["Y"]}),
        ("searchField=tid&tid=X", {"tid": ["X"]}),
        ("searchField=X", {"searchField": ["X"]}),
        ("q=X", {"q": ["X"]}),
    ],
)
def test_search_fields_become_the_parameter_that_they_name(
    query: str, turned: dict[str, list[str]]
) -> None:
    assert dict(searched(QueryDict(query)).lists()) == turned


@pytest.mark.parametrize(
    ("sorting", "position"),
    [
        (Sorting(), Position(at(2022, 1, 1, 2, 3, 4, 5), 7)),
        (Sorting(SortField.ORDER_ID, False), Position("V-1-01", 8)),
        (Sorting(SortField.TOTAL_VALUE), Position(2**53, 9)),
    ],
)
def test_a_cursor_says_where_the_page_before_ended(sorting: Sorting, position: Position) -> None:
    cursor = write_cursor(sorting, position)
    assert read_cursor(cursor) == (sorting, position)
    assert read_page(QueryDict(f"cursor={cursor}&page=9&per_page=50")) == Page(
        size=50, sorting=sorting, after=position
    )
    for forged in (cursor[:-1], f"x{cursor}", cursor[::-1], signing.dumps([1, 2], salt="other")):
        with pytest.raises(BadParameters):
            read_cursor(forged)
