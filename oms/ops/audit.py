"""The audit log: one entry for every act that changes access or forces a state."""

from collections.abc import Mapping

from oms.ops.logs import current_request_id
from oms.ops.models import AuditEntry
from oms.ops.requests import current_remote_address


def record_audit(
    *,
    actor: str,
    action: str,
    object_type: str = "",
    object_id: str | int = "",
    reason: str = "",
    details: Mapping[str, object] | None = None,
) -> AuditEntry:
    """
    This function will append an audit entry; call it in the transaction of the act it records.

    `actor` is `user:NAME`, `key:APPKEY`, `role:ROLE` or `command:NAME`; `action` is in the past
    tense (`app_key.issued`). The request's id and address are taken from the request being
    answered. `details` must not hold secrets: entries are kept for good.
    """
    return AuditEntry.objects.create(
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        reason=reason,
        details=dict(details or {}),
        request_id=current_request_id(),
        remote_address=current_remote_address(),
    )
