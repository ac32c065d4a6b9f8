"""The parameters of the order lists, as django-filter sets: which parameter is which criterion."""

from collections.abc import Callable, Mapping
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from rest_framework.exceptions import APIException

from oms.api.listing.fields import (
    BooleanField,
    DaysField,
    ParameterField,
    PeriodsField,
    RequiredTextField,
    StatusesField,
    TextField,
    TextsField,
)
from oms.orders import criteria
from oms.orders.lookup_keys import email_key
from oms.orders.models import InvoiceType, Order
from oms.orders.statuses import Status


class BadParameters(APIException):
    """Parameters that cannot be understood. `details` names each, and what is allowed."""

    status_code = 400
    default_code = "invalid"

    def __init__(self, details: list[dict[str, object]]) -> None:
        super().__init__("Some parameters are not valid.")
        self.details = details


class By(django_filters.Filter):  # type: ignore[misc]
    """A parameter that, where it is given, is asked of the orders by a criterion."""

    def __init__(
        self, field_class: type[ParameterField], criterion: Callable[[Any], Q], **given: Any
    ) -> None:
        self.field_class = field_class
        self.criterion = criterion
        super().__init__(**given)

    def filter(self, qs: QuerySet[Order], value: Any) -> QuerySet[Order]:
        return qs if value is None else qs.filter(self.criterion(value))


class Parameters(django_filters.FilterSet):  # type: ignore[misc]
    """A set that knows its parameters whatever their case and underscores, and ignores others."""

    def __init__(self, data: QueryDict, queryset: QuerySet[Order]) -> None:
        super().__init__(spelled_as(self.base_filters, data), queryset)

    def asked(self) -> QuerySet[Order]:
        """This function will return the orders asked for; raises BadParameters."""
        cleaned(self.form)
        asked: QuerySet[Order] = self.filter_queryset(self.queryset)
        return asked


def _promised(days: int) -> Q:
    return criteria.promised_in(days, timezone.now())


class OrderFilters(Parameters):
    """The filters of GET /api/oms/pvt/orders: all that are given apply together."""

    q = By(TextField, criteria.matching)
    searchField = By(TextField, criteria.identified_by)
    f_status = By(StatusesField, criteria.in_statuses)
    f_creationDate = By(PeriodsField, lambda asked: criteria.within("created_at", asked))
    f_authorizedDate = By(PeriodsField, lambda asked: criteria.within("authorized_at", asked))
    f_invoicedDate = By(PeriodsField, lambda asked: criteria.within("invoiced_at", asked))
    f_shippingEstimate = By(DaysField, _promised)
    f_hasInputInvoice = By(BooleanField, lambda has: criteria.has_invoice(InvoiceType.INPUT, has))
    f_hasOutputInvoice = By(
        BooleanField, lambda has: criteria.has_invoice(InvoiceType.OUTPUT, has)
    )
    f_UtmSource = By(TextsField, criteria.came_from)
    f_sellerNames = By(TextsField, criteria.sold_by)
    f_callCenterOperatorName = By(TextsField, criteria.taken_by_operator)
    f_salesChannel = By(TextsField, criteria.sold_in)
    salesChannelId = By(TextsField, criteria.sold_in)
    f_affiliateId = By(TextsField, criteria.sent_by)
    f_paymentNames = By(TextsField, criteria.paid_with)
    f_RnB = By(TextsField, criteria.promoted_by)
    f_isInstore = By(BooleanField, criteria.placed_in_store)
    incompleteOrders = By(BooleanField, criteria.is_incomplete)
    sku_Ids = By(TextsField, criteria.with_sku)
    listId = By(TextsField, criteria.on_gift_list)
    tid = By(TextsField, criteria.with_transaction)
    pci_tid = By(TextsField, criteria.with_connector_transaction)
    paymentId = By(TextsField, criteria.with_payment)
    nsu = By(TextsField, criteria.with_nsu)

    def __init__(self, data: QueryDict, queryset: QuerySet[Order]) -> None:
        super().__init__(searched(spelled_as(self.base_filters, data)), queryset)


class UserOrderFilters(Parameters):
    """
    The filters of GET /api/oms/user/orders. Without the buyer's e-mail address nothing is told: an
    app key is not a buyer who is signed in.
    """

    clientEmail = By(
        RequiredTextField, lambda email: criteria.bought_by(email_key(email)), required=True
    )
    text = By(TextField, criteria.matching)
    status = By(StatusesField, criteria.in_statuses)
    creation_date = By(PeriodsField, lambda asked: criteria.within("created_at", asked))
    my_pending_approvals = By(BooleanField, lambda has: _pending_approval(has))


def _pending_approval(wanted: bool) -> Q:
    pending = criteria.in_statuses([Status.WAITING_FOR_ORDER_AUTHORIZATION])
    return pending if wanted else ~pending


def searched(data: QueryDict) -> QueryDict:
    """
    This function will turn the readings of `searchField` into the parameter that it names.

    `searchField=tid&q=X`, `searchField=tid&tid=X`, `searchField=tid:X`, and the admin's
    `searchField=tid&tid` with `q`. Anything else in it is itself what is looked for.
    """
    asked = data.get("searchField", "").strip()
    name, _, value = asked.replace("=", ":").replace("&", ":").partition(":")
    known = {field.lower(): field for field in criteria.SEARCH_FIELDS}
    field = known.get(name.strip().lower())
    if field is None:
        return data
    told = "" if value.strip().lower() in known else value.strip()
    turned = data.copy()
    del turned["searchField"]
    values = [text for text in (told, data.get(field, ""), data.get("q", "")) if text.strip()]
    if not values:
        message = f"Say in q what to look for in {field}."
        raise BadParameters([{"field": "searchField", "message": message}])
    turned[field] = values[0]
    if values[0] == data.get("q"):
        del turned["q"]
    return turned


def spelled_as(known: Mapping[str, Any], data: QueryDict) -> QueryDict:
    """This function will keep the parameters that are known, under the names they are known by."""
    names = {_plain(name): name for name in known}
    spelled = QueryDict(mutable=True)
    for name, values in data.lists():
        if proper := names.get(_plain(name)):
            spelled.setlist(proper, [*spelled.getlist(proper), *values])
    return spelled


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def cleaned(form: forms.Form) -> dict[str, Any]:
    """This function will return a form's values; raises BadParameters."""
    if form.is_valid():
        return form.cleaned_data
    raise BadParameters(
        [
            {"field": name, "message": str(error.message)}
            | ({"allowed": error.params["allowed"]} if error.params else {})
            for name, errors in form.errors.as_data().items()
            for error in errors
        ]
    )
