"""Words of the back office for templates: moments, amounts, statuses."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from feeds.models import HookAttempt
from oms.backoffice import hook_calls, times
from oms.backoffice import money as amounts
from oms.backoffice.integration_states import COUNT_LIMIT as EVENT_COUNT_LIMIT
from oms.backoffice.keyset import count_words
from oms.backoffice.stuck_inbox import can_skip
from oms.backoffice.tones import Tone, tone_of
from oms.backoffice.waiting import cause_words, step_words
from oms.orders.models import Item, PaymentStatus
from oms.orders.statuses import label_of

register = template.Library()

PAYMENT_TONES = {
    PaymentStatus.PENDING: Tone.WAIT,
    PaymentStatus.APPROVED: Tone.READY,
    PaymentStatus.DENIED: Tone.BAD,
    PaymentStatus.CAPTURED: Tone.GOOD,
    PaymentStatus.VOIDED: Tone.GONE,
}


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """This filter will tell a moment relative to now, exact when the pointer rests on it."""
    return _moment(moment, times.ago)


@register.filter
def age(moment: datetime | None) -> SafeString | str:
    """This filter will tell a moment in one unit, for columns."""
    return _moment(moment, times.age)


@register.filter
def short(moment: datetime | None) -> SafeString | str:
    """This filter will tell a moment as a list does, exact when the pointer rests on it."""
    return _moment(moment, times.short)


@register.filter
def exact(moment: datetime | None) -> str:
    return times.exact(moment) if moment else ""


@register.filter
def since(moment: datetime | None) -> SafeString | str:
    """This filter will tell how long ago a moment was, without the word ago."""
    return _moment(moment, lambda then, now: times.span(now - then))


@register.filter
def money(cents: int | None, currency: str) -> str:
    return amounts.money(cents, currency)


@register.filter
def status_label(status: str) -> str:
    return label_of(status)


@register.filter
def status_badge(status: str) -> SafeString:
    """This filter will draw a status, in its color, with the API's name on the pointer."""
    return format_html(
        '<span class="bo-badge bo-{}" title="{}">{}</span>',
        tone_of(status).value,
        status,
        label_of(status),
    )


@register.filter
def step_name(step: str) -> str:
    return step_words(step)


@register.filter
def cause_name(cause: str, step: str) -> str:
    """This filter will tell why a step failed; blank: nobody has taken it."""
    return cause_words(cause, step) or "No worker takes it"


@register.filter
def bounded(count: int) -> str:
    """This filter will spell a count that was not counted to its end: `1,000+`."""
    return count_words(count)


@register.filter
def bounded_high(count: int) -> str:
    """This filter will spell a count of events that was not counted to its end: `10,000+`."""
    return count_words(count, EVENT_COUNT_LIMIT)


@register.filter
def in_thousands(count: int) -> str:
    return f"{count:,}"


@register.filter
def seconds(length: int) -> str:
    """This filter will tell a length given in seconds in words."""
    return times.span(timedelta(seconds=length))


@register.filter
def sent_body(attempt: HookAttempt) -> str:
    return hook_calls.sent_body(attempt)


@register.filter
def line_sum(item: Item) -> int:
    """This filter will return what a line costs: its selling price times its quantity."""
    return item.selling_price_cents * item.quantity


@register.filter
def payment_badge(status: str) -> SafeString:
    known = PaymentStatus(status)
    return format_html(
        '<span class="bo-badge bo-{}">{}</span>', PAYMENT_TONES[known].value, known.label
    )


@register.filter
def skippable(step: str) -> bool:
    return can_skip(step)


def _moment(moment: datetime | None, tell: "times.Teller") -> SafeString | str:
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        times.exact(moment),
        tell(moment, timezone.now()),
    )
