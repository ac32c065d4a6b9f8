"""
Structured logs: one JSON object a line, or coloured text in a terminal.

Settings import this module before Django is set up, so it must not import settings or models.
Every line says when, how bad, who (role, pid) and about what (request, task, order, app key),
because the post-mortem's engineers had to guess which service had fallen silent (item M10).
"""

import logging
import logging.config
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from oms.env import env_choice
from oms.ops.log_rendering import render_console_safe, render_exception, render_json
from oms.ops.redaction import redact_event

# Third-party loggers that would repeat our access line, or print SQL parameters or query strings.
QUIET_LOGGERS = {
    "django.request": "ERROR",
    "django.server": "CRITICAL",
    "django.db.backends": "INFO",
    "asyncio": "WARNING",
    "urllib3": "WARNING",
    "gunicorn.access": "CRITICAL",
}
REROUTED_LOGGERS = ("django", "django-q", "gunicorn.error")


def logging_config(level: str, role: str) -> dict[str, Any]:
    """
    This function will describe the logging of one process for `logging.config.dictConfig`.

    gunicorn can take the same dictionary as its `logconfig_dict`, so that its master, which never
    loads Django, writes the same lines.
    """
    loggers: dict[str, dict[str, Any]] = {
        name: {"handlers": [], "propagate": True, "level": "NOTSET"} for name in REROUTED_LOGGERS
    }
    for name, quiet_level in QUIET_LOGGERS.items():
        loggers[name] = {"handlers": [], "propagate": True, "level": quiet_level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"bulkhead": {"()": "oms.ops.logs.build_formatter", "role": role}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "bulkhead"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": loggers,
    }


def configure(config: Mapping[str, Any]) -> None:
    """This function will apply `logging_config(...)` to this process (Django's LOGGING_CONFIG)."""
    logging.config.dictConfig(dict(config))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def build_formatter(role: str) -> logging.Formatter:
    """This function will make the one formatter that all lines go through, ours and others'."""
    processors: list[Processor] = [
        _identify(role),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        redact_event,
    ]
    # Under `make up` stderr is a pipe, whose other end may be a person's terminal all the same.
    fitting = "console" if sys.stderr.isatty() else "json"
    if env_choice("LOG_FORMAT", fitting, ("console", "json")) == "console":
        processors += [render_console_safe, structlog.dev.ConsoleRenderer(colors=True)]
    else:
        processors.append(render_json)
    return structlog.stdlib.ProcessorFormatter(
        processors=processors, foreign_pre_chain=_shared_processors()
    )


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        render_exception,
    ]


def _identify(role: str) -> Processor:
    def add_role_and_pid(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["role"] = role
        event["pid"] = os.getpid()  # at each line: gunicorn and qcluster fork after configuring
        return event

    return add_role_and_pid


# What a line is about. Each is bound for the length of a `with` block, over all functions called.


def bind_request(request_id: str) -> AbstractContextManager[None]:
    return structlog.contextvars.bound_contextvars(request_id=request_id)


def bind_task(task_id: str) -> AbstractContextManager[None]:
    return structlog.contextvars.bound_contextvars(task_id=task_id)


def bind_order(order_id: str) -> AbstractContextManager[None]:
    return structlog.contextvars.bound_contextvars(order_id=order_id)


def bind_app_key(app_key: str) -> None:
    """This function will name the app key on this request's lines, until the request ends."""
    structlog.contextvars.bind_contextvars(app_key=app_key)


def unbind_app_key() -> str | None:
    bound: str | None = structlog.contextvars.get_contextvars().get("app_key")
    structlog.contextvars.unbind_contextvars("app_key")
    return bound


def bind_requested_order(order_id: str) -> None:
    """This function will name the order on this request's lines, until the request ends."""
    structlog.contextvars.bind_contextvars(order_id=order_id)


def unbind_requested_order() -> None:
    structlog.contextvars.unbind_contextvars("order_id")


def current_request_id() -> str:
    """This function will return the id of the request being answered, or an empty string."""
    request_id: str = structlog.contextvars.get_contextvars().get("request_id", "")
    return request_id
