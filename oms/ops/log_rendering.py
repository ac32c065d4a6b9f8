"""Turns a log event into a line. Rendering never raises: a line that cannot be written is lost."""

import json
import sys
import traceback
from typing import cast

import orjson
from structlog.typing import EventDict, WrappedLogger

# Terminals obey control characters; a log line quoting a request must not be able to send any.
_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL_CHARACTERS.pop(ord("\n"))


def render_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """This function will replace `exc_info` by the traceback as text, without local variables."""
    exc_info = event.pop("exc_info", None)
    if exc_info is None or exc_info is False:
        return event
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = cast(BaseException | None, exc_info[1])
    else:
        error = sys.exc_info()[1]
    if error is not None:
        report = traceback.TracebackException.from_exception(error, capture_locals=False)
        event["exception"] = "".join(report.format()).rstrip()
    return event


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    event["event"] = event.get("event", "")
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # lone surrogates, whole numbers beyond 64 bits
        return json.dumps(event, default=repr, ensure_ascii=True)


def render_console_safe(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = value.translate(_CONTROL_CHARACTERS)
    return event
