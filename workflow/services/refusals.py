"""Why a service refuses. Each carries the facts; `oms.api.errors` maps it to an answer."""

from oms.ops.problems import Problem, Refused

__all__ = [
    "CancellationRefused",
    "InvalidInput",
    "NotRepairable",
    "PartOfOrderNotFound",
    "Problem",
]


class InvalidInput(Refused):
    """What was sent contradicts the order. Nothing was changed."""


class PartOfOrderNotFound(Exception):
    """The order has no such payment, invoice or cancellation request."""


class CancellationRefused(Exception):
    """A partly invoiced order cannot be canceled: the rest can be changed or returned."""


class NotRepairable(Exception):
    """This step cannot be skipped, or is not parked."""
