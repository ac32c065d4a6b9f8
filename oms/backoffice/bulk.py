"""
Acts on many orders at once: a preview that says for how many it will work and why not for the
rest, then each order in a transaction of its own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from oms.backoffice.order_actions import ACTIONS, Act, OrderAction, OrderFacts, perform
from oms.backoffice.refusals import REFUSALS, in_words
from oms.backoffice.roles import actor_of, require
from oms.backoffice.site import backoffice_site
from oms.orders.models import Order
from oms.orders.statuses import Flow, Status, label_of

MOST_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class BulkAction:
    """One or two acts of the order page: the first that is legal for an order is done to it."""

    name: str
    label: str
    actions: tuple[OrderAction, ...]

    @property
    def first(self) -> OrderAction:
        return self.actions[0]

    def fitting(self, facts: OrderFacts) -> OrderAction | None:
        return next((action for action in self.actions if action.is_legal(facts)), None)


BULK_ACTIONS: Final[Mapping[str, BulkAction]] = {
    "start-handling": BulkAction("start-handling", "Start handling", (ACTIONS["start-handling"],)),
    "cancel": BulkAction("cancel", "Cancel", (ACTIONS["cancel"], ACTIONS["request-cancellation"])),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    order_id: str
    status: str
    action: OrderAction | None


@dataclass(frozen=True, slots=True)
class Preview:
    """For how many it will work, by what will happen, and for how many not, by why."""

    candidates: Sequence[Candidate]

    @property
    def possible(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.action]

    @property
    def impossible(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if not candidate.action]

    @property
    def effects(self) -> list[tuple[str, int]]:
        return Counter(c.action.effect for c in self.candidates if c.action).most_common()

    @property
    def obstacles(self) -> list[tuple[str, int]]:
        return Counter(label_of(c.status) for c in self.impossible).most_common()


@require_POST
def bulk_act(request: HttpRequest) -> HttpResponse:
    """This view will show the preview, and with `confirmed` do it."""
    bulk = BULK_ACTIONS.get(request.POST.get("bulk", ""))
    back = HttpResponseRedirect(_back_link(request))
    if bulk is None:
        return back
    require(request, bulk.first.permission)
    pks = [int(pk) for pk in request.POST.getlist("order") if pk.isascii() and pk.isdigit()]
    if not pks or len(pks) > MOST_AT_ONCE:
        messages.warning(request, f"Select 1 to {MOST_AT_ONCE} orders.")
        return back
    preview = preview_of(bulk, pks)
    reason = request.POST.get("reason", "").strip()
    if "confirmed" in request.POST and (reason or not bulk.first.needs_reason):
        _tell(request, bulk, *run_bulk(preview, reason=reason, actor=actor_of(request)))
        return back
    context = {
        **backoffice_site().page_context(request, f"{bulk.label}: {len(pks)} orders"),
        "bulk": bulk,
        "preview": preview,
        "pks": pks,
        "reason": reason,
        "reason_missing": "confirmed" in request.POST,
        "back": _back_link(request),
        "query": request.POST.get("query", ""),
    }
    return TemplateResponse(request, "backoffice/bulk_preview.html", context)


def preview_of(bulk: BulkAction, pks: Sequence[int]) -> Preview:
    """This function will say what a bulk action would do to each order now."""
    rows = Order.objects.filter(pk__in=pks).order_by("pk")
    return Preview(
        [
            Candidate(order_id, status, bulk.fitting(OrderFacts(Flow(flow), Status(status))))
            for order_id, flow, status in rows.values_list("order_id", "flow", "status")
        ]
    )


def run_bulk(preview: Preview, *, reason: str, actor: str) -> tuple[int, Counter[str]]:
    """This function will act on each order on its own; returns how many, and the refusals."""
    done, refused = 0, Counter[str]()
    for candidate in preview.possible:
        assert candidate.action is not None
        try:
            perform(candidate.action, Act(order_id=candidate.order_id, actor=actor, reason=reason))
            done += 1
        except REFUSALS as refusal:
            refused[in_words(refusal)] += 1
    return done, refused


def _tell(request: HttpRequest, bulk: BulkAction, done: int, refused: Counter[str]) -> None:
    if done:
        messages.success(request, f"{bulk.label}: {done} order{'s' if done != 1 else ''} done.")
    for why, count in refused.most_common(5):
        messages.warning(request, f"{count} refused: {why}")
    if not done and not refused:
        messages.warning(
            request, f"{bulk.label}: none of the orders can take it. Nothing was done."
        )


def _back_link(request: HttpRequest) -> str:
    query = request.POST.get("query", "")
    return reverse("admin:orders_order_changelist") + (query if query.startswith("?") else "")
