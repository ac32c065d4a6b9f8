"""Why a feed or hook is not configured, read or replayed as asked; `oms.api.errors` maps each."""

from oms.ops.problems import Problem, Refused

__all__ = ["FeedNotConfigured", "FeedRefused", "MixedFilter", "Problem", "StillCatchingUp"]


class FeedRefused(Refused):
    """What was asked of a feed or hook cannot be taken. Nothing was changed."""


class MixedFilter(FeedRefused):
    """
    Statuses and an expression at once: the contract's only 409 for a configuration.

    Every other mistake is a 400: a published client takes 409 for a passing conflict and repeats
    it for five minutes (research A).
    """


class FeedNotConfigured(Exception):
    """The app key has no feed."""

    def __init__(self) -> None:
        super().__init__(
            "This app key has no feed. Make one by POST /api/orders/feed/config with a filter, "
            'such as {"filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]}}.'
        )


class StillCatchingUp(Exception):
    """Too much lies between the queue and the ledger's end to finish now. Repeating goes on from there."""

    def __init__(self) -> None:
        super().__init__(
            "What happened under the present filter is still being queued. Try again."
        )
