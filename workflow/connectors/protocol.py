"""What a call to an outside service is, and what can come of it. Nothing here opens a socket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call to one service.

    `idempotency_key` names the business effect, not the attempt: it stays the same over retries,
    so that a service that already did the work answers again instead of doing it twice.
    `path` is relative to the connector's base address and already percent-encoded.
    """

    connector: str
    operation: str
    method: Literal["GET", "POST"]
    path: str
    body: Mapping[str, Any] | None
    idempotency_key: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The service answered in the shape of the operation: the step reads `body["result"]`."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The service will never take this call as it is: park the item, a person must look."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """
    Nobody knows whether the effect happened: retry with the same key.

    `cause` is one of a few constant texts, since the stuck inbox groups by it. `retry_after` is
    what the service asked for, in seconds. `is_answer`: the service is well and spoke of this one
    call, which says nothing against the others.
    """

    cause: str
    retry_after: float | None = None
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class NotCalled:
    """The batch ran out of time before this call began: nothing was sent, no attempt was used."""

    cause: str


Outcome = Answered | Refused | Failed | NotCalled


class CallMany(Protocol):
    """How steps reach outside services. `workflow.connectors.http.call_many` is the real one."""

    def __call__(
        self,
        calls: Sequence[Call],
        *,
        limit_per_connector: int,
        timeout_seconds: float,
        budget_seconds: float | None = None,
    ) -> list[Outcome]: ...
