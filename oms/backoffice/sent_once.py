"""A form whose answer is shown once: sent again by a reload, it must not be carried out again."""

import uuid

from django.http import HttpRequest

SESSION_KEY = "forms_carried_out"
REMEMBERED = 20


def new_form_id() -> str:
    return uuid.uuid4().hex


def is_sent_again(request: HttpRequest) -> bool:
    """This function will tell whether this very form was carried out before, in this session."""
    return request.POST.get("form_id", "") in request.session.get(SESSION_KEY, [])


def remember_form(request: HttpRequest) -> None:
    """This function will note that the form was carried out. Nothing secret is kept."""
    if form_id := request.POST.get("form_id"):
        used = request.session.get(SESSION_KEY, [])
        request.session[SESSION_KEY] = [*used, form_id[:32]][-REMEMBERED:]
