"""The contract's answers about change requests, built when one is made and kept with it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings

from oms.orders.documents.kinds import moment_text
from oms.orders.models import Order
from workflow.changes.applying import number_of, price_definition
from workflow.changes.pricing import TOTAL_NAMES, Line, Plan, Step
from workflow.models import ChangeRequest

DEFAULT_SETTINGS: Final[Mapping[str, Any]] = {
    "paymentConfiguration": {"customPaymentSystemsAllowed": []},
    "rolloutConfiguration": {
        "usingDefaultBehavior": True,
        # The anchor's default is off; here nothing has to be unlocked before it works.
        "enableApi": True,
        "enableAdminOrders": {"enabledWorkspaces": []},
        "enableMyOrders": {"enabledWorkspaces": []},
    },
    "pipelineConfiguration": {
        "enableTaxHubRecalculation": False,
        "compensateShippingChanges": False,
        "enablePromotionRecalculation": False,
        "enableNativeTaxRecalculation": False,
    },
}


def tell_plan(plan: Plan) -> dict[str, Any]:
    """This function will spell what a plan does: `add`, `remove`, `replace`; None where nothing."""
    by_name: dict[str, list[Step]] = {"add": [], "remove": [], "replace": []}
    for step in plan.steps:
        by_name[step.operation.name].append(step)
    return {
        "add": [_to(step.put) for step in by_name["add"]] or None,
        "remove": [_from(step.taken) for step in by_name["remove"]] or None,
        "replace": [
            {"from": _from(step.taken), "to": _to(step.put)} for step in by_name["replace"]
        ],
    }


def tell_totals(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"id": key, "name": TOTAL_NAMES[key], "value": value}
        for key, value in plan.totals.items()
        if value
    ]


def tell_preview(
    order: Order, plan: Plan, rules: Mapping[str, Any], date: str | None
) -> dict[str, Any]:
    """This function will answer a preview: as a request would be, without ids."""
    return {
        "reason": plan.asked.reason,
        "manualDiscountValue": plan.asked.discount_cents,
        "manualIncrementValue": plan.asked.increment_cents,
        "totalChangeValue": plan.difference_cents,
        "totals": tell_totals(plan),
        **tell_plan(plan),
        "date": date,
        "origin": _origin(order.order_id),
        "settings": dict(rules),
    }


def tell_request(order: Order, request: ChangeRequest) -> dict[str, Any]:
    """This function will answer a request as the contract's 202 does."""
    return {
        "requestId": request.request_id,
        "workflowId": str(request.workflow_id),
        "reason": request.reason,
        "manualDiscountValue": request.discount_cents,
        "manualIncrementValue": request.increment_cents,
        "totalChangeValue": request.difference_cents,
        "totals": request.totals,
        **request.told,
        "date": moment_text(request.requested_at),
        "origin": _origin(order.order_id),
        # The contract's details have this one setting a level higher than its other answers.
        "settings": {**request.settings, **request.settings["paymentConfiguration"]},
    }


def tell_details(order: Order, request: ChangeRequest) -> dict[str, Any]:
    """This function will answer a request with where it stands and what happened to it."""
    return {
        **tell_request(order, request),
        "status": request.state,
        "inProgress": request.is_open,
        "logs": request.logs,
    }


def tell_summary(
    original: Sequence[Mapping[str, Any]], requests: Sequence[ChangeRequest]
) -> dict[str, Any]:
    """This function will sum up what the requests that were applied did to an order."""
    told = [request.told for request in requests]
    totals: dict[str, int] = {}
    for request in requests:
        for entry in request.totals:
            totals[entry["id"]] = totals.get(entry["id"], 0) + entry["value"]
    last = max((r.decided_at for r in requests if r.decided_at), default=None)
    return {
        "original": list(original),
        "added": [item for one in told for side in one["add"] or () for item in side["items"]],
        "removed": [
            item for one in told for side in one["remove"] or () for item in side["items"]
        ],
        "replaced": [_replaced(pair) for one in told for pair in one["replace"]],
        "manualDiscountValueAggregated": sum(r.discount_cents for r in requests),
        "manualIncrementValueAggregated": sum(r.increment_cents for r in requests),
        # The contract's schema has one name, its example the other.
        "totalChangeValueAggregated": sum(r.difference_cents for r in requests),
        "totalChangesValueAggregated": sum(r.difference_cents for r in requests),
        "totals": [
            {"id": key, "name": TOTAL_NAMES[key], "value": value, "alternativeTotals": None}
            for key, value in totals.items()
        ],
        "lastChange": moment_text(last),
    }


def _replaced(pair: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind_of(pair["from"]["items"], pair["to"]["items"])
    return {"replaceType": kind, "userInputType": kind, "type": "UserInput", **pair}


def _kind_of(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> str:
    if [item["id"] for item in old] != [item["id"] for item in new]:
        return "ItemReplacement"
    for key, kind in (("unitMultiplier", "WeightChange"), ("quantity", "QuantityChange")):
        if [item[key] for item in old] != [item[key] for item in new]:
            return kind
    return "PriceChange"


def _origin(order_id: str) -> dict[str, str]:
    return {
        "account": settings.STORE_NAME,
        "orderId": order_id,
        "component": "FulfillmentComponent",
    }


def _from(lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "paymentData": {"transactions": []},
        "items": [_item(line) for line in lines],
        "shippingData": {"logisticsInfo": _logistics(lines)},
    }


def _to(lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "items": [{**_ITEM_DEFAULTS, **_item(line), **_priced(line)} for line in lines],
        "paymentData": {"transactions": []},
        "receiptData": None,
        "shippingData": {"logisticsInfo": _logistics(lines)},
    }


def _item(line: Line) -> dict[str, Any]:
    delivery = line.delivery or {}
    return {
        "id": line.sku_id,
        "uniqueId": line.unique_id,
        "quantity": line.quantity,
        "totalQuantity": line.quantity,
        "price": line.price_cents,
        "sellingPrice": line.selling_price_cents,
        "measurementUnit": line.measurement_unit,
        "unitMultiplier": number_of(line.multiplier),
        "name": line.name or None,
        "refId": line.ref_id or None,
        "imageUrl": line.shown.get("imageUrl"),
        "detailUrl": line.shown.get("detailUrl"),
        "priceTags": line.shown.get("priceTags") or [],
        "deliveryIds": delivery.get("deliveryIds") or [],
    }


def _priced(line: Line) -> dict[str, Any]:
    return {
        "tax": line.tax_cents,
        "listPrice": line.list_price_cents,
        "seller": line.seller_id or None,
        "sellerChain": [line.seller_id or None],
        "productId": line.shown.get("productId"),
        "ean": line.shown.get("ean"),
        "priceDefinition": price_definition(line),
    }


def _logistics(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            **_DELIVERY_DEFAULTS,
            "price": line.shipping_cents,
            "listPrice": line.shipping_cents,
            "sellingPrice": line.shipping_cents,
            **line.delivery,
            "itemIndex": position,
            "itemId": line.sku_id,
        }
        for position, line in enumerate(lines)
        if line.delivery is not None
    ]


_DELIVERY_DEFAULTS: Final[Mapping[str, Any]] = {
    "selectedSla": None,
    "selectedDeliveryChannel": None,
    "addressId": None,
    "slas": [],
    "shipsTo": [],
    "deliveryChannels": [],
    "shippingEstimate": None,
    "dockEstimate": None,
    "shippingEstimateDate": None,
    "lockTTL": None,
    "deliveryCompany": None,
    "polygonName": None,
    "transitTime": None,
    "deliveryIds": [],
    "deliveryWindow": None,
    "pickupPointId": None,
    "pickupStoreInfo": {
        "isPickupStore": False,
        "friendlyName": None,
        "address": None,
        "additionalInfo": None,
        "dockId": None,
    },
    "pickupDistance": None,
}


_ITEM_DEFAULTS: Final[Mapping[str, Any]] = {
    "productRefId": None,
    "skuName": None,
    "modalType": None,
    "parentItemIndex": None,
    "parentAssemblyBinding": None,
    "assemblies": [],
    "priceValidUntil": None,
    "manualPrice": None,
    "manualPriceAppliedBy": None,
    "rewardValue": 0,
    "isGift": False,
    "additionalInfo": {
        "dimension": None,
        "brandName": None,
        "brandId": None,
        "offeringInfo": None,
        "offeringType": None,
        "offeringTypeId": None,
        "categoriesIds": None,
        "productClusterId": None,
        "commercialConditionId": None,
    },
    "preSaleDate": None,
    "productCategoryIds": None,
    "productCategories": {},
    "components": [],
    "bundleItems": [],
    "attachments": [],
    "attachmentOfferings": [],
    "offerings": [],
    "availability": None,
    "manufacturerCode": None,
}
