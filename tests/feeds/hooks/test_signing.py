"""What we sign, the published library accepts; what it must refuse, it refuses."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from feeds.hooks.signing import key_of, new_secret, signed_headers

BODY = '{"OrderId":"v1-01","State":"ready-for-handling","Name":"é ☃"}'.encode()
ID = "0123456789ABCDEF0123456789ABCDEF"


def headers(*secrets: str, seconds_off: int = 0, body: bytes = BODY) -> dict[str, str]:
    return signed_headers(
        webhook_id=ID,
        timestamp=int(time.time()) + seconds_off,
        body=body,
        keys=[key_of(secret) for secret in secrets],
    )


def test_the_library_accepts_our_signature() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, headers(secret))["OrderId"] == "v1-01"


def test_a_secret_is_256_bits_and_each_is_its_own() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize("seconds_off", [-400, 400])
def test_the_library_refuses_what_is_400_seconds_away(seconds_off: int) -> None:
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers(secret, seconds_off=seconds_off))


def test_the_library_refuses_a_tampered_body_id_time_and_another_secret() -> None:
    secret = new_secret()
    good = headers(secret)
    later = str(int(good["webhook-timestamp"]) + 1)
    for body, given, checker in (
        (BODY.replace(b"v1", b"v2"), good, secret),
        (BODY, good | {"webhook-id": ID[::-1]}, secret),
        (BODY, good | {"webhook-timestamp": later}, secret),
        (BODY, good, new_secret()),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(checker).verify(body, given)


def test_during_a_rotation_either_secret_verifies() -> None:
    old, new = new_secret(), new_secret()
    signed = headers(new, old)
    assert signed["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        Webhook(secret).verify(BODY, signed)
