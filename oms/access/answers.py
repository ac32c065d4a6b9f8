"""
Answers that a repeated write gets again, kept by app key and Idempotency-Key.

An answer is written in the transaction of the effect that it reports, so neither can be without
the other. What keeps two calls with one key apart is an advisory lock, not a row: a row is there
only once its effect is (ADR 0010). Bodies are encrypted: they may name a person or tell a secret.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.db import OperationalError, connection

from oms.access.secrets import SecretUnreadable, decrypt, encrypt
from oms.ops.statements import Rows, Statement, run_together

LOCK_NOT_AVAILABLE: Final = "55P03"


class KeyReused(Exception):
    """The idempotency key was used for another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another method, address or body.")


class KeyInUse(Exception):
    """A call with the same idempotency key is still under way."""

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is still under way. Try again.")


class AnswerUnreadable(Exception):
    """The write was carried out before, and no key opens what it was answered."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"This request was carried out before and answered by {status}. That answer cannot be"
            " read any more: look at what there is now, and do not send it under another key."
        )


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


def claim(key_id: int, idempotency_key: str, request_hash: bytes) -> Answer | None:
    """
    This function will hold the idempotency key until the caller's transaction ends.

    Returns the answer that was given before, or None when the caller is the first. A call under
    way is waited for, as long as the role waits for locks. Raises KeyReused, KeyInUse,
    AnswerUnreadable.
    """
    locking = Statement("SELECT pg_advisory_xact_lock(%s)", [_lock_id(key_id, idempotency_key)])
    try:
        # A statement of its own: the next one sees what the lock's last holder has committed.
        _, found = run_together(locking, _finding(key_id, idempotency_key))
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise KeyInUse from error
        raise
    return _checked(found, request_hash)


@contextmanager
def claimed_alone(
    key_id: int, idempotency_key: str, request_hash: bytes
) -> Iterator[Answer | None]:
    """
    This context will hold the idempotency key without a transaction, for a write that has several.

    Gives the answer that was given before, or None. Raises KeyReused, AnswerUnreadable; KeyInUse at
    once.
    """
    lock_id = _lock_id(key_id, idempotency_key)
    held, found = run_together(
        Statement("SELECT pg_try_advisory_lock(%s)", [lock_id]), _finding(key_id, idempotency_key)
    )
    if not held[0][0]:
        raise KeyInUse
    try:
        yield _checked(found, request_hash)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_id])


def record(key_id: int, idempotency_key: str, request_hash: bytes, answer: Answer) -> None:
    """This function will keep an answer; the caller holds the key and has had its effect."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_recordedanswer"
            " (app_key_id, idempotency_key, request_hash, status, content_type, body)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                key_id,
                idempotency_key,
                request_hash,
                answer.status,
                answer.content_type,
                encrypt(answer.body),
            ],
        )


def hash_request(method: str, address: str, body: bytes) -> bytes:
    """This function will return what tells one request from another, query string included."""
    return hashlib.sha256(b"\0".join((method.encode(), address.encode(), body))).digest()


def _finding(key_id: int, idempotency_key: str) -> Statement:
    return Statement(
        "SELECT request_hash, status, content_type, body FROM access_recordedanswer"
        " WHERE app_key_id = %s AND idempotency_key = %s",
        [key_id, idempotency_key],
    )


def _checked(found: Rows, request_hash: bytes) -> Answer | None:
    if not found:
        return None
    known_hash, status, content_type, body = found[0]
    if bytes(known_hash) != request_hash:
        raise KeyReused
    try:
        return Answer(status, content_type, decrypt(body))
    except SecretUnreadable:
        # The effect is there: having it again would be worse than not knowing the words.
        raise AnswerUnreadable(status) from None


def _lock_id(key_id: int, idempotency_key: str) -> int:
    digest = hashlib.sha256(f"idempotency {key_id} {idempotency_key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
