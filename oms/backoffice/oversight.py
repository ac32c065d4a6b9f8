"""Who works, and who did what: heartbeats and the audit log, both to look at only."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from oms.backoffice.keyset import KeysetChangeList
from oms.backoffice.landing import SILENT_AFTER, landing_context
from oms.backoffice.orders import ReadOnlyAdmin
from oms.backoffice.site import backoffice_site
from oms.backoffice.times import ago, exact
from oms.ops.models import AuditEntry, Heartbeat

OBJECT_TYPES = ("order", "app_key", "affiliate", "seller_policy", "user", "group")


class TypedFilter(admin.SimpleListFilter):
    """A filter that takes a value from the address, with the value itself as its only choice."""

    template = "backoffice/typed_filter.html"
    hint = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(self.value() or "", self.value() or "")]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").strip()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class ActorFilter(TypedFilter):
    title = "who, exactly"
    parameter_name = "actor"
    hint = "user:maria"


class ActionFilter(TypedFilter):
    title = "act, exactly"
    parameter_name = "action"
    hint = "app_key.issued"


class ObjectFilter(TypedFilter):
    title = "to which, exactly"
    parameter_name = "object_id"
    hint = "order id or app key"


class ObjectTypeFilter(admin.SimpleListFilter):
    title = "kind of thing"
    parameter_name = "object_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(name, name.replace("_", " ").capitalize()) for name in OBJECT_TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(object_type=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("when", "actor", "act", "thing", "reason", "remote_address")
    list_display_links = ("when",)
    list_filter = (ObjectTypeFilter, ActorFilter, ActionFilter, ObjectFilter)
    list_per_page = 50
    list_fullwidth = True
    show_full_result_count = False
    change_list_template = "backoffice/keyset_change_list.html"
    fields = (
        "at",
        "actor",
        "action",
        "object_type",
        "object_id",
        "reason",
        "details",
        "request_id",
        "remote_address",
    )
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    @display(description="When")
    def when(self, entry: AuditEntry) -> SafeString:
        return format_html(
            '<span title="{}" class="bo-nowrap">{}</span>',
            exact(entry.at),
            ago(entry.at, timezone.now()),
        )

    @display(description="Act")
    def act(self, entry: AuditEntry) -> str:
        return entry.action

    @display(description="To")
    def thing(self, entry: AuditEntry) -> str:
        return f"{entry.object_type.replace('_', ' ')} {entry.object_id}".strip()


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("role", "state", "instance", "beat", "worked", "work_done", "started")
    list_filter = ("role",)
    ordering = ("role", "-beat_at")
    list_per_page = 100
    show_full_result_count = False
    fields = ("role", "instance", "started_at", "beat_at", "worked_at", "work_done", "details")
    readonly_fields = fields

    @display(description="State", label={"there": "success", "silent": "danger"})
    def state(self, beat: Heartbeat) -> str:
        return "there" if timezone.now() - beat.beat_at < SILENT_AFTER else "silent"

    @display(description="Last sign")
    def beat(self, beat: Heartbeat) -> str:
        return ago(beat.beat_at, timezone.now())

    @display(description="Last work done")
    def worked(self, beat: Heartbeat) -> str:
        return ago(beat.worked_at, timezone.now()) if beat.worked_at else "none yet"

    @display(description="Started")
    def started(self, beat: Heartbeat) -> str:
        return ago(beat.started_at, timezone.now())


backoffice_site().landing = landing_context
