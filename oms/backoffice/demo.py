"""A past for the demo: orders of the last weeks as another system would have exported them."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from oms.orders.documents.kinds import moment_text
from workflow.sandbox.shopping import MARKETPLACE, STOREFRONT, invent_order

STATUSES: Final = ("invoiced", "canceled", "handling", "ready-for-handling")
SHARES: Final = (86, 8, 4, 2)
DAYS: Final = 60
COURIERS: Final = ("Correio Veloz", "Transportes Serra", "Moto Já")


def history_documents(count: int, *, now: datetime, seed: int = 1) -> Iterator[dict[str, Any]]:
    """This function will make order documents of the last `DAYS` days, oldest first."""
    chance = random.Random(seed)
    ages = sorted((chance.uniform(0.2, DAYS) for _ in range(count)), reverse=True)
    for number, age in enumerate(ages, start=1):
        yield _document(chance, number, now - timedelta(days=age))


def _document(chance: random.Random, number: int, placed: datetime) -> dict[str, Any]:
    affiliate = chance.choice((MARKETPLACE, STOREFRONT))
    purchase = invent_order(chance, affiliate, f"H{number:05d}")
    status = chance.choices(STATUSES, SHARES)[0]
    order_id = f"{affiliate}-H{number:05d}-01"
    for item in purchase["items"]:
        item |= {
            "seller": "1",
            "sellingPrice": item["price"],
            "uniqueId": f"{order_id}{item['id']}",
        }
    shipping = purchase["shippingData"]["logisticsInfo"]
    goods = sum(item["price"] * item["quantity"] for item in purchase["items"])
    freight = sum(entry["price"] for entry in shipping)
    document: dict[str, Any] = {
        "orderId": order_id,
        "orderGroup": f"{affiliate}-H{number:05d}",
        "marketplaceOrderId": f"H{number:05d}",
        "affiliateId": affiliate,
        "origin": "Fulfillment" if affiliate == MARKETPLACE else "Marketplace",
        "salesChannel": chance.choice(("1", "1", "1", "2")),
        "status": status,
        "value": goods + freight,
        "creationDate": moment_text(placed),
        "lastChange": moment_text(placed + timedelta(hours=chance.uniform(1, 60))),
        "authorizedDate": moment_text(placed + timedelta(minutes=chance.uniform(1, 30))),
        "totals": [
            {"id": "Items", "name": "Items total", "value": goods},
            {"id": "Discounts", "name": "Discounts total", "value": 0},
            {"id": "Shipping", "name": "Shipping total", "value": freight},
            {"id": "Tax", "name": "Tax total", "value": 0},
        ],
        "sellers": [
            {"id": "1", "name": "Casa Própria", "logo": None, "fulfillmentEndpoint": None}
        ],
        "storePreferencesData": {
            "countryCode": "BRA",
            "currencyCode": "BRL",
            "currencySymbol": "R$",
        },
        "clientProfileData": purchase["clientProfileData"],
        "shippingData": purchase["shippingData"],
        "items": purchase["items"],
        "paymentData": _payment_data(purchase, order_id, goods + freight),
    }
    if status == "canceled":
        document["cancelReason"] = chance.choice(("Customer gave up.", "Out of stock."))
    if status == "invoiced":
        invoiced = placed + timedelta(hours=chance.uniform(2, 40))
        document["invoicedDate"] = moment_text(invoiced)
        document["packageAttachment"] = {
            "packages": [_package(chance, document, number, invoiced)]
        }
    return document


def _payment_data(purchase: dict[str, Any], order_id: str, value: int) -> dict[str, Any]:
    paid = purchase.get("paymentData", {}).get("payments") or [
        {"paymentSystemName": "Marketplace", "group": "promissory", "installments": 1}
    ]
    payment = {**paid[0], "id": f"{order_id}-P", "value": value, "referenceValue": value}
    return {
        "transactions": [
            {"isActive": True, "transactionId": f"{order_id}-T", "payments": [payment]}
        ]
    }


def _package(
    chance: random.Random, document: dict[str, Any], number: int, invoiced: datetime
) -> dict[str, Any]:
    delivered = invoiced + timedelta(days=chance.uniform(1, 6))
    address = document["shippingData"]["address"]
    event = {
        "lastChange": moment_text(delivered),
        "createDate": moment_text(delivered),
        "city": address["city"],
        "state": address["state"],
        "description": "Delivered to the receiver",
    }
    return {
        "items": [
            {"itemIndex": index, "quantity": item["quantity"], "price": item["price"]}
            for index, item in enumerate(document["items"])
        ],
        "courier": chance.choice(COURIERS),
        "invoiceNumber": f"{number + 40_000}",
        "invoiceValue": document["value"],
        "issuanceDate": moment_text(invoiced),
        "trackingNumber": f"TRK{number:06d}",
        "type": "Output",
        "courierStatus": {
            "status": "delivered",
            "finished": True,
            "deliveredDate": moment_text(delivered),
            "data": [event],
        },
    }
