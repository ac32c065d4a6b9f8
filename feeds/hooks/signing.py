"""
Signs what a hook sends, as Standard Webhooks 1.0.0 says. Pure.

`webhook-id` is constant over the retries of an event: a receiver drops what it has seen. The
signature covers id, time and the very bytes of the body; while a secret is being rotated there is
one signature for each, so the receiver may change over at any moment.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """This function will make a secret as receivers keep it: `whsec_` and base64 of 256 bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """This function will return the bytes that a secret signs with."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def signed_headers(
    *, webhook_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """
    This function will return the three headers for a body, signed with each of the keys.

    `timestamp` is in seconds; receivers refuse what is more than five minutes away from theirs.
    """
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    digest = hmac.digest(key, signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
