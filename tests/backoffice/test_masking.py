"""Masking: nothing that names a person is left, what is needed to work stays."""

import orjson
import pytest

from oms.backoffice.masking import (
    mask_changes,
    mask_document,
    mask_email,
    mask_name,
    mask_number,
)


@pytest.mark.parametrize(
    ("given", "masked"),
    [("Ana", "A••"), ("Ana Maria de Souza", "A•• M•••• d• S••••"), ("", ""), ("X", "X")],
)
def test_a_name_keeps_its_initials(given: str, masked: str) -> None:
    assert mask_name(given) == masked


def test_an_e_mail_keeps_its_first_letter_and_domain() -> None:
    assert mask_email("ana.lima@example.com") == "a•••@example.com"
    assert mask_email("not an address") == "•••••"
    assert mask_email("") == ""


@pytest.mark.parametrize(
    ("given", "masked"),
    [("845.134.270-19", "••••••••0-19"), ("+5561992227222", "••••••••7222"), ("1234", "•••••")],
)
def test_a_number_keeps_its_end_and_a_short_one_nothing(given: str, masked: str) -> None:
    assert mask_number(given) == masked


PERSONAL = {
    "clientProfileData": {
        "email": "rodrigo@example.com", "firstName": "Rodrigo", "lastName": "Smithers",
        "documentType": "cpf", "document": "845.134.270-19", "phone": "+5561992227222",
        "corporateName": "Smithers Limitada", "customerCode": "code-of-rodrigo",
    },
    "shippingData": {
        "address": {
            "receiverName": "Rodrigo Smithers", "street": "Avenida Lúcio", "number": "12677",
            "postalCode": "22630-011", "city": "Rio de Janeiro", "geoCoordinates": [-43.36, -23.01],
        },
        "selectedAddresses": [{"receiverName": "Rodrigo Smithers", "street": "Avenida Lúcio"}],
    },
    "openTextField": {"value": "For Rodrigo, ring twice"},
    "giftRegistryData": {"description": "Alanna & Daniel"},
    "callCenterOperatorData": {"email": "sandra@example.com", "userName": "sandraDaves"},
    "customData": {"customApps": [{"id": "x", "fields": {"nickname": "Rodriguinho"}}]},
    "paymentData": {"transactions": [{"payments": [
        {"cardHolder": "RODRIGO SMITHERS", "billingAddress": {"street": "Avenida Lúcio"}}]}]},
}  # fmt: skip
HARMLESS = {"orderId": "1-01", "value": 1160, "totals": [{"id": "Items", "value": 99}]}


def test_a_document_loses_every_personal_value_and_nothing_else() -> None:
    masked = mask_document({**PERSONAL, **HARMLESS})
    text = orjson.dumps(masked).decode()
    for word in ("odrigo", "ODRIGO", "mithers", "MITHERS", "Lúcio", "845.134", "99222", "sandra",
                 "Alanna", "ring twice", "12677", "43.36", "code-of"):  # fmt: skip
        assert word not in text
    assert masked["clientProfileData"]["documentType"] == "cpf"
    assert masked["shippingData"]["address"]["city"] == "Rio de Janeiro"
    assert {key: masked[key] for key in HARMLESS} == HARMLESS


def test_masking_changes_no_original() -> None:
    before = orjson.dumps(PERSONAL)
    mask_document(PERSONAL)
    assert orjson.dumps(PERSONAL) == before


def test_old_and_new_values_of_personal_fields_are_masked_in_events() -> None:
    changes = {"client.email": ["a@example.com", "bo@example.com"], "status": ["a", "b"]}
    assert mask_changes(changes) == {
        "client.email": ["a•••@example.com", "b•••@example.com"],
        "status": ["a", "b"],
    }
