"""What services refuse, told to the person who asked. A refusal is an answer, never a 500."""

from typing import Final

from django.db import OperationalError

from feeds.hooks.by_hand import CallUnderWay
from feeds.hooks.configuring import HookNotConfigured
from feeds.hooks.resending import ResendRefused
from feeds.models import HookEndpoint
from feeds.refusals import FeedNotConfigured, FeedRefused, StillCatchingUp
from feeds.replaying import TooManyReplays
from oms.access.keys import AccessRefused
from oms.access.secrets import SecretUnreadable
from oms.orders.locks import OrderNotFound
from oms.orders.statuses import label_of
from workflow.flows import TransitionNotAllowed
from workflow.services.refusals import (
    CancellationRefused,
    InvalidInput,
    NotRepairable,
    PartOfOrderNotFound,
)

# OperationalError: somebody else held the order's lock for longer than we wait.
REFUSALS: Final = (
    TransitionNotAllowed,
    OrderNotFound,
    InvalidInput,
    PartOfOrderNotFound,
    CancellationRefused,
    NotRepairable,
    AccessRefused,
    FeedRefused,
    FeedNotConfigured,
    HookNotConfigured,
    HookEndpoint.DoesNotExist,
    ResendRefused,
    CallUnderWay,
    SecretUnreadable,
    StillCatchingUp,
    TooManyReplays,
    OperationalError,
)


def in_words(refusal: Exception) -> str:
    """This function will say why something was refused, and what would be possible."""
    if isinstance(refusal, TransitionNotAllowed):
        allowed = " or ".join(
            dict.fromkeys(f"“{label_of(status)}”" for status in refusal.allowed_from)
        )
        possible = f" This is possible in {allowed}." if allowed else ""
        return f"The order is in “{refusal.status.label}” now.{possible} Nothing was changed."
    if isinstance(refusal, HookEndpoint.DoesNotExist | FeedNotConfigured | HookNotConfigured):
        return "It is not configured any more. Nothing was changed."
    if isinstance(refusal, InvalidInput | FeedRefused):
        return " ".join(problem.message for problem in refusal.problems)
    if isinstance(refusal, OperationalError):
        return "Somebody else is changing this order right now. Nothing was changed; try again."
    return str(refusal)
