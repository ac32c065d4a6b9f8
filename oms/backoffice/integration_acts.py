"""
What staff can do to a feed or hook: a table from name to label, permission, form and service call.

Each service writes its own audit entry with the reason and decides again whether the act is
possible, so a button that is out of date is refused there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.http import HttpRequest

from feeds.configuring import delete_feed
from feeds.hooks.configuring import delete_hook
from feeds.hooks.disabling import disable_hook, enable_hook
from feeds.hooks.resending import resend_failed, resend_items
from feeds.hooks.rotating import rotate_secret
from feeds.hooks.trying import send_test
from feeds.models import Channel, Subscription
from feeds.replaying import Wanted, request_replay
from oms.backoffice.integration_facts import Flow
from oms.backoffice.integration_forms import (
    ReasonForm,
    ReplayForm,
    RequeueForm,
    RotateForm,
)
from oms.backoffice.roles import May, may
from oms.backoffice.times import exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One act on one subscription: everything that a service call needs."""

    subscription: Subscription
    actor: str
    reason: str
    item_pks: Sequence[int] = ()
    wanted: Wanted | None = None
    overlap: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an act, in words. A `secret` is shown on the answer and nowhere else."""

    words: str
    is_good: bool = True
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationAct:
    """One button. `effect` says what it will do. One that is not `is_offered` has its own place."""

    name: str
    label: str
    icon: str
    effect: str
    run: Callable[[Given], Done]
    is_possible: Callable[[Flow], bool]
    permission: May = May.REPAIR_INTEGRATIONS
    form: type[ReasonForm] = ReasonForm
    is_dangerous: bool = False
    is_offered: bool = True


def _is_active(flow: Flow) -> bool:
    return flow.subscription.is_active


def _is_hook(flow: Flow) -> bool:
    return flow.subscription.is_active and flow.channel == Channel.HOOK


def _is_disabled(flow: Flow) -> bool:
    return _is_hook(flow) and flow.facts.receiver.disabled_at is not None


def _is_enabled(flow: Flow) -> bool:
    return _is_hook(flow) and flow.facts.receiver.disabled_at is None


def _replay(given: Given) -> Done:
    assert given.wanted is not None
    replay = request_replay(
        given.subscription, wanted=given.wanted, actor=given.actor, reason=given.reason
    )
    return Done(
        f"Asked for again: positions {replay.from_position:,} to {replay.until_position:,}"
        + (f", {len(replay.order_ids)} orders." if replay.order_ids is not None else ".")
    )


def _requeue(given: Given) -> Done:
    count = resend_items(
        given.subscription.pk, given.item_pks, actor=given.actor, reason=given.reason
    )
    return Done(f"{_events(count)} queued again.", is_good=count > 0)


def _resend_failed(given: Given) -> Done:
    count = resend_failed(given.subscription.pk, actor=given.actor, reason=given.reason)
    return Done(f"{_events(count)} queued again.", is_good=count > 0)


def _test(given: Given) -> Done:
    attempt = send_test(given.subscription.pk, actor=given.actor, reason=given.reason)
    took = f"{attempt.duration_ms:,} ms"
    if attempt.is_success:
        return Done(f"The receiver answered {attempt.status} in {took}.")
    return Done(f"The test failed after {took}: {attempt.error}.", is_good=False)


def _rotate(given: Given) -> Done:
    rotated = rotate_secret(
        given.subscription.pk, actor=given.actor, reason=given.reason, overlap=given.overlap
    )
    if given.overlap is None:
        words = f"Until {exact(rotated.previous_ends_at)} the old secret signs as well."
    else:
        words = "The old secret signs nothing any more."
    return Done(words, secret=rotated.secret)


def _disable(given: Given) -> Done:
    done = disable_hook(given.subscription.pk, actor=given.actor, reason=given.reason)
    return Done("The hook is switched off." if done else "It was off already.", is_good=done)


def _enable(given: Given) -> Done:
    done = enable_hook(given.subscription.pk, actor=given.actor, reason=given.reason)
    return Done("The hook is switched on." if done else "It was on already.", is_good=done)


def _delete(given: Given) -> Done:
    delete = delete_feed if given.subscription.channel == Channel.FEED else delete_hook
    delete(app_key_id=given.subscription.app_key_id, actor=given.actor, reason=given.reason)
    return Done("The configuration is deleted.")


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


ACTS: Final[Mapping[str, IntegrationAct]] = {
    act.name: act
    for act in (
        IntegrationAct(
            name="replay",
            label="Replay",
            icon="replay",
            effect="The integration is given these events again, marked as a replay, after what "
            "is new. What its filter does not want stays out, what still waits does not come twice.",
            run=_replay,
            is_possible=_is_active,
            form=ReplayForm,
        ),
        IntegrationAct(
            name="requeue",
            label="Queue again",
            icon="restart_alt",
            effect="These events are given again as if for the first time, each order's in "
            "their old order. Mend the cause first, or they are parked again.",
            run=_requeue,
            is_possible=_is_active,
            form=RequeueForm,
            is_offered=False,
        ),
        IntegrationAct(
            name="resend-failed",
            label="Queue all failed again",
            icon="restart_alt",
            effect="Everything that is parked or has expired is given again, each order's in "
            "their old order. Mend the cause first, or it is parked again.",
            run=_resend_failed,
            is_possible=lambda flow: _is_active(flow) and flow.parked_count > 0,
        ),
        IntegrationAct(
            name="test",
            label="Send a test",
            icon="network_ping",
            effect="The receiver is called now, signed, with the contract's ping, and has five "
            "seconds to answer. Events are not touched, and the test counts for nothing.",
            run=_test,
            is_possible=_is_hook,
        ),
        IntegrationAct(
            name="rotate",
            label="Rotate secret",
            icon="key",
            effect="A new signing secret is made and shown once. Deliveries are signed with both "
            "for a while, so that the receiver can change over without losing any.",
            run=_rotate,
            is_possible=_is_hook,
            permission=May.MANAGE_INTEGRATIONS,
            form=RotateForm,
        ),
        IntegrationAct(
            name="enable",
            label="Switch on",
            icon="play_arrow",
            effect="The receiver is called again, with what waited first.",
            run=_enable,
            is_possible=_is_disabled,
            permission=May.MANAGE_INTEGRATIONS,
        ),
        IntegrationAct(
            name="disable",
            label="Switch off",
            icon="pause",
            effect="The receiver is not called any more until somebody switches the hook on or "
            "the integration configures it anew. Events wait meanwhile; nothing is lost.",
            run=_disable,
            is_possible=_is_enabled,
            permission=May.MANAGE_INTEGRATIONS,
            is_dangerous=True,
        ),
        IntegrationAct(
            name="delete",
            label="Delete configuration",
            icon="delete",
            effect="The integration is told nothing more until it configures itself again, and "
            "what waits is withdrawn: a new configuration begins with what happens after it. "
            "What it was given can still be read here.",
            run=_delete,
            is_possible=_is_active,
            permission=May.MANAGE_INTEGRATIONS,
            is_dangerous=True,
        ),
    )
}


def offers_of(request: HttpRequest, flow: Flow) -> list[IntegrationAct]:
    """This function will list what this person may do to a feed or hook now."""
    return [
        act
        for act in ACTS.values()
        if act.is_offered and may(request, act.permission) and act.is_possible(flow)
    ]
