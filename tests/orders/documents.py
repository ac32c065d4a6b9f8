"""Documents and purchases that several tests start from. Each call gives a fresh copy."""

from pathlib import Path
from typing import Any

import orjson
from django.db import transaction

from oms.orders.documents.building import documents_by_pk
from oms.orders.documents.reading import read_document
from oms.orders.writing import insert_orders

EXAMPLE = Path(__file__).parent / "order-example.json"


def example_document(**changes: Any) -> dict[str, Any]:
    """This function will return the contract's published example document."""
    document: dict[str, Any] = orjson.loads(EXAMPLE.read_bytes())
    return document | changes


def through_the_database(*documents: dict[str, Any]) -> list[dict[str, Any]]:
    """This function will import documents and read them again, leaving nothing behind."""
    with transaction.atomic():
        pks = insert_orders([read_document(document) for document in documents])
        given = documents_by_pk(pks)
        transaction.set_rollback(True)
    return [given[pk] for pk in pks]


def purchase(**changes: Any) -> dict[str, Any]:
    """This function will return a purchase of two sellers as the contract describes it."""
    sold: dict[str, Any] = {
        "marketplaceOrderId": "M-1",
        "marketplaceServicesEndpoint": "https://marketplace.example/oms",
        "marketplacePaymentValue": 3_700,
        "items": [
            {"id": "11", "quantity": 3, "seller": "a", "price": 500, "commission": 10},
            {"id": "22", "quantity": 1, "seller": "b", "price": 2_000},
        ],
        "clientProfileData": {
            "email": "Ana@Example.com",
            "firstName": "Ana",
            "lastName": "Lima",
            "documentType": "cpf",
            "document": "845.134.270-19",
            "phone": "+55 61 99222-7222",
        },
        "shippingData": {
            "address": {
                "addressType": "residential",
                "receiverName": "Ana Lima",
                "postalCode": "22630-011",
                "city": "Rio de Janeiro",
                "state": "RJ",
                "country": "BRA",
                "street": "Avenida Lúcio Costa",
                "number": "126",
            },
            "logisticsInfo": [
                {"itemIndex": 0, "selectedSla": "Normal", "price": 0, "shippingEstimate": "3bd"},
                {"itemIndex": 1, "selectedSla": "Normal", "price": 200, "shippingEstimate": "7d"},
            ],
        },
    }
    return sold | changes
