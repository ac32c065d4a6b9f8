"""
Keeps secrets that we must read again: what a hook sends to its receiver is no use as a hash.

Encrypted by Fernet (AES-128-CBC with HMAC-SHA256) under keys derived from ENCRYPTION_KEYS, the
newest first: what is written is written with the newest, what is read may have been written with
any. To take a key out of use, put a new one before it, run `manage.py reencrypt_secrets`, and drop
it when recorded answers (`oms.access.answers`) that it sealed are gone. Nothing of this module is
ever logged.
"""

import base64
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

# Names this use of the key, so that the same ENCRYPTION_KEYS never yield the same key elsewhere.
_USE = b"bulkhead: secrets at rest, 1"


class SecretUnreadable(Exception):
    """None of ENCRYPTION_KEYS opens it: a key was dropped too early, or the row was tampered with."""


def encrypt(plain: bytes) -> bytes:
    """This function will seal a secret with the newest key."""
    return _ciphers().encrypt(plain)


def decrypt(sealed: bytes | memoryview) -> bytes:
    """
    This function will open what `encrypt` sealed, with whichever key fits.

    :raises SecretUnreadable: if none fits.
    """
    try:
        return _ciphers().decrypt(bytes(sealed))
    except InvalidToken:
        raise SecretUnreadable("No key of ENCRYPTION_KEYS opens this secret.") from None


def reencrypt(sealed: bytes | memoryview) -> bytes:
    """
    This function will seal a secret again, with the newest key.

    :raises SecretUnreadable: if no key opens it.
    """
    return encrypt(decrypt(sealed))


def _ciphers() -> MultiFernet:
    return _ciphers_of(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=4)
def _ciphers_of(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_USE).derive(key.encode())
    return base64.urlsafe_b64encode(derived)
