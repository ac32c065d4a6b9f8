"""
The page docs/lifecycle.md, written from the tables: what leads where, by which step, who acts.

Pure. What the tables do not say is declared here and compared with the code by
tests/workflow/test_flows.py: which actions a step can come to, and who asks for the others.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from oms.orders.statuses import Flow, Status
from workflow.budgets import BUDGETS
from workflow.flows import EVENT_KINDS, INITIAL_STATUS, TABLES, Action
from workflow.steps import CONNECTOR_OF_STEP, Opening, Step, Window, openings_of

A, T = Action, Step

ACTIONS_OF_STEP: Final[Mapping[Step, frozenset[Action]]] = MappingProxyType(
    {
        T.COMPLETE_ORDER: frozenset({A.COMPLETE_ORDER}),
        T.ASK_SELLER: frozenset({A.ASK_SELLER, A.HOLD_FOR_AUTHORIZATION}),
        T.SETTLE_DENIED_PAYMENT: frozenset({A.OPEN_PAYMENT_WINDOW, A.CANCEL}),
        T.SEND_TO_FULFILLMENT: frozenset({A.AUTHORIZE_FULFILLMENT}),
        T.AWAIT_SELLER: frozenset({A.AWAIT_SELLER}),
        T.TAKE_EARLY_AUTHORIZATION: frozenset(
            {A.AUTHORIZE_BY_MARKETPLACE, A.AUTHORIZE_FULFILLMENT}
        ),
        T.ASK_FOR_MANUAL_AUTHORIZATION: frozenset({A.ASK_FOR_MANUAL_AUTHORIZATION}),
        T.CLOSE_WINDOW_TO_CANCEL: frozenset({A.CLOSE_WINDOW_TO_CANCEL, A.HAND_TO_WAREHOUSE}),
        T.VERIFY_INVOICE: frozenset({A.SETTLE_INVOICE, A.SETTLE_PART}),
        T.TAKE_UP_INVOICE: frozenset({A.VERIFY_INVOICE}),
        T.FORWARD_CANCELLATION_REQUEST: frozenset({A.AWAIT_SELLER_DECISION}),
        T.RESUME_AFTER_DENIAL: frozenset(
            {A.RETURN_TO_READY, A.RETURN_TO_HANDLING, A.RETURN_TO_INVOICING}
        ),
        T.CANCEL_OVERDUE: frozenset({A.CANCEL, A.ACCEPT_CANCELLATION}),
        T.RESERVE_STOCK: frozenset({A.RESERVE_STOCK, A.CONFIRM_SELLER, A.CANCEL}),
        T.AUTHORIZE_PAYMENT: frozenset({A.APPROVE_PAYMENT, A.DENY_PAYMENT}),
        T.CHECK_FRAUD: frozenset({A.PASS_ANTIFRAUD, A.DENY_PAYMENT}),
        T.CONFIRM_STOCK: frozenset({A.OPEN_WINDOW_TO_CANCEL, A.CANCEL}),
        T.WITHDRAW_STOCK: frozenset({A.ACKNOWLEDGE_HANDLING, A.VERIFY_INVOICE}),
        T.SETTLE_INVOICE: frozenset({A.SETTLE_INVOICE, A.SETTLE_PART}),
        T.VOID_PAYMENT: frozenset(),
        T.RELEASE_STOCK: frozenset({A.FINISH_CANCELLATION}),
        T.FOLLOW_TRACKING: frozenset(),
        T.REFUND_RETURN: frozenset(),
        T.UNDO_LATE_PAYMENT: frozenset(),
        T.UNDO_LATE_STOCK: frozenset(),
        T.AUTHORIZE_CHANGE: frozenset(),
        T.RETURN_DIFFERENCE: frozenset(),
    }
)

# A step that hands over to another one of the same status.
NEXT_STEP: Final[Mapping[Step, Step]] = MappingProxyType({T.VOID_PAYMENT: T.RELEASE_STOCK})

# Who asks for what the system does not do by itself. The services are in `workflow.services`.
WHO_ASKS: Final[Mapping[Action, str]] = MappingProxyType(
    {
        A.RECEIVE: "storefront or marketplace",
        A.AUTHORIZE_ORDER: "staff",
        A.APPROVE_PAYMENT: "payment notification",
        A.DENY_PAYMENT: "payment notification",
        A.RETRY_PAYMENT: "payment notification",
        A.AUTHORIZE_FULFILLMENT: "marketplace",
        A.AUTHORIZE_BY_MARKETPLACE: "marketplace",
        A.RELEASE_FROM_WAREHOUSE: "warehouse system",
        A.START_HANDLING: "ERP or seller",
        A.FINISH_PICKING: "warehouse system",
        A.RECORD_INVOICE: "ERP or seller",
        A.REQUEST_CANCELLATION: "customer, marketplace or staff",
        A.ACCEPT_CANCELLATION: "seller",
        A.DENY_CANCELLATION: "seller",
        A.CANCEL: "customer, marketplace or staff",
        A.LOSE_SELLER: "seller",
        A.CHANGE_SELLER: "marketplace",
    }
)

# Rows of the anchor's tables for which there is no service yet. Until then staff force the status.
NOBODY_YET: Final = frozenset({A.FAIL_CREATION, A.RETRY_CREATION, A.REPLACE})

BY_ITSELF: Final = "⚙"

HEAD: Final = """\
# Life cycle of an order

Written by `manage.py print_lifecycle` from the tables in `workflow/flows.py`, `workflow/steps.py`
and `workflow/budgets.py`. Do not edit: change the tables. `make check` compares.

A move that has no row is refused. In the diagrams ⚙ marks what the system does by itself.
A budget is how long an order may stay in a status before it counts as stuck: normal delivery, then
express and pickup. Orders that nobody moves can be forced by staff, with reason and audit.
"""


def render_lifecycle() -> str:
    """This function will write the whole page, as Markdown with one state diagram per flow."""
    return "\n".join([HEAD, *(line for flow in Flow for line in _render_flow(flow))])


def steps_of(flow: Flow, status: Status) -> dict[Step, Opening]:
    """This function will return the steps that can be open in a status, with their timers."""
    steps = {opening.step: opening for opening in openings_of(flow, status)}
    for opening in tuple(steps.values()):
        if following := NEXT_STEP.get(opening.step):
            steps[following] = Opening(following)
    return steps


def steps_for(flow: Flow, status: Status, action: Action) -> tuple[Step, ...]:
    """This function will return the steps that can make a move, in the order of their timers."""
    return tuple(step for step in steps_of(flow, status) if action in ACTIONS_OF_STEP[step])


def asked_by(flow: Flow, action: Action) -> str:
    """This function will say who asks for a move; an empty text: the system alone makes it."""
    if flow is Flow.COMPLETE and action is A.AUTHORIZE_FULFILLMENT:
        return ""  # by the approved payment: no service lets anybody else authorize it
    return WHO_ASKS.get(action, "")


def _render_flow(flow: Flow) -> Iterator[str]:
    yield f"## {flow.value.capitalize()}\n"
    yield "```mermaid\nstateDiagram-v2"
    yield from _render_diagram(flow)
    yield "```\n\n### Moves\n"
    yield "| from | action | to | by itself | asked for by | event |"
    yield "|---|---|---|---|---|---|"
    for (status, action), reached in TABLES[flow].items():
        steps = ", ".join(f"`{step}`" for step in steps_for(flow, status, action))
        asked = asked_by(flow, action) or ("nobody yet" if action in NOBODY_YET else "")
        yield _row(
            f"`{status}`", f"`{action}`", f"`{reached}`", steps, asked, f"`{EVENT_KINDS[action]}`"
        )
    yield "\n### Statuses\n"
    yield "| status | shown as | steps and timers | budget |"
    yield "|---|---|---|---|"
    for status in statuses_of(flow):
        yield _row(f"`{status}`", status.label, _steps(flow, status), _budget(status))
    yield ""


def statuses_of(flow: Flow) -> tuple[Status, ...]:
    """This function will return the statuses of a flow in the order in which its table names them."""
    named = [
        status for (origin, _), reached in TABLES[flow].items() for status in (origin, reached)
    ]
    return tuple(dict.fromkeys(status for status in named if status is not Status.NULL))


def _render_diagram(flow: Flow) -> Iterator[str]:
    for status in statuses_of(flow):
        yield f'    state "{status}" as {_name(status)}'
    yield f"    [*] --> {_name(INITIAL_STATUS[flow])}"
    for (status, action), reached in TABLES[flow].items():
        if status is not Status.NULL:
            sign = f" {BY_ITSELF}" if steps_for(flow, status, action) else ""
            yield f"    {_name(status)} --> {_name(reached)}: {action}{sign}"
    for status in statuses_of(flow):
        if status.is_final:
            yield f"    {_name(status)} --> [*]"


def _name(status: Status) -> str:
    return status.replace("-", "_")


def _steps(flow: Flow, status: Status) -> str:
    return "<br>".join(_step(opening) for opening in steps_of(flow, status).values())


def _step(opening: Opening) -> str:
    connector = CONNECTOR_OF_STEP.get(opening.step)
    calls = f" (calls {connector})" if connector else ""
    if isinstance(opening.after, Window):
        return f"`{opening.step}`{calls} after the {opening.after}"
    after = f" after {_duration(opening.after)}" if opening.after else ""
    return f"`{opening.step}`{calls}{after}"


def _budget(status: Status) -> str:
    if status not in BUDGETS:
        return "final" if status.is_final else "none"
    return ", ".join(_duration(budget) for budget in BUDGETS[status])


def _duration(duration: timedelta) -> str:
    minutes = duration / timedelta(minutes=1)
    if minutes % (24 * 60) == 0:
        return f"{minutes / (24 * 60):g} d"
    return f"{minutes / 60:g} h" if minutes % 60 == 0 else f"{minutes:g} min"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
