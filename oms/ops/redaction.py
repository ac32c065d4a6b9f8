"""
Keeps personal data and secrets out of log lines, by the name of the key and by what text holds.

A safety net, not a licence: callers log ids. It catches what slips through, such as a header
dictionary, an e-mail address in a path, or the row that PostgreSQL quotes in an error's DETAIL.
"""

import re

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
SENSITIVE_WORDS = (
    "mail", "document", "phone", "firstname", "lastname", "fullname", "customername",
    "receivername", "corporatename", "address", "street", "postalcode", "zipcode", "birth",
    "cpf", "cnpj", "taxid", "cardnumber", "cardholder", "cvv", "iban",
    "token", "password", "passwd", "secret", "authorization", "credential", "cookie", "sessionid",
    "sessionkey", "csrf",
)  # fmt: skip
MAX_DEPTH = 6
MAX_ITEMS = 200
MAX_TEXT = 4_000
MAX_TRACEBACK = 20_000

_SENSITIVE = re.compile("|".join(SENSITIVE_WORDS))
_SEPARATORS = re.compile(r"[^a-z0-9]")
_EMAIL = re.compile(r"[\w.+%-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+")
# PostgreSQL quotes the values of the failing row after DETAIL; a value may hold line breaks.
_POSTGRESQL_DETAIL = re.compile(
    r"DETAIL:.*?(?=^(?:HINT|CONTEXT|QUERY|LINE \d+):|^The above exception|^During handling|\Z)",
    re.DOTALL | re.MULTILINE,
)


def is_sensitive_key(key: str) -> bool:
    return _SENSITIVE.search(_SEPARATORS.sub("", key.lower())) is not None


def redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """This function will hide sensitive values of a log line, at any depth."""
    for key, value in event.items():
        if key == "exception":
            event[key] = redact_text(str(value), MAX_TRACEBACK)
        elif value is not None and is_sensitive_key(key):
            event[key] = HIDDEN
        else:
            event[key] = _redact_value(value, MAX_DEPTH)
    return event


def redact_text(text: str, limit: int = MAX_TEXT) -> str:
    """This function will hide e-mail addresses and quoted rows in text, and bound its length."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    if "DETAIL:" in text:
        text = _POSTGRESQL_DETAIL.sub("DETAIL:  [hidden]\n", text)
    if "@" in text or "%40" in text:
        text = _EMAIL.sub("[hidden e-mail]", text)
    return text


def _redact_value(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if depth == 0:
        return "[too deep]"
    if isinstance(value, dict):
        return {
            str(key): HIDDEN if is_sensitive_key(str(key)) else _redact_value(item, depth - 1)
            for key, item in list(value.items())[:MAX_ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item, depth - 1) for item in list(value)[:MAX_ITEMS]]
    return redact_text(str(value))
