"""Names the task on every log line of a cluster's worker."""

from typing import Any

import structlog


def name_task(sender: Any, task: dict[str, Any], **facts: Any) -> None:
    structlog.contextvars.bind_contextvars(task_id=task["id"], task=task["name"])


def unname_task(sender: Any, task: dict[str, Any], **facts: Any) -> None:
    structlog.contextvars.unbind_contextvars("task_id", "task")
