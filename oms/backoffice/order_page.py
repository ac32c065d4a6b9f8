"""The order page and what can be done there. Every change goes through a service of the workflow."""

from typing import Any
from urllib.parse import urlencode

import orjson
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from oms.backoffice.masking import mask_document
from oms.backoffice.order_actions import (
    ACTIONS,
    Act,
    OrderAction,
    OrderFacts,
    forcible_statuses,
    offers,
    perform,
)
from oms.backoffice.order_integrations import read_order_integrations
from oms.backoffice.order_view import get_order, read_order, window_to_cancel_words
from oms.backoffice.personal_data import reveal, sees_everything, sees_order
from oms.backoffice.refusals import REFUSALS, in_words
from oms.backoffice.roles import May, actor_of, may, require
from oms.backoffice.site import backoffice_site
from oms.orders.documents.building import order_document
from oms.orders.models import Order
from oms.orders.statuses import Flow, Status
from workflow.selectors import orders_in_error
from workflow.services.notes import MAX_LENGTH, add_note

MAX_REASON = 1_000


class ReasonForm(forms.Form):
    """Why somebody does something. Kept in the audit log and, where it fits, on the timeline."""

    reason = forms.CharField(max_length=MAX_REASON, widget=forms.Textarea)

    def __init__(self, *args: Any, is_needed: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = is_needed
        self.fields["reason"].error_messages["required"] = "Say why; it is kept in the audit log."


class NoteForm(forms.Form):
    text = forms.CharField(max_length=MAX_LENGTH)


@require_safe
def order_page(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will show everything that is known of one order."""
    require(request, May.VIEW_ORDERS)
    order, now = get_order(pk), timezone.now()
    before = request.GET.get("before", "")
    view = read_order(
        order,
        is_masked=not sees_order(request, order.pk),
        now=now,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 10 else None,
    )
    permissions = frozenset(permission for permission in May if may(request, permission))
    context = {
        **backoffice_site().page_context(request, f"Order {order.order_id}"),
        "now": now,
        "view": view,
        "order": order,
        "offers": offers(_facts(order, view.payments), permissions),
        "overdue_since": view.overdue_since(now),
        "window_to_cancel": window_to_cancel_words(order),
        "may_reveal": view.is_masked and May.REVEAL_PERSONAL_DATA in permissions,
        "sees_everything": sees_everything(request),
        "may_note": May.ADD_ORDER_NOTE in permissions,
        "may_see_document": May.VIEW_RAW_DOCUMENT in permissions,
        "may_repair": May.REPAIR_WORK in permissions,
        "may_see_integrations": May.VIEW_INTEGRATIONS in permissions,
        "integrations": read_order_integrations(order, now)
        if May.VIEW_INTEGRATIONS in permissions
        else None,
        "is_older": bool(before),
        "content_title": f"Order {order.order_id}",
    }
    return TemplateResponse(request, "backoffice/order_page.html", context)


@require_http_methods(["GET", "POST"])
def act_on_order(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """This view will ask for the reason of an action, and with it do it."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404("There is no such action.")
    require(request, May.VIEW_ORDERS)
    require(request, action.permission)
    order = get_order(pk)
    form = ReasonForm(_posted(request), is_needed=action.needs_reason)
    statuses = forcible_statuses(_facts(order)) if action.asks_status else []
    payment_id = request.POST.get("payment") or request.GET.get("payment", "")
    status = request.POST.get("status", "")
    status_missing = action.asks_status and status not in dict(statuses)
    if request.method == "POST" and form.is_valid() and not status_missing:
        act = Act(
            order_id=order.order_id,
            actor=actor_of(request),
            reason=form.cleaned_data["reason"].strip(),
            payment_id=payment_id if action.is_per_payment else "",
            status=status if action.asks_status else "",
        )
        _try(request, action, act)
        return HttpResponseRedirect(_page_of(order))
    context = {
        **backoffice_site().page_context(request, f"{action.label}: {order.order_id}"),
        "order": order,
        "action": action,
        "form": form,
        "statuses": statuses,
        "status": status,
        "status_missing": status_missing and request.method == "POST",
        "payment": order.payments.filter(payment_id=payment_id).first() if payment_id else None,
        "is_legal": action.is_legal(_facts(order)),
    }
    return TemplateResponse(request, "backoffice/act_on_order.html", context)


def _try(request: HttpRequest, action: OrderAction, act: Act) -> None:
    try:
        perform(action, act)
    except REFUSALS as refusal:
        messages.error(request, f"{action.label}: {in_words(refusal)}")
    else:
        messages.success(request, action.done)


@require_POST
def note_on_order(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will add a note."""
    require(request, May.VIEW_ORDERS)
    require(request, May.ADD_ORDER_NOTE)
    order, form = get_order(pk), NoteForm(request.POST)
    if form.is_valid():
        try:
            add_note(
                order_id=order.order_id, text=form.cleaned_data["text"], actor=actor_of(request)
            )
        except REFUSALS as refusal:
            messages.error(request, in_words(refusal))
    else:
        messages.error(request, f"A note has 1 to {MAX_LENGTH} characters.")
    return HttpResponseRedirect(f"{_page_of(order)}#notes")


@require_http_methods(["GET", "POST"])
def reveal_order(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will ask why, then show the personal data of one order for a while."""
    require(request, May.VIEW_ORDERS)
    require(request, May.REVEAL_PERSONAL_DATA)
    order, form = get_order(pk), ReasonForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        reveal(request, order, form.cleaned_data["reason"].strip())
        return HttpResponseRedirect(f"{_page_of(order)}#buyer")
    context = {
        **backoffice_site().page_context(request, f"Reveal personal data: {order.order_id}"),
        "order": order,
        "form": form,
    }
    return TemplateResponse(request, "backoffice/reveal.html", context)


@require_safe
def raw_document(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will show the order as the API answers it, personal values masked."""
    require(request, May.VIEW_ORDERS)
    require(request, May.VIEW_RAW_DOCUMENT)
    order = get_order(pk)
    document = order_document(order, is_in_error=order.pk in orders_in_error([order.pk]))
    is_masked = not sees_order(request, order.pk)
    shown = mask_document(document) if is_masked else document
    context = {
        **backoffice_site().page_context(request, f"Document of {order.order_id}"),
        "order": order,
        "document": orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode(),
        "is_masked": is_masked,
    }
    return TemplateResponse(request, "backoffice/raw_document.html", context)


def _facts(order: Order, payments: Any = ()) -> OrderFacts:
    return OrderFacts(Flow(order.flow), Status(order.status), payments)


def _page_of(order: Order, **query: str) -> str:
    link = reverse("admin:orders_order_change", args=[order.pk])
    return f"{link}?{urlencode(query)}" if query else link


def _posted(request: HttpRequest) -> QueryDict | None:
    # An empty form that was sent is still a form that was sent.
    return request.POST if request.method == "POST" else None
