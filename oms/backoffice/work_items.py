"""Work items and outside services as tables: to look at. Repairs are in the stuck inbox."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from oms.backoffice.keyset import KeysetChangeList
from oms.backoffice.orders import ReadOnlyAdmin
from oms.backoffice.roles import May, may
from oms.backoffice.site import backoffice_site
from oms.backoffice.stuck_inbox import repair_items, stuck_badge, stuck_inbox, stuck_items
from oms.backoffice.times import exact, short
from oms.backoffice.waiting import STEP_WORDS, WorkState, state_of, step_words
from oms.backoffice.work_facts import facts_of
from workflow.models import ConnectorState, WorkItem

STATE_COLORS = {
    WorkState.PARKED: "danger",
    WorkState.RETRYING: "warning",
    WorkState.WORKING: "info",
    WorkState.DUE: "success",
    WorkState.TIMER: "",
}


class StepFilter(admin.SimpleListFilter):
    """By step. The choices are the workflow's own: nothing is read from the table for them."""

    title = "step"
    parameter_name = "step"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(step.value, step_words(step).capitalize()) for step in STEP_WORDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(step=self.value()) if self.value() else queryset


class ParkedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [("parked", "Parked"), ("failing", "Failing"), ("leased", "A worker is at it")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "parked":
                return queryset.filter(parked_at__isnull=False)
            case "failing":
                return queryset.filter(parked_at__isnull=True, attempts__gt=0)
            case "leased":
                return queryset.filter(leased_until__gt=timezone.now())
        return queryset


@admin.register(WorkItem)
class WorkItemAdmin(ReadOnlyAdmin):
    list_display = ("order_link", "doing", "state", "due", "next_attempt", "attempts", "error")
    list_filter = (ParkedFilter, StepFilter)
    list_per_page = 50
    list_select_related = ("order",)
    list_fullwidth = True
    show_full_result_count = False
    change_list_template = "backoffice/keyset_change_list.html"
    fields = (
        "order_link",
        "package",
        "doing",
        "connector",
        "priority",
        "due_at",
        "next_attempt_at",
        "attempts",
        "last_error",
        "leased_until",
        "leased_by",
        "fence",
        "announced_at",
        "parked_at",
        "cause",
        "created_at",
    )
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkItem]:
        return super().get_queryset(request).defer("order__extra")

    @display(description="Order")
    def order_link(self, item: WorkItem) -> SafeString:
        link = reverse("admin:orders_order_change", args=[item.order_id])
        return format_html('<a class="bo-link" href="{}">{}</a>', link, item.order.order_id)

    @display(description="Step")
    def doing(self, item: WorkItem) -> str:
        return step_words(item.step).capitalize()

    @display(description="State", label=STATE_COLORS)
    def state(self, item: WorkItem) -> str:
        return state_of(facts_of(item), timezone.now())

    @display(description="Due")
    def due(self, item: WorkItem) -> SafeString:
        return _moment(item.due_at)

    @display(description="Next attempt")
    def next_attempt(self, item: WorkItem) -> SafeString | str:
        return "" if item.parked_at else _moment(item.next_attempt_at)

    @display(description="Cause or last error")
    def error(self, item: WorkItem) -> str:
        return (item.cause or item.last_error)[:120]


@admin.register(ConnectorState)
class ConnectorStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "consecutive_failures", "open_until", "last_error", "updated")
    show_full_result_count = False
    fields = (
        "name",
        "consecutive_failures",
        "opened_until",
        "probe_at",
        "last_error",
        "updated_at",
    )
    readonly_fields = fields

    @display(
        description="State", label={"answering": "success", "failing": "warning", "off": "danger"}
    )
    def state(self, connector: ConnectorState) -> str:
        if connector.opened_until and connector.opened_until > timezone.now():
            return "off"
        return "failing" if connector.consecutive_failures else "answering"

    @display(description="Not called until")
    def open_until(self, connector: ConnectorState) -> SafeString | str:
        until = connector.opened_until
        return _moment(until) if until and until > timezone.now() else ""

    @display(description="Changed")
    def updated(self, connector: ConnectorState) -> SafeString:
        return _moment(connector.updated_at)


def _moment(moment: Any) -> SafeString:
    return format_html(
        '<span title="{}" class="bo-nowrap">{}</span>',
        exact(moment),
        short(moment, timezone.now()),
    )


def _badge(request: HttpRequest) -> str:
    return stuck_badge(request) if may(request, May.VIEW_STUCK_INBOX) else ""


backoffice_site().add_page("stuck/", "stuck_inbox", stuck_inbox)
backoffice_site().add_page("stuck/items/", "stuck_items", stuck_items)
backoffice_site().add_page("stuck/repair/", "stuck_repair", repair_items)
backoffice_site().add_badge("stuck_inbox", _badge)
