"""Bodies and addresses of the feed: what the contract sends in each of its spellings."""

import re
from typing import Any, Final

from django.http import QueryDict

from feeds.refusals import FeedRefused, Problem

# Published: at most ten. More is our extension, asked for by another name.
LARGEST_PUBLISHED_LOT: Final = 10
LARGEST_LOT: Final = 1_000
MOST_HANDLES: Final = 1_000
_COUNT: Final = re.compile(r"[0-9]{1,20}")


def lot_asked(query: QueryDict) -> int:
    """
    This function will read how many items are wanted: `maxlot` in any case, or `lot`.

    Without either it is ten, and more than ten of `maxlot` is ten as well: whoever asks for a
    large lot by its published name does not expect more. Raises FeedRefused for what is no count.
    """
    lots = [value for name, values in query.lists() if name.lower() == "lot" for value in values]
    if lots:
        return _count(lots, "lot", LARGEST_LOT)
    lots = [
        value for name, values in query.lists() if name.lower() == "maxlot" for value in values
    ]
    if lots:
        return min(_count(lots, "maxlot", None), LARGEST_PUBLISHED_LOT)
    return LARGEST_PUBLISHED_LOT


def _count(given: list[str], name: str, most: int | None) -> int:
    shown = most or LARGEST_PUBLISHED_LOT
    if len(given) == 1 and _COUNT.fullmatch(given[0]):
        count = int(given[0])
        if count >= 1 and (most is None or count <= most):
            return count
    raise FeedRefused(Problem(name, f"Expected one whole number, 1 to {shown}."))


def handles_of(body: Any) -> list[str]:
    """
    This function will read the handles of a commit: `{"handles": [...]}`.

    An empty commit is refused: it comes of a mistake, and 200 would hide it. Raises FeedRefused.
    """
    return _handles(body.get("handles") if isinstance(body, dict) else body)


def commit_tokens_of(body: Any) -> list[str]:
    """
    This function will read a confirmation of the older feed: `[{"commitToken": ...}]`.

    `handle` for the token, bare text and the new feed's body are taken too. Raises FeedRefused.
    """
    if isinstance(body, dict):
        return handles_of(body)
    return _handles([_token(entry) for entry in body])


def _token(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    given = {str(key).lower(): value for key, value in entry.items()}
    return given.get("committoken", given.get("handle"))


def _handles(given: Any) -> list[str]:
    if not isinstance(given, list) or not given:
        raise FeedRefused(Problem("handles", "Expected a list of handles, at least one."))
    if len(given) > MOST_HANDLES:
        raise FeedRefused(Problem("handles", f"Expected at most {MOST_HANDLES} handles."))
    for index, handle in enumerate(given):
        if not isinstance(handle, str) or not handle:
            raise FeedRefused(Problem(f"handles[{index}]", "Expected a handle as text."))
    return given
