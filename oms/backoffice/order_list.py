"""The order list: thin. What was asked, one page of rows, what each row says, what to do with it."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from oms.backoffice.bulk import BULK_ACTIONS
from oms.backoffice.keyset import COUNT_LIMIT, count_words, encode, read_cursor
from oms.backoffice.masking import mask_email, mask_name
from oms.backoffice.order_filters import (
    DELIVERY_LABELS,
    PRESET_LABELS,
    STATE_LABELS,
    OrderFilters,
    Preset,
    State,
    chips,
    read_filters,
    status_choices,
)
from oms.backoffice.order_rows import (
    PICK_LIMIT,
    SCAN_LIMIT,
    Found,
    count_orders,
    find_page,
    picks,
    sales_channels,
)
from oms.backoffice.personal_data import personal_lookups, record_lookup, sees_everything
from oms.backoffice.roles import May, may, require
from oms.backoffice.site import backoffice_site
from oms.backoffice.waiting import InBrief, WorkFacts, in_brief
from oms.backoffice.work_facts import open_work_of
from oms.orders.models import Affiliate, Order
from oms.orders.selectors import MOST_FOUND, classify, find_orders
from oms.orders.statuses import DeliveryChannel

PAGE_SIZE: Final = 50
_LOOKUPS: Final = "lookups"
_LOOKUPS_KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One line of the list, ready to be shown."""

    pk: int
    order_id: str
    status: str
    placed_at: datetime
    customer: str
    item_count: int
    value_cents: int
    currency: str
    sales_channel: str
    affiliate: str
    seller: str
    is_pickup: bool
    is_express: bool
    waits: InBrief
    overdue_since: datetime | None


@require_http_methods(["GET", "POST"])
def order_list(request: HttpRequest) -> HttpResponse:
    """This view will answer the list, or look an order up (POST: the text may be personal)."""
    require(request, May.VIEW_ORDERS)
    if request.method == "POST" or request.GET.get("q"):
        return _look_up(request, request.POST.get("q") or request.GET.get("q", ""))
    if key := request.GET.get("found"):
        return _answer_found(request, key)
    return _answer_list(request)


def _answer_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    filters, cursor = read_filters(request.GET), read_cursor(request.GET)
    found = find_page(filters, cursor=cursor, size=PAGE_SIZE, now=now)
    if cursor and cursor.is_backward and not found.has_more and len(found.pks) < PAGE_SIZE:
        return HttpResponseRedirect(filters.link())
    affiliates = dict(Affiliate.objects.values_list("affiliate_id", "name"))
    rows = read_rows(found.pks, affiliates, is_masked=not sees_everything(request), now=now)
    count = 0 if filters.is_empty else count_orders(filters, now=now)
    newer = bool(cursor) and (not cursor.is_backward or found.has_more)  # type: ignore[union-attr]
    older = bool(cursor and cursor.is_backward) or found.has_more
    return _page(
        request,
        rows,
        filters=filters,
        affiliates=affiliates,
        chips=chips(filters, affiliates),
        count="" if filters.is_empty else count_words(count),
        newer=_link(filters, "newer", rows[:1]) if newer and rows else "",
        older=_link(filters, "older", rows[-1:]) if older and rows else "",
        stopped=_stopped(filters, found),
        picked=f"{PICK_LIMIT:,}" if count > COUNT_LIMIT and picks(filters) else "",
    )


def _answer_found(request: HttpRequest, key: str) -> HttpResponse:
    lookup = request.session.get(_LOOKUPS, {}).get(key)
    if lookup is None:
        return HttpResponseRedirect(reverse("admin:orders_order_changelist"))
    affiliates = dict(Affiliate.objects.values_list("affiliate_id", "name"))
    rows = read_rows(
        lookup["pks"], affiliates, is_masked=not sees_everything(request), now=timezone.now()
    )
    return _page(
        request,
        rows,
        filters=OrderFilters(),
        affiliates=affiliates,
        looked_up=lookup["words"],
        count=str(len(rows)) if len(rows) < MOST_FOUND else f"the newest {MOST_FOUND}",
    )


def _look_up(request: HttpRequest, text: str) -> HttpResponse:
    """Answers with a redirect, so that what was typed is in no address and no history."""
    lookups = classify(text)
    orders = find_orders(text) if lookups else []
    if personal := personal_lookups(lookups, [order.pk for order in orders]):
        record_lookup(request, personal, orders)
    if len(orders) == 1:
        return HttpResponseRedirect(reverse("admin:orders_order_change", args=[orders[0].pk]))
    if not orders:
        readings = ", ".join(dict.fromkeys(lookup.kind.value for lookup in lookups))
        tried = f" Looked for it as {readings}, each in full." if readings else ""
        messages.warning(request, f"No order has exactly that.{tried}")
        return HttpResponseRedirect(reverse("admin:orders_order_changelist"))
    words = personal[0].kind.value if personal else f"“{text.strip()[:80]}”"
    key = _remember(request, f"Looked up by {words}", [order.pk for order in orders])
    return HttpResponseRedirect(f"{reverse('admin:orders_order_changelist')}?found={key}")


def _remember(request: HttpRequest, words: str, pks: list[int]) -> str:
    key = secrets.token_urlsafe(6)
    kept = list(request.session.get(_LOOKUPS, {}).items())[-(_LOOKUPS_KEPT - 1) :]
    request.session[_LOOKUPS] = {**dict(kept), key: {"words": words, "pks": pks}}
    return key


def read_rows(
    pks: Sequence[int], affiliates: Mapping[str, str], *, is_masked: bool, now: datetime
) -> list[OrderRow]:
    """This function will read the lines of these orders, in the order given: two queries."""
    facts = {row["pk"]: row for row in Order.objects.filter(pk__in=pks).values(*_COLUMNS)}
    work = open_work_of(pks)
    return [
        _row(facts[pk], work.get(pk, []), affiliates, is_masked=is_masked, now=now)
        for pk in pks
        if pk in facts
    ]


_COLUMNS: Final = (
    "pk", "order_id", "status", "flow", "created_at", "item_count", "value_cents", "currency",
    "sales_channel", "affiliate_id", "seller_id", "seller_name", "delivery_channel", "is_express",
    "budget_ends_at", "client_profile__first_name", "client_profile__last_name",
    "client_profile__corporate_name", "client_profile__email",
)  # fmt: skip


def _row(
    facts: Mapping[str, Any],
    work: Iterable[WorkFacts],
    affiliates: Mapping[str, str],
    *,
    is_masked: bool,
    now: datetime,
) -> OrderRow:
    ends = facts["budget_ends_at"]
    return OrderRow(
        pk=facts["pk"],
        order_id=facts["order_id"],
        status=facts["status"],
        placed_at=facts["created_at"],
        customer=_customer(facts, is_masked=is_masked),
        item_count=facts["item_count"],
        value_cents=facts["value_cents"],
        currency=facts["currency"],
        sales_channel=facts["sales_channel"],
        affiliate=affiliates.get(facts["affiliate_id"], facts["affiliate_id"]),
        seller=facts["seller_name"] or facts["seller_id"],
        is_pickup=facts["delivery_channel"] == DeliveryChannel.PICKUP,
        is_express=facts["is_express"],
        waits=in_brief(facts["flow"], facts["status"], work, now),
        overdue_since=ends if ends and ends < now else None,
    )


def _customer(facts: Mapping[str, Any], *, is_masked: bool) -> str:
    first, last = facts["client_profile__first_name"], facts["client_profile__last_name"]
    name = facts["client_profile__corporate_name"] or f"{first or ''} {last or ''}".strip()
    if name:
        return mask_name(name) if is_masked else name
    email = facts["client_profile__email"] or ""
    return mask_email(email) if is_masked else email


def _link(filters: OrderFilters, name: str, rows: Sequence[OrderRow]) -> str:
    query = filters.to_query()
    query[name] = encode(rows[0].placed_at, rows[0].pk)
    return f"?{query.urlencode()}"


def _stopped(filters: OrderFilters, found: Found) -> dict[str, Any] | None:
    if found.stopped_at is None:
        return None
    query = filters.to_query()
    query["older"] = encode(*found.stopped_at)
    return {"at": found.stopped_at[0], "link": f"?{query.urlencode()}", "limit": SCAN_LIMIT}


def _page(
    request: HttpRequest,
    rows: Sequence[OrderRow],
    *,
    filters: OrderFilters,
    affiliates: Mapping[str, str],
    **facts: Any,
) -> HttpResponse:
    site = backoffice_site()
    context = {
        **site.page_context(request, "Orders"),
        "rows": rows,
        "filters": filters,
        "affiliates": affiliates,
        "channels": sales_channels(),
        "statuses": status_choices(filters),
        "states": _tabs(request, filters),
        "presets": [(preset, PRESET_LABELS[preset]) for preset in Preset],
        "deliveries": DELIVERY_LABELS.items(),
        "is_masked": not sees_everything(request),
        "bulk_actions": BULK_ACTIONS.values() if may(request, May.ACT_ON_ORDER) else [],
        **facts,
    }
    return TemplateResponse(request, "backoffice/order_list.html", context)


def _tabs(request: HttpRequest, filters: OrderFilters) -> list[dict[str, Any]]:
    tabs = []
    for state in State:
        query = filters.to_query()
        query.pop("state", None)
        if state:
            query["state"] = state.value
        tabs.append(
            {
                "words": STATE_LABELS[state],
                "link": f"?{query.urlencode()}",
                "is_active": filters.state is state and "found" not in request.GET,
            }
        )
    return tabs
