"""Affiliates and seller policies: the two tables that staff edit by form, each edit audited."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from oms.backoffice.roles import actor_of
from oms.ops.audit import record_audit
from oms.orders.models import Affiliate, SellerPolicy


class AuditedAdmin(ModelAdmin):
    """
    Writes an audit entry in the transaction of each save and delete, with old and new values.

    Django's form views are atomic, so there is no edit without its entry.
    """

    audited_as = ""

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        details: dict[str, object] = {
            name: [_plain(form.initial.get(name)), _plain(form.cleaned_data.get(name))]
            for name in form.changed_data
        }
        self._record(request, obj, "changed" if change else "added", details)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, obj, "deleted", {})
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _record(
        self, request: HttpRequest, obj: Any, act: str, details: dict[str, object]
    ) -> None:
        record_audit(
            actor=actor_of(request),
            action=f"{self.audited_as}.{act}",
            object_type=self.audited_as,
            object_id=obj.pk,
            details=details,
        )


@admin.register(Affiliate)
class AffiliateAdmin(AuditedAdmin):
    audited_as = "affiliate"
    list_display = ("affiliate_id", "name", "flow", "is_active", "created_at")
    list_filter = ("flow", "is_active")
    ordering = ("affiliate_id",)
    fields = ("affiliate_id", "name", "flow", "is_active")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Orders carry the id and were routed by the flow: neither changes once orders may exist.
        return ("affiliate_id", "flow") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SellerPolicy)
class SellerPolicyAdmin(AuditedAdmin):
    audited_as = "seller_policy"
    list_display = (
        "seller_id",
        "name",
        "window_to_cancel_minutes",
        "has_warehouse_system",
        "has_pick_and_pack",
    )
    ordering = ("seller_id",)
    search_fields = ("seller_id", "name")
    fields = (
        "seller_id",
        "name",
        "window_to_cancel_minutes",
        "has_warehouse_system",
        "has_pick_and_pack",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("seller_id",) if obj else ()


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
