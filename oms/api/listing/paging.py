"""Which page is asked for: by number within the first thirty, by cursor anywhere."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core import signing
from django.http import QueryDict

from oms.api.listing.fields import NumberField, SortingField, TextField
from oms.api.listing.filters import BadParameters, cleaned, spelled_as
from oms.orders.listing import Position, SortField, Sorting

MOST_PAGES: Final = 30
LARGEST_PAGE: Final = 100
USUAL_PAGE: Final = 15
_SALT: Final = "orders.list.cursor"


class PageForm(forms.Form):
    page = NumberField(largest=MOST_PAGES)
    per_page = NumberField(largest=LARGEST_PAGE)
    orderBy = SortingField()
    cursor = TextField()


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for. With `after`, the number of the page is not known."""

    number: int = 1
    size: int = USUAL_PAGE
    sorting: Sorting = field(default_factory=Sorting)
    after: Position | None = None

    @property
    def offset(self) -> int:
        return 0 if self.after else (self.number - 1) * self.size


def read_page(data: QueryDict) -> Page:
    """This function will read the page asked for; raises BadParameters."""
    asked = cleaned(PageForm(spelled_as(PageForm.base_fields, data)))
    sorting, size = asked["orderBy"], asked["per_page"] or USUAL_PAGE
    if asked["cursor"] is None:
        return Page(asked["page"] or 1, size, sorting or Sorting())
    cursor_sorting, after = read_cursor(asked["cursor"])
    if sorting not in (None, cursor_sorting):
        message = "The cursor belongs to a list that is sorted otherwise."
        raise BadParameters([{"field": "cursor", "message": message}])
    return Page(size=size, sorting=cursor_sorting, after=after)


def write_cursor(sorting: Sorting, position: Position) -> str:
    """This function will spell a position as a text that nobody else can make."""
    key = position.key
    spelled = key.isoformat() if isinstance(key, datetime) else key
    facts = [sorting.field.value, sorting.is_descending, spelled, position.pk]
    return signing.dumps(facts, salt=_SALT)


def read_cursor(text: str) -> tuple[Sorting, Position]:
    """This function will read a cursor back; raises BadParameters for one that is not ours."""
    try:
        name, is_descending, spelled, pk = signing.loads(text.strip(), salt=_SALT)
    except (signing.BadSignature, ValueError):
        message = "This is no cursor of ours. Take paging.nextCursor of the page before."
        raise BadParameters([{"field": "cursor", "message": message}]) from None
    sorting = Sorting(SortField(name), is_descending)
    is_time = sorting.field is SortField.CREATION_DATE
    key: Any = datetime.fromisoformat(spelled) if is_time else spelled
    return sorting, Position(key, pk)
