"""What answers look like, as JSON schema. An order has more fields than are named: those of its import."""

from typing import Any, Final

from oms.api.description.operation import Shape, array, ref
from oms.orders.models.order import STATUS_NAMES
from oms.orders.statuses import Status

TEXT: Final[Shape] = {"type": "string"}
NULLABLE_TEXT: Final[Shape] = {"type": ["string", "null"]}
TIME: Final[Shape] = {"type": "string", "format": "date-time"}
NULLABLE_TIME: Final[Shape] = {"type": ["string", "null"], "format": "date-time"}
WHOLE: Final[Shape] = {"type": "integer"}
CENTS: Final[Shape] = {"type": "integer", "description": "Minor units."}
NULLABLE_CENTS: Final[Shape] = {"type": ["integer", "null"], "description": "Minor units."}
FLAG: Final[Shape] = {"type": "boolean"}
ANYTHING: Final[Shape] = {"type": "object", "additionalProperties": True}
NULLABLE_ANYTHING: Final[Shape] = {"type": ["object", "null"], "additionalProperties": True}
# What may be anything, null included.
ANY: Final[Shape] = {}


def thing(required: str = "*", /, **properties: Shape) -> Shape:
    """This function will describe an object; `required` lists names, or `*` for all."""
    names = list(properties) if required == "*" else required.split()
    shape: dict[str, Any] = {"type": "object", "properties": properties}
    return {**shape, "required": names} if names else shape


def open_thing(required: str = "*", /, **properties: Shape) -> Shape:
    """This function will describe an object that may have more fields than these."""
    return {**thing(required, **properties), "additionalProperties": True}


ITEM: Final = open_thing(
    "uniqueId id quantity seller price",
    uniqueId=TEXT,
    id=TEXT,
    productId=NULLABLE_TEXT,
    ean=NULLABLE_TEXT,
    refId=NULLABLE_TEXT,
    quantity=WHOLE,
    seller=TEXT,
    name=NULLABLE_TEXT,
    price=CENTS,
    listPrice=NULLABLE_CENTS,
    sellingPrice=NULLABLE_CENTS,
    manualPrice=NULLABLE_CENTS,
    isGift=FLAG,
)
PACKAGE: Final = open_thing(
    "",
    type=NULLABLE_TEXT,
    invoiceNumber=NULLABLE_TEXT,
    invoiceValue=NULLABLE_CENTS,
    invoiceKey=NULLABLE_TEXT,
    invoiceUrl=NULLABLE_TEXT,
    issuanceDate=NULLABLE_TEXT,
    courier=NULLABLE_TEXT,
    trackingNumber=NULLABLE_TEXT,
    trackingUrl=NULLABLE_TEXT,
    items={"type": ["array", "null"], "items": ANYTHING},
    courierStatus=NULLABLE_ANYTHING,
)
ORDER: Final = open_thing(
    "orderId status creationDate value",
    orderId=TEXT,
    sequence=TEXT,
    marketplaceOrderId=NULLABLE_TEXT,
    sellerOrderId=NULLABLE_TEXT,
    orderGroup=NULLABLE_TEXT,
    origin=TEXT,
    affiliateId=NULLABLE_TEXT,
    salesChannel=NULLABLE_TEXT,
    status={"type": "string", "description": f"One of {', '.join(STATUS_NAMES)}."},
    statusDescription=NULLABLE_TEXT,
    workflowIsInError=FLAG,
    value=CENTS,
    creationDate=TIME,
    lastChange=NULLABLE_TIME,
    authorizedDate=NULLABLE_TIME,
    invoicedDate=NULLABLE_TIME,
    isCompleted=FLAG,
    allowCancellation=FLAG,
    allowEdition=FLAG,
    cancelReason=NULLABLE_TEXT,
    totals=array(ANYTHING),
    items=array(ref("OrderItem")),
    sellers={"type": ["array", "null"], "items": ANYTHING},
    clientProfileData=NULLABLE_ANYTHING,
    shippingData=NULLABLE_ANYTHING,
    paymentData=NULLABLE_ANYTHING,
    packageAttachment={
        "type": ["object", "null"],
        "properties": {"packages": array(ref("Package"))},
        "additionalProperties": True,
    },
    cancellationData=NULLABLE_ANYTHING,
    changesAttachment=NULLABLE_ANYTHING,
    storePreferencesData=NULLABLE_ANYTHING,
)
ERROR: Final = thing(
    "error",
    error=thing(
        "code message exception",
        code={"type": "string", "description": "Stable: for programs."},
        message={"type": "string", "description": "For people."},
        exception={"type": "null"},
        details=array(
            open_thing("message", field=TEXT, message=TEXT, allowed=array(TEXT)),
            description="Which fields are wrong, and what they may be.",
        ),
    ),
    requestId={"type": ["string", "null"], "description": "Quote it to support."},
)
FEED_ITEM: Final = thing(
    eventId={"type": "string", "description": "The same over redeliveries and replays."},
    handle={"type": "string", "description": "Send it back to commit."},
    domain={"type": "string", "enum": ["Marketplace", "Fulfillment"]},
    state=TEXT,
    lastState=TEXT,
    orderId=TEXT,
    lastChange=TIME,
    currentChange=TIME,
    version={"type": "integer", "description": "The order's version after the event."},
    isReplay=FLAG,
    deliveryAttempt=WHOLE,
)
FILTER: Final = open_thing(
    "",
    type={"type": "string", "enum": ["FromWorkflow", "FromOrders"]},
    status=array({"type": "string", "examples": [Status.READY_FOR_HANDLING.value]}),
    expression={"type": "string", "description": "JSONata over the order's document."},
    disableSingleFire=FLAG,
)
QUEUE: Final = open_thing(
    "", visibilityTimeoutInSeconds=WHOLE, messageRetentionPeriodInSeconds=WHOLE
)

SHAPES: Final[dict[str, Shape]] = {
    "Error": ERROR,
    "Order": ORDER,
    "OrderItem": ITEM,
    "Package": PACKAGE,
    "Receipt": thing(date=TIME, orderId=TEXT, receipt=TEXT),
    "OrderList": open_thing(
        "list paging",
        list=array(open_thing("orderId", orderId=TEXT, status=TEXT, totalValue=CENTS)),
        facets=array(ANYTHING),
        paging=open_thing(
            "total pages currentPage perPage",
            total=WHOLE,
            pages=WHOLE,
            currentPage=WHOLE,
            perPage=WHOLE,
        ),
        stats=ANYTHING,
    ),
    "PlacedPurchase": open_thing(
        "orderId status",
        marketplaceOrderId=NULLABLE_TEXT,
        orderId=NULLABLE_TEXT,
        orderIds=array(TEXT),
        status={
            "type": "string",
            "enum": ["placed", "already-placed", "invalid", "conflict"],
        },
        message=NULLABLE_TEXT,
        orderData=ANY,
        errors=array(ANYTHING),
    ),
    "FeedItem": FEED_ITEM,
    "Filter": FILTER,
    "Queue": QUEUE,
    "FeedConfiguration": thing(
        filter=ref("Filter"),
        queue=ref("Queue"),
        quantity={"type": "integer", "description": "Open items, exact."},
        approximateAgeOfOldestMessageInSeconds={"type": "integer", "description": "Exact, too."},
    ),
    "CommitResult": thing(committed=WHOLE, alreadyCommitted=WHOLE, notCommitted=WHOLE),
    "LedgerEvent": thing(
        position=WHOLE,
        eventId=TEXT,
        orderId=TEXT,
        domain=TEXT,
        kind=TEXT,
        state=TEXT,
        lastState=TEXT,
        lastChange=NULLABLE_TIME,
        currentChange=TIME,
        version=WHOLE,
        changedFields=array(TEXT),
    ),
    "LedgerPage": {
        "type": "object",
        "properties": {
            "events": array(ref("LedgerEvent")),
            "from": {"type": ["integer", "null"]},
            "to": {"type": ["integer", "null"]},
            "count": WHOLE,
            "next": {
                "type": ["integer", "null"],
                "description": "Ask `after` it for the next page.",
            },
            "lastPosition": WHOLE,
        },
        "required": ["events", "from", "to", "count", "next", "lastPosition"],
    },
    "Replay": open_thing(
        "id fromPosition untilPosition queuedCount progress",
        id=WHOLE,
        fromPosition=WHOLE,
        untilPosition=WHOLE,
        orderCount={"type": ["integer", "null"]},
        reason=TEXT,
        requestedBy=TEXT,
        requestedAt=NULLABLE_TIME,
        queuedCount=WHOLE,
        progress={"type": "number"},
        finishedAt=NULLABLE_TIME,
    ),
    "Bucket": thing(
        hour=TEXT,
        count=WHOLE,
        totals={"type": "object", "additionalProperties": WHOLE},
        hash=TEXT,
    ),
}
