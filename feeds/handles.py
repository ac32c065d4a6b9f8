"""
Handles: what a feed hands out with an item, and takes back to commit it.

Opaque to the ERP, signed, and bound to app key, subscription and item, so that no other key's
handle, no guess and no cut-off copy ever commits. The attempt goes along for the record only: a
handle of an earlier lease commits as well, because the ERP has then seen the same event.
"""

import base64
import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.signing import BadSignature, Signer

_SALT = "feeds.handle"
_LAYOUT = struct.Struct(">QQQI")
# A genuine handle has 82 characters. What is longer is not even hashed.
LONGEST_HANDLE = 200


@dataclass(frozen=True, slots=True)
class Handle:
    app_key_id: int
    subscription_id: int
    item_id: int
    attempt: int


def write_handles(handles: Iterable[Handle]) -> list[str]:
    """This function will sign handles with the present SECRET_KEY."""
    signer = Signer(salt=_SALT, sep=".")
    return [signer.sign(_packed(handle)) for handle in handles]


def read_handle(text: object) -> Handle | None:
    """
    This function will return what a handle of ours says, None for anything else.

    Handles signed before the last change of SECRET_KEY are ours as long as the old one is among
    SECRET_KEY_FALLBACKS.
    """
    if not isinstance(text, str) or len(text) > LONGEST_HANDLE:
        return None
    try:
        packed = Signer(salt=_SALT, sep=".").unsign(text)
        return Handle(*_LAYOUT.unpack(base64.urlsafe_b64decode(packed + "==")))
    except (BadSignature, UnicodeError, binascii.Error, struct.error):
        return None


def _packed(handle: Handle) -> str:
    raw = _LAYOUT.pack(handle.app_key_id, handle.subscription_id, handle.item_id, handle.attempt)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
