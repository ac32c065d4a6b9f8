"""The stuck inbox: what stands still and why, and the way to set it going again, many at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from oms.backoffice.refusals import REFUSALS, in_words
from oms.backoffice.roles import May, actor_of, may, require
from oms.backoffice.site import backoffice_site
from oms.backoffice.stuck_groups import (
    COUNT_LIMIT,
    MOST_REPAIRED_AT_ONCE,
    Kind,
    items_of,
    late_groups,
    overdue_groups,
    parked_groups,
    stuck_count,
)
from oms.backoffice.waiting import step_words
from workflow.models import WorkItem
from workflow.services.repair import Repaired, retry_work, skip_work
from workflow.steps import ACTION_WHEN_SKIPPED, UNBOUND_STEPS

REPAIRS: Final = {"retry": retry_work, "skip": skip_work}
LABELS: Final = {"retry": "Retry", "skip": "Skip the step"}
EFFECTS: Final = {
    "retry": "Starts fresh: attempts are counted from zero, and a worker takes it at once.",
    "skip": "The order goes on as if the outside service had agreed, or as if there were nothing "
    "to do. Nothing is called.",
}


@dataclass(frozen=True, slots=True)
class RepairPreview:
    """For which items a repair will work, and for how many not, by why."""

    possible: Sequence[WorkItem]
    obstacles: Sequence[tuple[str, int]]


@require_safe
def stuck_inbox(request: HttpRequest) -> HttpResponse:
    """This view will show what is stuck, by cause."""
    require(request, May.VIEW_STUCK_INBOX)
    parked, late, overdue = parked_groups(), late_groups(), overdue_groups()
    context = {
        **backoffice_site().page_context(request, "Stuck"),
        "parked": parked,
        "late": late,
        "overdue": overdue,
        "is_clear": not (parked or late or overdue),
        "limit": COUNT_LIMIT,
    }
    return TemplateResponse(request, "backoffice/stuck_inbox.html", context)


@require_safe
def stuck_items(request: HttpRequest) -> HttpResponse:
    """This view will list the items of one group, ready to be repaired together."""
    require(request, May.VIEW_STUCK_INBOX)
    kind = request.GET.get("kind", "")
    if kind not in set(Kind):
        return HttpResponseRedirect(reverse("admin:stuck_inbox"))
    cause, step = request.GET.get("cause", ""), request.GET.get("step", "")
    items = items_of(Kind(kind), cause=cause, step=step)
    context = {
        **backoffice_site().page_context(request, "Stuck work"),
        "kind": kind,
        "cause": cause,
        "step": step,
        "step_words": step_words(step),
        "items": items,
        "limit": MOST_REPAIRED_AT_ONCE,
        "may_repair": may(request, May.REPAIR_WORK),
        "can_skip": can_skip(step),
        "back": urlencode({"kind": kind, "cause": cause, "step": step}),
    }
    return TemplateResponse(request, "backoffice/stuck_items.html", context)


@require_POST
def repair_items(request: HttpRequest) -> HttpResponse:
    """This view will show what a repair would do, and with `confirmed` and a reason do it."""
    require(request, May.REPAIR_WORK)
    repair = request.POST.get("repair", "")
    pks = [int(pk) for pk in request.POST.getlist("item") if pk.isascii() and pk.isdigit()]
    back = HttpResponseRedirect(_back_link(request))
    if repair not in REPAIRS or not pks or len(pks) > MOST_REPAIRED_AT_ONCE:
        messages.warning(request, f"Select 1 to {MOST_REPAIRED_AT_ONCE} work items.")
        return back
    reason = request.POST.get("reason", "").strip()
    if "confirmed" in request.POST and reason:
        try:
            repaired = REPAIRS[repair](item_pks=pks, reason=reason, actor=actor_of(request))
        except REFUSALS as refusal:
            messages.error(request, in_words(refusal))
        else:
            _tell(request, LABELS[repair], repaired)
        return back
    context = {
        **backoffice_site().page_context(request, f"{LABELS[repair]}: {len(pks)} selected"),
        "repair": repair,
        "label": LABELS[repair],
        "effect": EFFECTS[repair],
        "preview": preview_of(repair, pks),
        "pks": pks,
        "reason_missing": "confirmed" in request.POST,
        "back": _back_link(request),
        "back_order": request.POST.get("back_order", ""),
        "back_query": request.POST.get("back_query", ""),
    }
    return TemplateResponse(request, "backoffice/repair_preview.html", context)


def preview_of(repair: str, pks: Sequence[int]) -> RepairPreview:
    """This function will say which of the items a repair can reach now, and why not the others."""
    items = list(WorkItem.objects.filter(pk__in=pks).select_related("order").defer("order__extra"))
    now = timezone.now()
    possible: list[WorkItem] = []
    obstacles: Counter[str] = Counter()
    if gone := len(pks) - len(items):
        obstacles["The work is done already."] = gone
    for item in items:
        if repair == "retry" and item.leased_until and item.leased_until > now:
            obstacles["A worker is at it right now."] += 1
        elif repair == "skip" and not can_skip(item.step):
            obstacles[f"To {step_words(item.step)} cannot be skipped."] += 1
        else:
            possible.append(item)
    return RepairPreview(possible, obstacles.most_common())


def stuck_badge(request: HttpRequest) -> str:
    """This function will tell how much is stuck for the sidebar: empty, a number, or `99+`."""
    count = stuck_count(99)
    return "" if not count else str(count) if count <= 99 else "99+"


def can_skip(step: str) -> bool:
    """This function will tell whether the workflow lets staff skip a step."""
    return step in ACTION_WHEN_SKIPPED or step in UNBOUND_STEPS


def _tell(request: HttpRequest, label: str, repaired: Repaired) -> None:
    if repaired.done:
        messages.success(request, f"{label}: {repaired.done} done. It is on the timeline of each.")
    for why, count in Counter(repaired.refused.values()).most_common(5):
        messages.warning(request, f"{count} refused: {why}")


def _back_link(request: HttpRequest) -> str:
    order: Any = request.POST.get("back_order", "")
    if order.isascii() and order.isdigit():
        return reverse("admin:orders_order_change", args=[int(order)])
    if query := request.POST.get("back_query", ""):
        return f"{reverse('admin:stuck_items')}?{query}"
    return reverse("admin:stuck_inbox")
