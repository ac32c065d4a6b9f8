"""App keys: whose they are, what they may do, when they were last used; issue, rotate, revoke."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe
from unfold.decorators import display

from oms.access.keys import activate, deactivate, issue_app_key, revoke_token, rotate_token
from oms.access.models import AppKey, AppToken
from oms.access.scopes import SCOPE_MEANINGS, Scope
from oms.backoffice.orders import ReadOnlyAdmin
from oms.backoffice.refusals import REFUSALS, in_words
from oms.backoffice.roles import May, actor_of, may, require
from oms.backoffice.sent_once import is_sent_again, new_form_id, remember_form
from oms.backoffice.site import backoffice_site
from oms.backoffice.times import ago, exact, store_zone
from oms.ops.models import AuditEntry

ACTS = {
    "rotate": "Rotate: issue a second token",
    "revoke": "Revoke this token",
    "deactivate": "Deactivate the key",
    "activate": "Activate the key",
}
EFFECTS = {
    "rotate": "The key gets a second token, valid at once. The one in use goes on working until "
    "you revoke it.",
    "revoke": "Whoever still uses this token is locked out within seconds. It cannot be undone.",
    "deactivate": "All tokens of this key stop working within seconds, until it is activated again.",
    "activate": "The tokens of this key work again.",
}
TRAIL_SHOWN = 20


class ListField(forms.CharField):
    """Ids separated by commas or blanks; empty means all."""

    def clean(self, value: Any) -> list[str] | None:
        return super().clean(value).replace(",", " ").split() or None


class IssueForm(forms.Form):
    owner_name = forms.CharField(max_length=200)
    owner_contact = forms.EmailField(required=False)
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, SCOPE_MEANINGS[scope]) for scope in Scope]
    )
    seller_ids = ListField(required=False)
    affiliate_ids = ListField(required=False)
    expires_at = forms.DateField(required=False)
    reason = forms.CharField(max_length=1_000)

    def clean_expires_at(self) -> datetime | None:
        """The last day counts whole, in the store's time zone."""
        day = self.cleaned_data["expires_at"]
        return datetime.combine(day, time.max, tzinfo=store_zone()) if day else None


class ActForm(forms.Form):
    reason = forms.CharField(max_length=1_000)
    token = forms.IntegerField(required=False)


@admin.register(AppKey)
class AppKeyAdmin(ReadOnlyAdmin):
    list_display = ("app_key", "owner_name", "state", "scope_names", "live_tokens", "last_use")
    list_filter = ("is_active",)
    search_fields = ("app_key", "owner_name", "owner_contact")
    ordering = ("owner_name", "app_key")
    list_fullwidth = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request, May.MANAGE_APP_KEYS)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("tokens")

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("add/", guard(issue_key), name="access_appkey_add"),
            path("<int:pk>/change/", guard(key_page), name="access_appkey_change"),
            path("<int:pk>/act/<slug:act>/", guard(act_on_key), name="access_appkey_act"),
            *super().get_urls(),
        ]

    @display(
        description="State", label={"active": "success", "off": "danger", "expired": "warning"}
    )
    def state(self, key: AppKey) -> str:
        return state_of(key)

    @display(description="May")
    def scope_names(self, key: AppKey) -> str:
        return "everything" if len(key.scopes) == len(Scope) else ", ".join(key.scopes)

    @display(description="Live tokens")
    def live_tokens(self, key: AppKey) -> int:
        return sum(is_live(token) for token in key.tokens.all())

    @display(description="Last used")
    def last_use(self, key: AppKey) -> SafeString | str:
        if key.last_used_at is None:
            return "never"
        return format_html(
            '<span title="{}" class="bo-nowrap">{}</span>',
            exact(key.last_used_at),
            ago(key.last_used_at, timezone.now()),
        )


def is_live(token: AppToken) -> bool:
    now = timezone.now()
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def state_of(key: AppKey) -> str:
    if key.expires_at and key.expires_at <= timezone.now():
        return "expired"
    return "active" if key.is_active else "off"


@require_safe
def key_page(request: HttpRequest, pk: int) -> HttpResponse:
    """This view will show one key, its tokens and what was done to it."""
    require(request, "access.view_appkey")
    key = get_object_or_404(AppKey, pk=pk)
    return _answer_key(request, key)


SHOWN_BEFORE = "This form was sent before and its token was shown then. Rotate it if it is lost."


@never_cache
@sensitive_variables("token")
@require_http_methods(["GET", "POST"])
def issue_key(request: HttpRequest) -> HttpResponse:
    """This view will issue a key and show its token once, on the answer to the form itself."""
    require(request, May.MANAGE_APP_KEYS)
    if is_sent_again(request):
        messages.warning(request, SHOWN_BEFORE)
        return HttpResponseRedirect(reverse("admin:access_appkey_changelist"))
    form = IssueForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            key, token = issue_app_key(actor=actor_of(request), **form.cleaned_data)
        except REFUSALS as refusal:
            form.add_error(None, in_words(refusal))
        else:
            remember_form(request)
            return _answer_key(request, key, token=token)
    context = {
        **backoffice_site().page_context(request, "Issue an app key"),
        "form": form,
        "scopes": [(scope.value, SCOPE_MEANINGS[scope]) for scope in Scope],
        "chosen": request.POST.getlist("scopes"),
        "form_id": new_form_id(),
    }
    return TemplateResponse(request, "backoffice/issue_key.html", context)


@never_cache
@sensitive_variables("token")
@require_http_methods(["GET", "POST"])
def act_on_key(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """This view will ask why, then rotate, revoke, deactivate or activate."""
    require(request, May.MANAGE_APP_KEYS)
    key = get_object_or_404(AppKey, pk=pk)
    page = HttpResponseRedirect(reverse("admin:access_appkey_change", args=[key.pk]))
    if act not in ACTS:
        return page
    if is_sent_again(request):
        messages.warning(request, SHOWN_BEFORE)
        return page
    form = ActForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            token = _act(key, act, form.cleaned_data, actor_of(request))
        except REFUSALS as refusal:
            messages.error(request, in_words(refusal))
            return page
        remember_form(request)
        if token:
            return _answer_key(request, key, token=token)
        messages.success(request, f"{ACTS[act]}: done.")
        return page
    token_id = request.POST.get("token") or request.GET.get("token", "")
    context = {
        **backoffice_site().page_context(request, f"{ACTS[act]}: {key.app_key}"),
        "key": key,
        "act": act,
        "label": ACTS[act],
        "effect": EFFECTS[act],
        "form": form,
        "form_id": new_form_id(),
        "token": key.tokens.filter(pk=token_id).first() if token_id.isdigit() else None,
    }
    return TemplateResponse(request, "backoffice/act_on_key.html", context)


@transaction.atomic
def _act(key: AppKey, act: str, given: dict[str, Any], actor: str) -> str:
    """This function will do it and return a new token if there is one."""
    reason = given["reason"].strip()
    match act:
        case "rotate":
            return rotate_token(key.app_key, actor=actor, reason=reason)
        case "revoke":
            token = get_object_or_404(AppToken, pk=given["token"], app_key=key)
            revoke_token(token.pk, actor=actor, reason=reason)
        case "deactivate":
            deactivate(key.app_key, actor=actor, reason=reason)
        case "activate":
            activate(key.app_key, actor=actor, reason=reason)
    return ""


@sensitive_variables("token")
def _answer_key(request: HttpRequest, key: AppKey, *, token: str = "") -> HttpResponse:
    trail = AuditEntry.objects.filter(object_type="app_key", object_id=key.app_key)
    tokens = list(key.tokens.order_by("-created_at"))
    context = {
        **backoffice_site().page_context(request, f"App key {key.app_key}"),
        "key": key,
        "state": state_of(key),
        "new_token": token,
        "tokens": [(held, is_live(held)) for held in tokens],
        "scopes": [
            (name, SCOPE_MEANINGS[Scope(name)]) for name in key.scopes if name in set(Scope)
        ],
        "trail": list(trail.order_by("-id")[:TRAIL_SHOWN]),
        "may_manage": may(request, May.MANAGE_APP_KEYS),
    }
    return TemplateResponse(request, "backoffice/key_page.html", context)


def _posted(request: HttpRequest) -> QueryDict | None:
    # An empty form that was sent is still a form that was sent.
    return request.POST if request.method == "POST" else None
