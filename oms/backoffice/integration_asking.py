"""Asks why, then acts on a feed or hook. A form that was sent before is not carried out again."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from oms.access.models import AppKey
from oms.backoffice.integration_acts import ACTS, Done, Given, IntegrationAct
from oms.backoffice.integration_facts import Flow, read_integration
from oms.backoffice.integration_forms import ReasonForm
from oms.backoffice.integrations import answer_integration
from oms.backoffice.refusals import REFUSALS, in_words
from oms.backoffice.roles import May, actor_of, require
from oms.backoffice.sent_once import is_sent_again, new_form_id, remember_form
from oms.backoffice.site import backoffice_site
from oms.backoffice.times import store_zone

SENT_BEFORE = "This form was sent before, and was carried out then. Nothing was done again."


@never_cache
@sensitive_variables("done")
@require_http_methods(["GET", "POST"])
def act_on_integration(request: HttpRequest, pk: int, channel: str, name: str) -> HttpResponse:
    """This view will ask for the reason of an act and what it needs, and with them do it."""
    act, key = ACTS.get(name), get_object_or_404(AppKey, pk=pk)
    require(request, May.VIEW_INTEGRATIONS)
    flow = read_integration(key, timezone.now()).flow(channel)
    if act is None or flow is None:
        raise Http404("There is no such act, or the key has no such feed or hook.")
    require(request, act.permission)
    page = HttpResponseRedirect(f"{reverse('admin:integration', args=[key.pk])}?channel={channel}")
    if is_sent_again(request):
        messages.warning(request, SENT_BEFORE)
        return page
    form = act.form(_posted(request))
    if request.method == "POST" and form.is_valid():
        done = _try(request, act, flow, form)
        if done is None:
            return page
        remember_form(request)
        if done.secret:
            return answer_integration(request, key, channel=channel, rotated=done)
        (messages.success if done.is_good else messages.warning)(
            request, f"{act.label}: {done.words}"
        )
        return page
    context = {
        **backoffice_site().page_context(request, f"{act.label}: {key.owner_name}"),
        "key": key,
        "flow": flow,
        "act": act,
        "form": form,
        "form_id": new_form_id(),
        "is_possible": act.is_possible(flow),
        "zone": store_zone().key,
    }
    return TemplateResponse(request, "backoffice/act_on_integration.html", context)


def _try(request: HttpRequest, act: IntegrationAct, flow: Flow, form: ReasonForm) -> Done | None:
    given = Given(
        subscription=flow.subscription,
        actor=actor_of(request),
        reason=form.cleaned_data["reason"].strip(),
        **form.arguments(),
    )
    try:
        return act.run(given)
    except REFUSALS as refusal:
        messages.error(request, f"{act.label}: {in_words(refusal)}")
        return None


def _posted(request: HttpRequest) -> QueryDict | None:
    # An empty form that was sent is still a form that was sent.
    return request.POST if request.method == "POST" else None


backoffice_site().add_page(
    "integrations/<int:pk>/<slug:channel>/act/<slug:name>/",
    "integration_act",
    act_on_integration,
)
