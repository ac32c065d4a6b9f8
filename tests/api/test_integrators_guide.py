"""The tables of docs/integrators.md say what the code does."""

import ast
import re
from typing import Any

import pytest

from feeds.hooks.schedule import ATTEMPTS, DELAYS_SECONDS
from oms.access.scopes import Scope
from oms.api.errors import DOMAIN_ERRORS, STATUS_ERRORS
from oms.api.views import (
    changes,
    conversation,
    events,
    expressions,
    feeds,
    hooks,
    order_list,
    orders,
    placing,
    reconciliation,
    replays,
    seller_changes,
)
from tests.journeys.guide import table
from tests.whole_system import ROOT


def codes_raised() -> set[tuple[str, str]]:
    """This function will find every code that the API answers, with its status."""
    found = {(code, str(status)) for status, code in DOMAIN_ERRORS.values()}
    found |= {(code, str(status)) for status, (code, _) in STATUS_ERRORS.items()}
    for path in sorted((ROOT / "oms" / "api").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found |= codes_of_class(node)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "json_error":
                found |= codes_of_call(node)
    return found


def codes_of_class(node: ast.ClassDef) -> set[tuple[str, str]]:
    given = {
        target.id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    if "default_code" not in given:
        return set()
    return {(str(given["default_code"]), str(given["status_code"]))}


def codes_of_call(node: ast.Call) -> set[tuple[str, str]]:
    for keyword in node.keywords:
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
            assert isinstance(node.args[0], ast.Constant)
            return {(str(keyword.value.value), str(node.args[0].value))}
    return set()


def test_the_guide_knows_every_error_code_and_no_other() -> None:
    rows = table("Every error code")[1:]
    told = {(row[0].strip("`"), row[1]) for row in rows}
    assert told == codes_raised()
    codes = [row[0].strip("`") for row in rows]
    assert codes == sorted(codes, key=str.casefold)
    assert all(len(row) == 4 and all(row) for row in rows)


def test_the_published_schedule_is_the_one_that_is_kept() -> None:
    attempts, waits = table("When a call fails")
    seconds = {"s": 1, "min": 60, "h": 3600}
    told = [float(wait.split()[0]) * seconds[wait.split()[1]] for wait in waits[1:-1]]
    assert told == list(DELAYS_SECONDS)
    assert (waits[-1], attempts[-1]) == ("parked", str(ATTEMPTS))


# Rights

READ, WRITE = "GET", "POST"
RIGHTS: list[tuple[str, list[tuple[Any, str]]]] = [
    (
        "configure and read feed and hook, ask for replays, read the ledger",
        [
            (feeds.FeedConfigView, WRITE),
            (feeds.FeedConfigView, "DELETE"),
            (feeds.FeedView, READ),
            (feeds.FeedView, WRITE),
            (hooks.HookConfigView, WRITE),
            (hooks.HookResendView, WRITE),
            (hooks.HookSecretView, WRITE),
            (replays.ReplaysView, WRITE),
            (events.EventsView, READ),
        ],
    ),
    (
        "see configurations and replays, try expressions",
        [
            (feeds.FeedConfigView, READ),
            (hooks.HookConfigView, READ),
            (replays.ReplaysView, READ),
            (expressions.ExpressionTestView, WRITE),
        ],
    ),
    (
        "reconcile",
        [
            (reconciliation.ReconciliationView, READ),
            (reconciliation.ReconciliationView, WRITE),
            (reconciliation.ReconciledHourView, READ),
            (reconciliation.ReconciledHourView, WRITE),
        ],
    ),
    ("get an order", [(orders.OrderView, READ), (orders.OrderGroupView, READ)]),
    ("list orders", [(order_list.OrderListView, READ)]),
    (
        "start handling, change the seller",
        [(orders.StartHandlingView, WRITE), (seller_changes.ChangeSellerView, "PUT")],
    ),
    ("tracking", [(orders.InvoiceShipmentView, "PATCH"), (orders.InvoiceTrackingView, "PUT")]),
    ("invoices", [(orders.InvoiceView, WRITE)]),
    (
        "cancel, deny a cancellation",
        [(orders.CancelView, WRITE), (orders.DenyCancellationView, WRITE)],
    ),
    ("notify payments", [(orders.PaymentNotificationView, WRITE)]),
    ("modify orders", [(changes.ChangesView, "PATCH"), (changes.FirstVersionChangesView, WRITE)]),
    ("place orders", [(placing.PlaceOrdersView, WRITE)]),
    (
        "write interactions, read conversations",
        [(conversation.InteractionsView, WRITE), (conversation.ConversationView, READ)],
    ),
]


def test_every_row_of_rights_is_looked_at() -> None:
    assert [row[0] for row in table("Calls")[1:]] == [what for what, _ in RIGHTS]


@pytest.mark.parametrize(("what", "operations"), RIGHTS, ids=[what for what, _ in RIGHTS])
def test_a_right_opens_what_the_guide_says(what: str, operations: list[tuple[Any, str]]) -> None:
    (cell,) = [row[1] for row in table("Calls") if row[0] == what]
    told = {word for word in re.findall(r"`(\w+)`", cell) if word in set(Scope)}
    for view, method in operations:
        assert view.required_scopes[method] == told | {"OrdersFullAccess"}, view.__name__
