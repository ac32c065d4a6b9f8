"""Bodies of the place-order request, as the contract spells them."""

import itertools
from typing import Any

_numbers = itertools.count(1)


def purchase(*sellers: str, **given: Any) -> dict[str, Any]:
    """This function will make a purchase of one line a seller, 10.00 each and 2.00 freight."""
    sold_by = sellers or ("1",)
    items = [
        {"id": f"SKU-{index}", "quantity": 1, "seller": seller, "price": 1000}
        for index, seller in enumerate(sold_by)
    ]
    logistics = [
        {"itemIndex": index, "selectedSla": "Normal", "shippingEstimate": "5bd", "price": 200}
        for index, _ in enumerate(sold_by)
    ]
    return {
        "marketplaceOrderId": f"MKT-{next(_numbers)}",
        "marketplaceServicesEndpoint": "https://marketplace.example",
        "marketplacePaymentValue": 1200 * len(sold_by),
        "items": items,
        "clientProfileData": {
            "email": "ana@example.com",
            "firstName": "Ana",
            "lastName": "Lima",
            "documentType": "cpf",
            "document": "123456789",
        },
        "shippingData": {
            "address": {
                "addressType": "residential",
                "receiverName": "Ana Lima",
                "postalCode": "12345000",
                "city": "Rio de Janeiro",
                "state": "RJ",
                "country": "BRA",
                "street": "Praia",
                "number": "300",
            },
            "logisticsInfo": logistics,
        },
    } | given
