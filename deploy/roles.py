"""The roles that `make up` runs, as data. The same commands are in Procfile and deploy/systemd."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

MANAGE = (sys.executable, "manage.py")
GUNICORN = (sys.executable, "-m", "gunicorn", "oms.wsgi", "--config", "deploy/gunicorn.py")


class Role(NamedTuple):
    """
    One process to keep running.

    `command` and `environment` may name variables as `{PORT}`. The role starts only if every
    variable in `needs` is set, and stops after the others if `stops_late`, because they call it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = {}
    needs: tuple[str, ...] = ()
    stops_late: bool = False


ROLES = (
    Role("web", (*GUNICORN, "--bind", "127.0.0.1:{PORT}")),
    Role(
        "workflow",
        (*MANAGE, "run_cluster", "workflow"),
        {"Q_CLUSTER_NAME": "workflow"},
    ),
    Role(
        "backoffice",
        (*MANAGE, "run_cluster", "backoffice"),
        {"Q_CLUSTER_NAME": "backoffice"},
    ),
    Role("hooks", (*MANAGE, "dispatch_hooks")),
    Role(
        "sandbox",
        # The journal keeps its books over restarts: it answers a repeated call as the first.
        (
            *MANAGE,
            "sandbox",
            "--port",
            "{SANDBOX_PORT}",
            "--journal",
            "{DATA_DIR}/sandbox.journal",
        ),
        needs=("SANDBOX_PORT",),
        stops_late=True,
    ),
)
# Live demo orders: the sandbox also plays the marketplaces, and some orders go wrong, as in life.
DEMO = (
    *("--trickle", "{DEMO_ORDERS_PER_MINUTE}", "--api", "http://127.0.0.1:{PORT}"),
    *("--deny-share", "0.03", "--payment-deny-share", "0.04", "--pending-share", "0.1"),
)


def roles_for(environment: Mapping[str, str], *, demo: bool) -> list[Role]:
    """This function will choose the roles that fit the environment and fill in its values."""
    chosen = []
    for role in ROLES:
        if all(environment.get(name) for name in role.needs):
            extra = DEMO if demo and role.name == "sandbox" else ()
            command = tuple(part.format_map(environment) for part in (*role.command, *extra))
            added = {"BULKHEAD_ROLE": role.name, **role.environment}
            chosen.append(role._replace(command=command, environment=added))
    return chosen
