"""Registers orders: read-only for Django's own forms, changed by actions alone."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin

from oms.backoffice.bulk import bulk_act
from oms.backoffice.order_list import order_list
from oms.backoffice.order_page import (
    act_on_order,
    note_on_order,
    order_page,
    raw_document,
    reveal_order,
)
from oms.orders.models import ImportRun, Order


class ReadOnlyAdmin(ModelAdmin):
    """Shows, never writes: what it shows is written by services or by running processes."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """List and page of orders are views of our own; Django's generic ones are not mounted."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return order_list(request)

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("", guard(order_list), name="orders_order_changelist"),
            path("bulk/", guard(bulk_act), name="orders_order_bulk"),
            path("<int:pk>/change/", guard(order_page), name="orders_order_change"),
            path("<int:pk>/document/", guard(raw_document), name="orders_order_document"),
            path("<int:pk>/reveal/", guard(reveal_order), name="orders_order_reveal"),
            path("<int:pk>/note/", guard(note_on_order), name="orders_order_note"),
            path("<int:pk>/act/<slug:name>/", guard(act_on_order), name="orders_order_act"),
        ]


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    list_display = (
        "file_name",
        "state",
        "line",
        "imported_count",
        "skipped_count",
        "rejected_count",
        "actor",
        "started_at",
        "finished_at",
    )
    ordering = ("-started_at",)
    show_full_result_count = False
