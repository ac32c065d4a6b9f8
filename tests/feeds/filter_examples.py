"""
Filters as integrators write them, and what the reference says of each (npm `jsonata` 2.2.2).

The first part is what the contract's guides show, with the paths that the documents have; the
second what JSONata means where one would guess otherwise.
"""

from typing import Any, Final

from tests.orders.documents import example_document

YES, NO, ERROR = "yes", "no", "error"


def document_named(name: str) -> dict[str, Any]:
    """This function will return the contract's example order, as it is or as `name` says."""
    document = example_document()
    match name:
        case "appliances":
            document["status"] = "payment-pending"
            document["items"] = [
                {"name": "Frost free REFRIGERATOR 400 l", "price": 250_000, "quantity": 1},
                {"name": "Cup", "price": 900, "quantity": 2},
            ]
        case "small":
            document["value"] = 100
            document["items"] = [{"name": "Refrigerator magnet", "price": 900, "quantity": 2}]
            document["packageAttachment"] = {"packages": []}
            document |= {"changesAttachment": None, "cancelReason": None}
        case "channel 2":
            document |= {"status": "ready-for-handling", "salesChannel": "2"}
        case "delivered":
            (package,) = document["packageAttachment"]["packages"]
            package |= {"type": "Output", "courier": "Correios PAC"}
            package["courierStatus"]["finished"] = True
        case "returned":
            (package,) = document["packageAttachment"]["packages"]
            returned = {"type": "Input", "invoiceValue": 4_990, "courier": "DHL"}
            package["type"] = "Output"
            document["packageAttachment"]["packages"] = [package, package | returned]
        case "changed":
            document["changesAttachment"] = {
                "id": "changeAttachment",
                "changesData": [
                    {
                        "reason": "Out of stock",
                        "discountValue": 0,
                        "incrementValue": 0,
                        "itemsAdded": [{"id": "18", "quantity": 1, "price": 1_000}],
                        "itemsRemoved": [],
                    }
                ],
            }
    return document


EXAMPLES: Final = [
    ('status = "payment-pending"', {"example": NO, "appliances": YES}),
    (
        '(status = "ready-for-handling" and salesChannel="2")',
        {"example": NO, "channel 2": YES},
    ),
    ("value > 100", {"example": YES, "small": NO}),
    (
        "$count(items[name ~> /.*refrigerator.*/i and price>=1000]) > 0",
        {"example": NO, "appliances": YES, "small": NO},
    ),
    (
        "$count(changesAttachment.changesData.itemsAdded) > 0",
        {"small": NO, "changed": YES},
    ),
    (
        "$count(changesAttachment.changesData.itemsRemoved) > 0",
        {"example": YES, "small": NO, "changed": NO},
    ),
    ("$count(changesAttachment.changesData) > 0", {"small": NO, "changed": YES}),
    ("packageAttachment.packages.courierStatus.finished = true", {"small": NO, "delivered": YES}),
    ("finished = true", {"delivered": NO}),
    ("**.finished = true", {"delivered": YES}),
    (
        '$count(packageAttachment.packages[type = "Input" and invoiceValue > 0]) > 0',
        {"delivered": NO, "returned": YES},
    ),
    (
        '$sum(packageAttachment.packages[type = "Input"].invoiceValue) >= 4990',
        {"example": NO, "returned": YES},
    ),
    (
        '$contains(packageAttachment.packages[0].courier, "Correios")',
        {"delivered": YES, "small": NO},
    ),
    ("packageAttachment.packages[courier ~> /dhl/i]", {"returned": YES, "delivered": NO}),
    ('status in ["invoiced", "handling"]', {"example": YES, "appliances": NO}),
    ('$exists(marketplaceOrderId) and origin = "Marketplace"', {"example": YES}),
    # A comparison with what is not there is false, even !=. The contract's guide shows this one;
    # `salesChannel` is a text and has no Id, so it matches nothing.
    ('(salesChannel.Id != "3" and status = "handling")', {"example": NO}),
    ('salesChannel != "3" and status = "handling"', {"example": YES}),
    ('missing != "3"', {"example": NO}),
    ("missing = null", {"example": NO}),
    ("cancelReason = null", {"small": YES, "example": NO}),
    ("missing > 1", {"example": NO}),
    ("status > 5", {"example": ERROR}),
    ("$number(status) > 1", {"example": ERROR}),
    ("$not(missing)", {"example": NO}),
    # What is not a boolean counts like JSONata's own $boolean.
    ("items[price > 1000]", {"appliances": YES, "small": NO}),
    ("items[price > 1000].quantity", {"appliances": YES}),
    ("items", {"example": YES}),
    ("packageAttachment.packages", {"small": NO}),
    ("value", {"example": YES}),
    ("value - value", {"example": NO}),
    ('""', {"example": NO}),
    ("[false, 0]", {"example": NO}),
    ("function($x) { $x }", {"example": NO}),
    # Money is in cents, a single find is no list, keys are as they are written.
    ("value = 1160", {"example": YES, "small": NO}),
    ('$type(items[0]) = "object"', {"example": YES}),
    ('$type(items) = "array"', {"example": YES}),
    ("Value > 1", {"example": NO}),
    ('$now() > "2020"', {"example": YES}),
    ("$random() < 2", {"example": YES}),
    ("($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(5) = 120)", {"example": YES}),
    ("items^(>price)[0].price >= 250000", {"appliances": YES, "small": NO}),
    ("$map([1..1000], function($n) { $n }) ~> $sum = 500500", {"example": YES}),
]
ROWS: Final = [(text, name, result) for text, told in EXAMPLES for name, result in told.items()]
