import pytest
from pytest_django import Settings

from oms.access.secrets import SecretUnreadable, decrypt, encrypt, reencrypt


def test_a_secret_is_not_what_is_stored_and_comes_back() -> None:
    sealed = encrypt(b"whsec_secret")
    assert b"secret" not in sealed
    assert decrypt(sealed) == b"whsec_secret"
    assert decrypt(memoryview(sealed)) == b"whsec_secret"


def test_the_same_secret_is_stored_differently_each_time() -> None:
    assert encrypt(b"same") != encrypt(b"same")


def test_a_new_key_still_opens_what_the_old_one_sealed(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ["old"]
    sealed = encrypt(b"secret")
    settings.ENCRYPTION_KEYS = ["new", "old"]
    renewed = reencrypt(sealed)
    settings.ENCRYPTION_KEYS = ["new"]
    assert decrypt(renewed) == b"secret"
    with pytest.raises(SecretUnreadable):
        decrypt(sealed)


def test_a_tampered_secret_is_refused() -> None:
    sealed = bytearray(encrypt(b"secret"))
    sealed[20] ^= 1
    with pytest.raises(SecretUnreadable):
        decrypt(bytes(sealed))
