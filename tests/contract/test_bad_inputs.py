"""
What must not come in: one table, a row for each mistake or attack, named by what is wrong.

Numbers are those of the list of bad inputs. A row says what is sent and which answers are right.
For all of them holds: an error is JSON in the one shape, with a stable code and the request's id,
never a page and never a 500; and a refusal changes nothing of the order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.orders.models import Affiliate
from oms.orders.statuses import Flow, Status
from tests.api.callers import Caller, parsed
from tests.workflow.stories import facts_of, place_in

pytestmark = pytest.mark.django_db

INVOICE = {"issuanceDate": "2026-01-31", "invoiceNumber": "NF-1", "invoiceValue": 1000}
FEED = {"filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]}}
ORDER = "oms/pvt/orders/{order}"
LIST = "oms/pvt/orders"
PLACE = "fulfillment/pvt/orders?affiliateId=MKT"


@dataclass(frozen=True)
class Row:
    """One bad input. `{order}` in the path is an order in `status`; `headers` of None take one away."""

    name: str
    method: str
    path: str
    body: Any = None
    right: tuple[int, ...] = (400,)
    headers: dict[str, str | None] = field(default_factory=dict)
    status: Status = Status.HANDLING
    says: str = ""


def nested(depth: int, kind: str = "[]") -> bytes:
    opening, closing = ('{"a":', "}") if kind == "{}" else ("[", "]")
    inner = (opening * depth + ("1" if kind == "{}" else "") + closing * depth).encode()
    return b'{"reason": ' + inner + b"}"


def cancel(name: str, body: Any, *right: int, **given: Any) -> Row:
    return Row(name, "POST", ORDER + "/cancel", body, right or (400,), **given)


def invoice(name: str, *right: int, **given: Any) -> Row:
    return Row(name, "POST", ORDER + "/invoice", INVOICE | given, right or (400,))


def lines(name: str, *items: dict[str, Any]) -> Row:
    return invoice(name, items=list(items))


def listing(name: str, query: str, *right: int) -> Row:
    return Row(name, "GET", f"{LIST}?{query}", right=right or (400,))


def feed(name: str, filter_: Any, *right: int, **given: Any) -> Row:
    body = {"filter": {"type": "FromWorkflow", "status": filter_}}
    return Row(name, "POST", "orders/feed/config", body, right or (400,), **given)


def expression(name: str, text: Any) -> Row:
    body = {"filter": {"type": "FromOrders", "expression": text}}
    return Row(name, "POST", "orders/feed/config", body)


def hook(url: str) -> Row:
    body = {**FEED, "hook": {"url": url, "headers": {}}}
    return Row(f"50 hook to {url[:60]}", "POST", "orders/hook/config", body)


CREDENTIALS = [
    Row("1 no app key", "GET", ORDER, right=(401,), headers={"X-VTEX-API-AppKey": None}),
    Row("1 no token", "GET", ORDER, right=(401,), headers={"X-VTEX-API-AppToken": None}),
    Row("1 empty token", "GET", ORDER, right=(401,), headers={"X-VTEX-API-AppToken": ""}),
    Row(
        "1 10 KB token", "GET", ORDER, right=(401,), headers={"X-VTEX-API-AppToken": "x" * 10_240}
    ),
    Row(
        "1 no token at a write", "POST", ORDER + "/cancel", {}, (401,), {"X-VTEX-API-AppToken": ""}
    ),
    Row("2 another's token", "GET", ORDER, right=(401,), headers={"X-VTEX-API-AppToken": "bht_x"}),
    Row(
        "3 key in the query",
        "GET",
        ORDER + "?X-VTEX-API-AppKey=a&X-VTEX-API-AppToken=b",
        right=(401,),
        headers={"X-VTEX-API-AppKey": None, "X-VTEX-API-AppToken": None},
    ),
]
BODIES = [
    cancel("9 lists nested 5,000 deep", nested(5_000)),
    cancel("9 lists nested 200,000 deep", nested(200_000)),
    cancel("9 objects nested 100,000 deep", nested(100_000, "{}")),
    cancel("10 lone surrogate", b'{"reason": "\\ud800"}'),
    cancel("11 NUL in a text", b'{"reason": "a\\u0000b"}'),
    cancel("11 NUL in a name", b'{"re\\u0000ason": "a"}'),
    cancel("13 whole number beyond 64 bits", b'{"reason": 9223372036854775808}'),
    cancel("13 number beyond a double", b'{"reason": 1e999}'),
    cancel("13 NaN", b'{"reason": NaN}'),
    cancel("15 null", b"null"),
    cancel("15 text", b'"text"'),
    cancel("15 list", b"[]"),
    cancel("15 number", b"1"),
    cancel("15 half an object", b'{"reason": "a"'),
    cancel("15 two objects", b"{} {}"),
    cancel("15 reason is an object", {"reason": {"a": 1}}),
    cancel("15 reason too long", {"reason": "x" * 2_001}),
    cancel("15 bytes that are no text", b'{"reason": "\xff"}'),
    invoice("13 value beyond 64 bits", invoiceValue=2**63 - 1),
    invoice("13 value below nothing", invoiceValue=-1),
    invoice("13 value with a fraction", invoiceValue=9.99),
    invoice("13 value of truth", invoiceValue=True),
    invoice("13 a date that is none", issuanceDate="2026-02-31"),
    invoice("13 a date at the end of time", issuanceDate="9999-12-31T23:59:59-12:00"),
    invoice("31 number of 513 characters", invoiceNumber="x" * 513),
    invoice("31 number is empty", invoiceNumber=""),
    invoice("31 number is no text", invoiceNumber=["NF"]),
    invoice("33 type nobody knows", type="Sideways"),
    lines("33 unknown item", {"id": "none", "quantity": 1, "price": 1}),
    lines("33 more than was ordered", {"id": "18", "quantity": 2, "price": 1}),
    lines("33 quantity 0", {"id": "18", "quantity": 0, "price": 1}),
    lines("33 quantity -1", {"id": "18", "quantity": -1, "price": 1}),
    lines("33 quantity 1.5", {"id": "18", "quantity": 1.5, "price": 1}),
    lines("33 no item at all", {"quantity": 1, "price": 1}),
    lines("33 an item that is no object", 18),  # type: ignore[arg-type]
    invoice("33 items are an object", items={"id": "18"}),
]
TYPES = [
    cancel(
        "19 form", b"reason=a", 415, headers={"Content-Type": "application/x-www-form-urlencoded"}
    ),
    cancel(
        "19 multipart", b"--x", 415, headers={"Content-Type": "multipart/form-data; boundary=x"}
    ),
    cancel("19 XML", b"<a/>", 415, headers={"Content-Type": "application/xml"}),
    cancel(
        "19 JSON in another alphabet",
        '{"reason": "a"}'.encode("utf-16"),
        415,
        headers={"Content-Type": "application/json; charset=utf-16"},
    ),
    cancel("19 compressed", b"\x1f\x8b", 415, headers={"Content-Encoding": "gzip"}),
    cancel("19 JSON as plain text", {"reason": "a"}, 200, headers={"Content-Type": "text/plain"}),
]
METHODS = [
    Row("21 POST where there is only GET", "POST", ORDER, {}, (405,)),
    Row("21 DELETE of an order", "DELETE", ORDER, right=(405,)),
    Row("21 GET of an act", "GET", ORDER + "/cancel", right=(405,)),
    Row("21 TRACE", "TRACE", ORDER, right=(405,)),
    Row("21 a method nobody knows", "BREW", ORDER, right=(405,)),
    Row(
        "21 a method under another's name",
        "GET",
        ORDER + "/start-handling",
        right=(405,),
        headers={"X-HTTP-Method-Override": "POST"},
        status=Status.READY_FOR_HANDLING,
    ),
    Row("23 a host that is not ours", "GET", ORDER, headers={"Host": "evil.example"}),
    Row(
        "23 a host told by a proxy",
        "GET",
        ORDER,
        right=(200,),
        headers={"X-Forwarded-Host": "evil"},
    ),
]
PATHS = [
    Row(f"30 order id {name}", "GET", f"oms/pvt/orders/{given}", right=(404,))
    for name, given in [
        ("nobody has", "none"),
        ("with a slash", "a%2Fb"),
        ("dots", ".."),
        ("bytes that are no text", "%ff%fe"),
        ("NUL", "a%00b"),
        ("4 KB", "x" * 4096),
        ("emoji", quote("📦")),
        ("right to left", quote("\u202eabc")),
        ("template", quote("{{7*7}}")),
        ("quote", quote("' OR 1=1 --")),
        ("sequence beyond 64 bits", "seq" + "9" * 30),
    ]
]
STATES = [
    Row("35 start-handling twice", "POST", ORDER + "/start-handling", right=(409,)),
    Row(
        "35 start-handling of a canceled order",
        "POST",
        ORDER + "/start-handling",
        right=(409,),
        status=Status.CANCELED,
    ),
    Row(
        "35 start-handling of nothing", "POST", "oms/pvt/orders/none/start-handling", right=(404,)
    ),
    Row("35 tracking of no invoice", "PUT", ORDER + "/invoice/none/tracking", {}, (404,)),
    Row(
        "35 notification of no payment",
        "POST",
        ORDER + "/payments/none/payment-notification",
        {},
        (404, 409),
    ),
]
LISTS = [
    listing("13 page beyond 64 bits", "page=99999999999999999999"),
    listing("13 page 0", "page=0", 200, 400),
    listing("13 page -1", "page=-1", 200, 400),
    listing("13 page of words", "page=abc", 200, 400),
    listing("13 a million of a page", "per_page=1000000", 200, 400),
    listing("13 a cursor that is none", "cursor=abc", 200, 400),
    listing("25 unknown status", "f_status=handlin"),
    listing("25 500 statuses", "f_status=" + ",".join(["handling"] * 500), 200),
    listing("25 a status told twice", "f_status=handling&f_status=canceled", 200),
    listing(
        "25 60 sellers",
        "f_sellerNames=" + ",".join(f"Seller {n}" for n in range(60)).replace(" ", "%20"),
        200,
    ),
    listing("26 SQL in the order", "orderBy=creationDate;drop%20table"),
    listing("26 order by another table", "orderBy=client__email,asc"),
    listing("26 order by nothing known", "orderBy=password,asc"),
    listing("29 a look-up of our own", "f_x__gte=1", 200),
    listing("29 ordering by a name of ours", "ordering=password", 200),
    listing("29 a column of ours", "client__email__contains=a", 200),
    listing("11 NUL in q", "q=a%00b"),
    listing("13 dates that are none", "f_creationDate=creationDate:[x%20TO%20y]", 200, 400),
    listing(
        "13 dates at the end of time",
        "f_creationDate=creationDate:[9999-12-31T23:59:59.999Z%20TO%20*]",
        200,
        400,
    ),
    *(
        listing(f"27 q {name}", "q=" + quote(text), 200, 400 if len(text) > 1_000 else 200)
        for name, text in [
            ("quote", "O'Brien"),
            ("double quote", '12" screen'),
            ("percent", "100%"),
            ("underscore", "a_b"),
            ("backslash", "a\\b"),
            ("spaces", "a   b"),
            ("emoji", "📦"),
            ("right to left", "\u202eabc"),
            ("10 KB", "x" * 10_240),
            ("a look-up", "id:1 OR 1=1"),
            ("parentheses", "((("),
            ("star", "*"),
        ]
    ),
]
FEEDS = [
    feed("39 misspelt status", ["ready-for-handlin"], says="ready-for-handling"),
    feed("39 no status", [], 200),
    feed("39 null", None, 200, 400),
    feed("39 a status that is no text", [1]),
    feed("39 a thousand statuses nobody knows", [f"s{n}" for n in range(1_000)]),
    feed("39 a status told twice", ["handling", "handling"], 200),
    feed("39 text for a list", "handling", 200, 400),
    Row("39 no filter at all: every status", "POST", "orders/feed/config", {}, (200,)),
    Row("39 a filter that is no object", "POST", "orders/feed/config", {"filter": []}, (400,)),
    Row("39 a type nobody knows", "POST", "orders/feed/config", {"filter": {"type": "X"}}, (400,)),
    Row(
        "39 retention of no time",
        "POST",
        "orders/feed/config",
        {
            **FEED,
            "queue": {"visibilityTimeoutInSeconds": -1, "messageRetentionPeriodInSeconds": 0},
        },
    ),
    expression("41 a syntax error", "status = "),
    expression("41 an empty expression", ""),
    expression("41 2,001 characters", "'" + "x" * 1_999 + "'"),
    expression("41 20,000 times or", " or ".join(["a=1"] * 20_000)),
    expression("41 an expression that is no text", 1),
    expression("45 a range of millions", "$count([1..10000000]) > 0"),
    expression("47 evaluation of text", '$eval("1")'),
    expression("43 a call without end", "($f := function($n){$f($n+1)}; $f(0))"),
    *(
        Row(f"41 trying {name}", "POST", "orders/expressions/jsonata", body, right)
        for name, body, right in [
            ("nothing", {}, (400,)),
            ("no document", {"Expression": "a"}, (400,)),
            ("a document that is none", {"Expression": "a", "Document": "{"}, (400,)),
            ("a document of text", {"Expression": "a", "Document": '"a"'}, (400,)),
            ("a number", {"Expression": 1, "Document": "{}"}, (400,)),
            ("a syntax error", {"Expression": "a = = b", "Document": "{}"}, (400,)),
            (
                "an endless call",
                {"Expression": "($f := function($n){$f($n+1)}; $f(0))", "Document": "{}"},
                (200, 400),
            ),
            (
                "a huge text",
                {"Expression": '$pad("a", 100000000) = "a"', "Document": "{}"},
                (200, 400),
            ),
            (
                "a slow pattern",
                {
                    "Expression": "$match(a, /(a+)+$/) = 1",
                    "Document": '{"a": "' + "a" * 40 + '!"}',
                },
                (200, 400),
            ),
            ("the time", {"Expression": '$now() > "2026"', "Document": "{}"}, (200,)),
        ]
    ),
]
COMMITS = [
    Row(f"7 handles {name}", "POST", "orders/feed", {"handles": handles}, right)
    for name, handles, right in [
        ("none", [], (400,)),
        ("null", None, (400,)),
        ("a text", "abc", (400,)),
        ("10,000", ["x"] * 10_000, (400,)),
        ("of 1 MB", ["x" * 1024 * 1024], (200, 400)),
        ("numbers", [1], (400,)),
        ("empty texts", [""], (400,)),
        ("forged", ["eyJhIjoxfQ:1abcde:xyz"], (200, 400)),
        ("twice the same", ["x", "x"], (200,)),
        ("eleven", [f"x{n}" for n in range(11)], (200,)),
    ]
] + [Row("7 no handles", "POST", "orders/feed", {}, (400,))]
LOTS = [
    Row(f"8 maxlot {lot or 'empty'}", "GET", f"orders/feed?maxlot={lot}", right=(200, 400))
    for lot in ("0", "-1", "11", "1000000000", "abc", "", "1.5", "2&maxlot=3", "%00")
]
HOOKS = [
    hook(url)
    for url in (
        "http://127.0.0.1/a", "https://127.0.0.1/a", "https://localhost/a", "https://127.1/a",
        "https://0x7f000001/a", "https://2130706433/a", "https://0177.0.0.1/a", "https://0/a",
        "https://[::1]/a", "https://[::ffff:127.0.0.1]/a", "https://[::127.0.0.1]/a",
        "https://[64:ff9b::7f00:1]/a", "https://[2002:7f00:1::]/a", "https://[fec0::1]/a",
        "https://[ff02::1]/a", "https://[fe80::1%25lo]/a", "https://10.0.0.1/a",
        "https://172.16.0.1/a", "https://192.168.0.1/a", "https://169.254.169.254/latest",
        "https://100.64.0.1/a", "https://224.0.0.1/a", "https://240.0.0.1/a",
        "https://192.0.0.8/a", "https://192.88.99.1/a", "https://198.18.0.1/a",
        "https://１２７.０.０.１/a", "https://user:pw@127.0.0.1/a", "https://127.0.0.1./a",
        "https://example.com\\@127.0.0.1/a", "https://127.0.0.1#@example.com/a",
        "ftp://example.com/a", "file:///etc/passwd", "//example.com", "", "x" * 3_000,
    )
]  # fmt: skip
LEDGER = [
    Row("13 a position beyond 64 bits", "GET", "events?after=99999999999999999999"),
    Row("13 a position below nothing", "GET", "events?after=-1"),
    Row("13 a limit of millions", "GET", "events?limit=1000000000"),
    Row("13 a limit of words", "GET", "events?limit=abc"),
    Row("5 the events of nobody's order", "GET", "events?orderId=none", right=(404,)),
    Row(
        "13 a window that ends before it begins",
        "GET",
        "reconciliation?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    ),
    Row("13 an hour that is none", "GET", "reconciliation/2026-13-01T00", right=(400, 404)),
    Row("15 hours that are none", "POST", "reconciliation", {"hours": [{"hour": "x"}]}),
]
KEYS = [
    Row(
        f"71 idempotency key {name}",
        "POST",
        ORDER + "/cancel",
        {},
        headers={"Idempotency-Key": key},
    )
    for name, key in [
        ("empty", ""),
        ("of 256", "x" * 256),
        ("with a control", "a\x01"),
        ("not ASCII", "é"),
    ]
]
PLACINGS = [
    Row(f"15 a placing of {name}", "POST", PLACE, body, right)
    for name, body, right in [
        ("nothing", b"", (400,)),
        ("null", b"null", (400,)),
        ("text", b'"a"', (400,)),
        ("an empty list", [], (200, 400)),
        ("numbers", [1, 2], (400,)),
        ("an empty purchase", [{}], (400,)),
        ("a purchase without items", [{"marketplaceOrderId": "M"}], (400,)),
    ]
]
CHANGE = "order-system/orders/{order}/changes"
CHANGES = [
    Row(f"33 a change {name}", "PATCH", CHANGE, body, right)
    for name, body, right in [
        ("of nothing", {}, (400,)),
        ("without a reason", {"manualDiscountValue": 1}, (400,)),
        (
            "of an unknown item",
            {"reason": "r", "remove": {"items": [{"uniqueId": "x", "quantity": 1}]}},
            (400, 404),
        ),
        (
            "of quantity -1",
            {"reason": "r", "remove": {"items": [{"id": "18", "quantity": -1}]}},
            (400,),
        ),
        ("of items that are none", {"reason": "r", "remove": {"items": "18"}}, (400,)),
        ("of half a cent", {"reason": "r", "manualDiscountValue": 0.5}, (400,)),
        ("beyond 64 bits", {"reason": "r", "manualIncrementValue": 2**63 - 1}, (400,)),
        (
            "with a number for an id",
            {"reason": "r", "requestId": 1, "manualDiscountValue": 1},
            (400,),
        ),
    ]
] + [
    Row("33 no change of this id", "GET", CHANGE + "/none", right=(404,)),
    Row("33 retrying none", "POST", CHANGE + "/none/retry", {}, (404,)),
    Row(
        "33 a seller with a slash",
        "PUT",
        "checkout/pvt/orders/{order}/sellers",
        {"newSellerId": "a/b"},
    ),
    Row("33 no seller", "PUT", "checkout/pvt/orders/{order}/sellers", {}),
    Row(
        "33 a window of words",
        "POST",
        "checkout/pvt/configuration/window-to-change-seller",
        {"waitingTime": "x"},
    ),
    Row(
        "33 a window of ages",
        "POST",
        "checkout/pvt/configuration/window-to-change-seller",
        {"waitingTime": 10**12},
    ),
    Row("15 an interaction of nothing", "POST", ORDER + "/interactions", {}),
    Row(
        "11 an interaction with NUL",
        "POST",
        ORDER + "/interactions",
        b'{"source": "a", "message": "\\u0000"}',
    ),
]
REPLAYS = [
    Row(f"13 a replay {name}", "POST", "orders/feed/replay", body, (400, 404))
    for name, body in [
        ("of nothing", {}),
        ("from nowhere", {"fromPosition": -1}),
        ("from beyond 64 bits", {"fromPosition": 10**18}),
        ("from no time", {"from": "yesterday"}),
        ("of orders that are none", {"orderIds": "x"}),
    ]
]
ROWS = [
    *CREDENTIALS, *BODIES, *TYPES, *METHODS, *PATHS, *STATES, *LISTS, *FEEDS, *COMMITS, *LOTS,
    *HOOKS, *LEDGER, *KEYS, *PLACINGS, *CHANGES, *REPLAYS,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    Affiliate.objects.create(affiliate_id="MKT", name="Marketplace", flow=Flow.FULFILLMENT)
    yield
    forget_all_cached_keys()


def send(caller: Caller, row: Row, order_id: str) -> HttpResponse:
    given = {**caller.headers, **row.headers}
    headers = {name: value for name, value in given.items() if value is not None}
    path = row.path.replace("{order}", order_id)
    return caller.ask(row.method, path, row.body, headers=headers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_bad_input_is_answered_in_words_and_changes_nothing(row: Row) -> None:
    caller, order_id = Caller([*Scope]), place_in(row.status)
    if row.path.startswith("orders/feed?"):
        assert caller.post("orders/feed/config", FEED).status_code == 200
    before = facts_of(order_id)
    answer = send(caller, row, order_id)
    assert answer.status_code in row.right, answer.content
    if answer.status_code >= 400:
        body = parsed(answer)
        assert set(body["error"]) - {"details"} == {"code", "message", "exception"}
        assert body["requestId"] == answer.headers["X-Request-Id"]
        assert facts_of(order_id) == before
    assert row.says in answer.content.decode()
