"""What comes in by import comes back: field by field, but for what differs on purpose."""

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.orders.documents import example_document, through_the_database

MISSING = "(missing)"


class Difference(NamedTuple):
    came: Any
    given: Any
    reason: str


DELIBERATE = {
    "paymentData.transactions[0].payments[0].cvv2": Difference(
        "351", None, "security codes are never stored"
    ),
    "authorizationPolicyData": Difference(
        MISSING, [], "every top-level field of the contract's schema is always there"
    ),
}


def differences(came: Any, gave: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """
    This function will compare more strictly than Python: 1, 1.0 and true are three values.

    Only where a number is too large for fractions may its spelling differ: 1e16 and its 17 digits.
    """
    if isinstance(came, dict) and isinstance(gave, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in came.keys() | gave.keys():
            inner = f"{path}.{key}" if path else key
            found |= differences(came.get(key, MISSING), gave.get(key, MISSING), inner)
        return found
    if isinstance(came, list) and isinstance(gave, list) and len(came) == len(gave):
        found = {}
        for index, (one, other) in enumerate(zip(came, gave, strict=True)):
            found |= differences(one, other, f"{path}[{index}]")
        return found
    if isinstance(came, float) and type(gave) is int and abs(came) >= 2**53:
        gave = float(gave)
    return {} if type(came) is type(gave) and came == gave else {path: (came, gave)}


@pytest.mark.django_db
def test_the_published_example_comes_back_equal_but_for_the_deliberate_differences() -> None:
    document = example_document()
    (gave,) = through_the_database(document)
    expected = {path: (change.came, change.given) for path, change in DELIBERATE.items()}
    assert differences(document, gave) == expected


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MONEY = st.integers(-(2**63) + 1, 2**63 - 1)
DATES = st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.sampled_from(
    [
        "2024-02-04T20:09:43.899958+00:00",
        "2024-02-06T20:46:11.7010747+00:00",
        "2024-02-06T20:46:11.7010740+00:00",
        "2024-02-11T09:14:41.3695207Z",
        "2024-02-11T09:14:41-03:00",
        "2024-02-11 09:14",
        "0001-01-01T00:00:00",
    ]
)
UNKNOWN = st.dictionaries(TEXT.map(lambda name: f"x{name}"), JSON, max_size=3)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def objects(
    required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """This function will make objects with any of their optional and with unknown fields."""
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(UNKNOWN, known).map(lambda parts: {**parts[0], **parts[1]})


ITEMS = st.lists(
    objects(
        {"id": TEXT | st.integers(0, 10**9), "quantity": st.integers(1, 10**6), "price": MONEY},
        {
            "seller": maybe(TEXT),
            "name": maybe(TEXT),
            "refId": maybe(TEXT),
            "listPrice": maybe(MONEY),
            "sellingPrice": maybe(MONEY),
            "tax": maybe(MONEY),
            "isGift": maybe(st.booleans()),
            "priceTags": JSON,
            "unitMultiplier": JSON,
        },
    ),
    max_size=3,
).map(lambda items: [{**item, "uniqueId": f"line {index}"} for index, item in enumerate(items)])
TRACKING = objects(
    {},
    {
        "city": maybe(TEXT),
        "state": maybe(TEXT),
        "description": maybe(TEXT),
        "createDate": maybe(DATES | TEXT),
        "lastChange": maybe(DATES),
    },
)
PACKAGES = st.lists(
    objects(
        {"invoiceValue": MONEY | st.integers(0, 10**9).map(str), "issuanceDate": DATES},
        {
            "type": st.sampled_from(["Output", "Input", None]),
            "invoiceKey": maybe(TEXT),
            "embeddedInvoice": maybe(TEXT),
            "courier": maybe(TEXT),
            "trackingNumber": maybe(TEXT),
            "trackingUrl": maybe(TEXT),
            "dispatchedDate": maybe(DATES),
            "items": maybe(
                st.lists(
                    objects(
                        {"quantity": st.integers(0, 10**6)},
                        {"itemIndex": JSON | st.integers(-1, 3), "price": maybe(MONEY)},
                    ),
                    max_size=2,
                )
            ),
            "courierStatus": maybe(
                objects(
                    {},
                    {
                        "status": maybe(TEXT),
                        "finished": maybe(st.booleans()),
                        "deliveredDate": maybe(DATES | st.just("")),
                        "data": maybe(st.lists(TRACKING, max_size=2)),
                    },
                )
            ),
        },
    ),
    max_size=2,
).map(lambda found: [{**package, "invoiceNumber": f"n/{i}"} for i, package in enumerate(found)])
PAYMENTS = st.lists(
    objects(
        {"value": MONEY},
        {
            "paymentSystem": maybe(TEXT | st.integers(0, 999)),
            "group": maybe(TEXT),
            "installments": maybe(st.integers(0, 100)),
            "tid": maybe(TEXT),
            "connectorResponses": st.just({"Tid": "1"}),
        },
    ),
    max_size=2,
)
TRANSACTIONS = st.lists(
    objects({}, {"isActive": JSON, "transactionId": maybe(TEXT), "payments": maybe(PAYMENTS)}),
    max_size=2,
)
DOCUMENTS = objects(
    {
        "orderId": st.just(""),
        "origin": st.sampled_from(["Marketplace", "Fulfillment", "Chain"]),
        "value": MONEY,
        "creationDate": DATES,
        "items": ITEMS,
    },
    {
        "sequence": st.integers(1, 10**15 - 1).flatmap(lambda n: st.sampled_from([n, str(n)])),
        "orderGroup": TEXT,
        "marketplaceOrderId": maybe(TEXT),
        "affiliateId": maybe(TEXT),
        "salesChannel": maybe(TEXT | st.integers(0, 99)),
        "status": st.sampled_from(["handling", "invoiced", "canceled", "payment-pending", None]),
        "lastChange": maybe(DATES),
        "authorizedDate": maybe(DATES | st.just("")),
        "isCompleted": maybe(st.booleans()),
        "cancelReason": maybe(TEXT),
        "lastMessage": JSON,
        "statusDescription": maybe(TEXT),
        "allowEdition": st.booleans(),
        "cancellationData": maybe(st.fixed_dictionaries({"CancellationDate": maybe(DATES)})),
        "sellers": JSON,
        "shippingData": JSON,
        "clientProfileData": maybe(
            objects({}, {"email": maybe(TEXT), "document": maybe(TEXT), "isCorporate": JSON})
        ).filter(lambda client: not client or isinstance(client.get("isCorporate"), bool | None)),
        "packageAttachment": maybe(objects({}, {"packages": maybe(PACKAGES)})),
        "changesAttachment": maybe(
            objects(
                {},
                {
                    "changesData": maybe(
                        st.lists(
                            objects(
                                {},
                                {
                                    "reason": maybe(TEXT),
                                    "discountValue": maybe(MONEY),
                                    "itemsAdded": maybe(st.lists(JSON, max_size=2)),
                                    "receipt": JSON,
                                },
                            ),
                            max_size=2,
                        )
                    )
                },
            )
        ),
        "paymentData": maybe(objects({}, {"transactions": maybe(TRANSACTIONS)})),
    },
)


def payments_are_numbered(document: dict[str, Any]) -> dict[str, Any]:
    data = document.get("paymentData") or {}
    number = 0
    for transaction in data.get("transactions") or []:
        for payment in transaction.get("payments") or []:
            payment["id"] = f"payment {number}"
            number += 1
    return document


@pytest.mark.django_db
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)
@given(st.lists(DOCUMENTS.map(payments_are_numbered), min_size=1, max_size=3))
def test_whatever_a_document_holds_comes_back(documents: list[dict[str, Any]]) -> None:
    for number, document in enumerate(documents):
        document["orderId"] = f"115-{number:02d}"
        if "sequence" in document:
            document["sequence"] = f"{10**10 + number}"
    for came, gave in zip(documents, through_the_database(*documents), strict=True):
        kept = {key: gave[key] for key in [*came, "orderGroup"]}
        # A group that came as nothing is filled in: addresses of the API are made of it.
        found = differences(came | {"orderGroup": came.get("orderGroup") or "115"}, kept)
        assert found == {}
