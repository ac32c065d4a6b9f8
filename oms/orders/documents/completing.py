"""
What the contract documents and a placed order was never told: there all the same, empty, and of
the documented type. Clients index these fields without asking whether they exist.

Only fields that say nothing are filled; an imported order is given back as it came. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final

from oms.orders.statuses import DeliveryChannel

_ADDRESS: Final = {
    "addressType": "residential",
    "receiverName": "",
    "addressId": "",
    "versionId": None,
    "entityId": None,
    "postalCode": "",
    "city": "",
    "state": "",
    "country": "",
    "street": "",
    "number": "",
    "neighborhood": "",
    "complement": "",
    "reference": None,
}
_PICKUP_STORE: Final = {
    "additionalInfo": None,
    "address": None,
    "dockId": None,
    "friendlyName": None,
    "isPickupStore": False,
}
_DELIVERY: Final = {
    "itemId": "",
    "selectedSla": "",
    "lockTTL": "",
    "price": 0,
    "listPrice": 0,
    "sellingPrice": 0,
    "deliveryWindow": None,
    "deliveryCompany": "",
    "shippingEstimate": "",
    "shippingEstimateDate": None,
    "addressId": None,
    "versionId": None,
    "entityId": None,
    "polygonName": None,
    "pickupPointId": None,
    "transitTime": "",
}
_CLIENT: Final = {
    "email": "",
    "firstName": "",
    "lastName": "",
    "documentType": "",
    "document": "",
    "phone": "",
    "userProfileId": "",
}
_ITEM: Final = {
    "productId": "",
    "lockId": "",
    "name": "",
    "refId": "",
    "imageUrl": "",
    "detailUrl": "",
    "sellerSku": "",
    "costPrice": 0,
    "manualPriceAppliedBy": None,
}
_ITEM_INFO: Final = {
    "brandName": "",
    "brandId": "",
    "categoriesIds": "",
    "productClusterId": "",
    "commercialConditionId": "",
    "offeringInfo": None,
    "offeringType": None,
    "offeringTypeId": None,
}
_DIMENSION: Final = {"cubicweight": 0.0, "height": 0, "length": 0, "weight": 0, "width": 0}
_CONNECTOR: Final = {"Tid": "", "ReturnCode": None, "Message": None, "authId": ""}
_PREFERENCES: Final = {"locale": "", "optinNewsLetter": False}
# What means of payment that name no group are: the contract's word for a promise to pay.
UNNAMED_GROUP: Final = "promissory"


def complete(document: dict[str, Any]) -> None:
    """This function will fill in what a placed order's document leaves out."""
    document["clientPreferencesData"] = filled(document["clientPreferencesData"], _PREFERENCES)
    document["clientProfileData"] = filled(document["clientProfileData"], _CLIENT)
    document["items"] = [_item(item) for item in document["items"]]
    if document["itemMetadata"] is None:
        document["itemMetadata"] = {"Items": [_metadata(item) for item in document["items"]]}
    document["sellers"] = [
        filled(seller, {"name": "", "logo": None, "fulfillmentEndpoint": ""})
        for seller in document["sellers"]
    ]
    document["totals"] = [filled(total, {"alternativeTotals": []}) for total in document["totals"]]
    document["shippingData"] = _shipping(document["shippingData"], document["items"])
    document["paymentData"] = _payments(document["paymentData"], document["hostname"])
    document.setdefault("cancellationRequests", [])


def filled(told: Any, empty: Mapping[str, Any]) -> Any:
    """This function will give each field of `empty` that is absent or null its empty value."""
    if told is not None and not isinstance(told, Mapping):
        return told
    known = told or {}
    return {
        **empty,
        **{key: value for key, value in known.items() if value is not None or key not in empty},
    }


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = filled(item, {**_ITEM, "listPrice": item.get("price")})
    prices = known.get("priceDefinition") or known.get("priceDefinitions") or _prices(known)
    info: Any = filled(known.get("additionalInfo"), _ITEM_INFO)
    if isinstance(info, dict):
        info["categories"] = info.get("categories") or []
        info["dimension"] = filled(info.get("dimension"), _DIMENSION)
    # The contract spells it in the singular for a group and in the plural for an order.
    return {**known, "additionalInfo": info, "priceDefinition": prices, "priceDefinitions": prices}


def _prices(item: Mapping[str, Any]) -> dict[str, Any]:
    price, quantity = item.get("sellingPrice") or 0, item.get("quantity") or 0
    return {
        "sellingPrices": [{"value": price, "quantity": quantity}],
        "calculatedSellingPrice": price,
        "total": price * quantity,
        "reason": None,
    }


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Id": item["id"],
        "Seller": item["seller"] or "",
        "Name": item["name"],
        "SkuName": item["name"],
        "ProductId": item["productId"],
        "RefId": item["refId"],
        "Ean": item.get("ean") or "",
        "ImageUrl": item["imageUrl"],
        "DetailUrl": item["detailUrl"],
        "AssemblyOptions": [],
    }


def _shipping(told: Any, items: list[dict[str, Any]]) -> Any:
    shipping: Any = filled(told, {"id": "shippingData", "trackingHints": None})
    if not isinstance(shipping, dict):
        return shipping
    address = _address(shipping.get("address"))
    shipping["address"] = address
    country = address.get("country") if isinstance(address, dict) else None
    shipping["logisticsInfo"] = [
        _delivery(entry, items, [country] if country else [])
        for entry in shipping.get("logisticsInfo") or ()
    ]
    for name, part in (("selectedAddresses", _address), ("availableAddresses", _address)):
        shipping[name] = [part(entry) for entry in shipping.get(name) or ()]
    shipping["contactInformation"] = shipping.get("contactInformation") or []
    return shipping


def _address(told: Any) -> Any:
    known = filled(told, _ADDRESS)
    if isinstance(known, dict):
        known["geoCoordinates"] = known.get("geoCoordinates") or []
    return known


def _delivery(entry: Any, items: list[dict[str, Any]], countries: list[str]) -> Any:
    known = filled(entry, _DELIVERY)
    if not isinstance(known, dict):
        return known
    index = known.get("itemIndex")
    if not known["itemId"] and isinstance(index, int) and 0 <= index < len(items):
        known["itemId"] = items[index]["id"]
    channel = known.get("selectedDeliveryChannel") or known.get("deliveryChannel")
    channel = channel or DeliveryChannel.DELIVERY.value
    known |= {"selectedDeliveryChannel": channel, "deliveryChannel": channel}
    known["pickupStoreInfo"] = filled(known.get("pickupStoreInfo"), _PICKUP_STORE)
    known["slas"] = known.get("slas") or []
    known["shipsTo"] = known.get("shipsTo") or countries
    known["deliveryIds"] = known.get("deliveryIds") or []
    known["deliveryChannels"] = known.get("deliveryChannels") or [
        {"id": channel, "stockBalance": 0}
    ]
    return known


def _payments(told: Any, store: str) -> Any:
    if not isinstance(told, Mapping):
        return told
    return {
        **told,
        "transactions": [
            {
                **filled(transaction, {"transactionId": "", "merchantName": store}),
                "payments": [_payment(paid) for paid in transaction.get("payments") or ()],
            }
            for transaction in told.get("transactions") or ()
        ],
    }


def _payment(paid: Mapping[str, Any]) -> dict[str, Any]:
    empty = {
        "paymentSystem": "",
        "paymentSystemName": "",
        "group": UNNAMED_GROUP,
        "tid": "",
        "referenceValue": paid.get("value"),
    }
    known: dict[str, Any] = filled(paid, empty)
    known["connectorResponses"] = filled(known.get("connectorResponses"), _CONNECTOR)
    return known
