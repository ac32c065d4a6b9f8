"""The static headers that a key wants on its hook's calls. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from feeds.refusals import FeedRefused, Problem

MOST_HEADERS: Final = 20
LONGEST_VALUE: Final = 2048
MASK: Final = "••••••••"
# What belongs to the message itself, or to the signature: a receiver must be able to trust it.
FORBIDDEN: Final = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"),
        *("cookie", "accept-encoding"),
    }
)
FORBIDDEN_PREFIXES: Final = ("webhook-", "proxy-", "sec-")

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# Visible ASCII with spaces and tabs between: a line break would begin a header of its own.
_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?")


def parse_headers(given: object, *, field: str = "hook.headers") -> dict[str, str]:
    """
    This function will read the headers of a configuration; absent ones are none.

    :raises FeedRefused: for names that are ours, and for what could be read as another header.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise FeedRefused(Problem(field, "Expected an object of names and values."))
    if len(given) > MOST_HEADERS:
        raise FeedRefused(Problem(field, f"At most {MOST_HEADERS} headers are sent."))
    problems = [
        Problem(f"{field}.{name}"[:200], message)
        for name, value in given.items()
        if (message := _problem(str(name), value))
    ]
    lowered = [str(name).lower() for name in given]
    if len(set(lowered)) < len(lowered):
        problems.append(Problem(field, "A header is named twice."))
    if problems:
        raise FeedRefused(*problems)
    return {str(name): str(value) for name, value in given.items()}


def _problem(name: str, value: object) -> str:
    if not _NAME.fullmatch(name):
        return "This is no name of a header."
    if name.lower() in FORBIDDEN or name.lower().startswith(FORBIDDEN_PREFIXES):
        return "This header belongs to the message and cannot be set."
    if not isinstance(value, str):
        return "Expected text."
    if len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
        return f"Expected at most {LONGEST_VALUE} visible ASCII characters in one line."
    return ""


def masked(names: Mapping[str, str]) -> dict[str, str]:
    """This function will show which headers are sent and none of their values."""
    return dict.fromkeys(names, MASK)
