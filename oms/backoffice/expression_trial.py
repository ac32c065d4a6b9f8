"""
Try an expression of a filter against an order: would it have been told, of which event, and why not.

Whoever does not see an order's personal data tries on the masked document: an expression that asks
letter by letter must be no way around the mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from feeds.evaluator.outcomes import LONGEST_EXPRESSION
from feeds.expressions import (
    EvaluatorUnavailable,
    Expression,
    ExpressionRefused,
    compile_expression,
    warnings_for,
)
from feeds.models import FilterType, Subscription
from oms.backoffice.masking import mask_document
from oms.backoffice.personal_data import sees_order
from oms.backoffice.roles import May, require
from oms.backoffice.site import backoffice_site
from oms.backoffice.timeline import sentence_of
from oms.orders.documents.building import documents_at_events
from oms.orders.models import DocumentSnapshot, Order, OrderEvent

# Each costs a document, and a moment of the evaluator.
EVENTS_TRIED: Final = 12


class TrialForm(forms.Form):
    expression = forms.CharField(
        max_length=LONGEST_EXPRESSION,
        error_messages={"required": "Write an expression."},
    )
    order_id = forms.CharField(
        max_length=80, error_messages={"required": "Name the order to try it on."}
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an expression cannot be read, and where: what is before the mistake, in it and after."""

    message: str
    before: str = ""
    at: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class TriedEvent:
    """What the expression says of the order as one event left it."""

    seq: int
    happened: str
    status: str
    is_match: bool
    error: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """Newest event first. `refusal`: nothing could be tried at all."""

    order: Order
    events: Sequence[TriedEvent] = ()
    warnings: Sequence[str] = ()
    refusal: Refusal | None = None
    is_masked: bool = False

    @property
    def newest(self) -> TriedEvent | None:
        return self.events[0] if self.events else None

    @property
    def has_unkept(self) -> bool:
        return any(not event.is_kept for event in self.events)


@require_http_methods(["GET", "POST"])
def try_expression(request: HttpRequest) -> HttpResponse:
    """This view will try an expression on an order and change nothing."""
    require(request, May.VIEW_INTEGRATIONS)
    require(request, May.VIEW_RAW_DOCUMENT)
    form = TrialForm(_posted(request), initial=_beginning(request.GET))
    trial = None
    if request.method == "POST" and form.is_valid():
        order = Order.objects.filter(order_id=form.cleaned_data["order_id"].strip()).first()
        if order is None:
            form.add_error("order_id", "There is no such order.")
        else:
            masked = not sees_order(request, order.pk)
            trial = try_on(order, form.cleaned_data["expression"], is_masked=masked)
    context = {
        **backoffice_site().page_context(request, "Try an expression"),
        "form": form,
        "trial": trial,
        "limit": EVENTS_TRIED,
    }
    return TemplateResponse(request, "backoffice/try_expression.html", context)


def try_on(order: Order, text: str, *, is_masked: bool) -> Trial:
    """This function will try an expression on an order as its newest events left it."""
    try:
        expression = compile_expression(text)
        return _tried(order, expression, is_masked=is_masked)
    except ExpressionRefused as refused:
        return Trial(order, refusal=_refusal(text, refused))
    except EvaluatorUnavailable:
        return Trial(
            order, refusal=Refusal("Expressions cannot be evaluated just now; try again.")
        )


def _tried(order: Order, expression: Expression, *, is_masked: bool) -> Trial:
    events = list(OrderEvent.objects.filter(order=order).order_by("-seq")[:EVENTS_TRIED])
    pks = [event.pk for event in events]
    kept = set(DocumentSnapshot.objects.filter(pk__in=pks).values_list("pk", flat=True))
    found = documents_at_events(pks)
    documents = [mask_document(found[pk]) if is_masked else found[pk] for pk in pks]
    verdicts = expression.verdicts(documents)
    return Trial(
        order,
        [
            TriedEvent(
                seq=event.seq,
                happened=sentence_of(event.kind, event.data),
                status=event.status,
                is_match=verdict.is_match,
                error=verdict.error,
                is_kept=event.pk in kept,
            )
            for event, verdict in zip(events, verdicts, strict=True)
        ],
        warnings_for(expression, documents[:1]),
        is_masked=is_masked,
    )


def _refusal(text: str, refused: ExpressionRefused) -> Refusal:
    place = refused.position
    if place is None:
        return Refusal(refused.message)
    # The engine names the place behind what it stumbled over.
    place = min(max(place, 1), len(text))
    return Refusal(refused.message, text[: place - 1], text[place - 1 : place], text[place:])


def _beginning(query: QueryDict) -> dict[str, Any]:
    """Begins with the expression of a subscription, and with an order if one is named."""
    begun = {"order_id": query.get("order", "")[:80]}
    pk = query.get("subscription", "")
    if pk.isascii() and pk.isdigit() and len(pk) < 19:
        filters = Subscription.objects.filter(pk=pk, filter_type=FilterType.FROM_ORDERS)
        begun["expression"] = filters.values_list("expression", flat=True).first() or ""
    return begun


def _posted(request: HttpRequest) -> QueryDict | None:
    # An empty form that was sent is still a form that was sent.
    return request.POST if request.method == "POST" else None


backoffice_site().add_page("integrations/expression/", "integration_expression", try_expression)
