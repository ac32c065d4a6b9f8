"""Handles: signed, bound to key, subscription and item, and nobody else's."""

import base64

import pytest
from django.core.signing import Signer
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from feeds.handles import LONGEST_HANDLE, Handle, read_handle, write_handles

numbers = st.integers(0, 2**63 - 1)


@given(st.builds(Handle, numbers, numbers, numbers, st.integers(0, 2**31 - 1)))
def test_a_handle_is_read_as_it_was_written(handle: Handle) -> None:
    (text,) = write_handles([handle])
    assert read_handle(text) == handle
    assert len(text) <= LONGEST_HANDLE
    assert text.isascii()


@given(st.text())
def test_any_other_text_is_no_handle(text: str) -> None:
    assert read_handle(text) is None


@pytest.mark.parametrize("given", [None, 7, b"x", ["x"], {"handle": "x"}])
def test_what_is_no_text_is_no_handle(given: object) -> None:
    assert read_handle(given) is None


def test_no_character_of_a_handle_can_be_changed() -> None:
    (text,) = write_handles([Handle(1, 2, 3, 4)])
    for place, character in enumerate(text):
        changed = text[:place] + ("B" if character == "A" else "A") + text[place + 1 :]
        assert read_handle(changed) is None


def test_a_payload_of_another_length_is_no_handle_even_if_signed() -> None:
    short = base64.urlsafe_b64encode(b"short").decode().rstrip("=")
    assert read_handle(Signer(salt="feeds.handle", sep=".").sign(short)) is None


def test_a_signature_for_another_purpose_is_none() -> None:
    (text,) = write_handles([Handle(1, 2, 3, 4)])
    assert read_handle(Signer(salt="else", sep=".").sign(text.rsplit(".", 1)[0])) is None


def test_handles_outlive_a_change_of_the_secret_key_while_the_old_one_is_kept(
    settings: Settings,
) -> None:
    (text,) = write_handles([Handle(1, 2, 3, 4)])
    old = settings.SECRET_KEY
    settings.SECRET_KEY = "new" * 20
    settings.SECRET_KEY_FALLBACKS = [old]
    assert read_handle(text) == Handle(1, 2, 3, 4)
    settings.SECRET_KEY_FALLBACKS = []
    assert read_handle(text) is None
