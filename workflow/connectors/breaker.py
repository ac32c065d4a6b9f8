"""
Which connectors are worth calling, shared by every worker of every host in one table.

Closed: calls go out. After `FAILURES_TO_OPEN` failures in a row: open, nothing goes out until
`opened_until`. Then half-open: one caller wins `claim_probe` and sends one call. Its success
closes the breaker, its failure opens it for twice as long. Time is PostgreSQL's clock.

Every function is one statement. Call them outside the transaction of an order's move: the row
of a connector is shared by all, and nothing may hold it longer than the statement.
"""

from django.conf import settings
from django.db import connection

FAILURES_TO_OPEN = 5
FIRST_OPEN_SECONDS = 5.0
# One call each so often costs a dead service nothing, and orders go on within a minute of its return:
# this, ten seconds until somebody looks, the call, and the hurried retries.
LONGEST_OPEN_SECONDS = 20.0
# Doublings that count: enough to pass the longest delay, and no overflow after a week's outage.
DOUBLINGS = 6
# A prober that died without a word holds the probe for a call's time limit and this much more.
PROBE_MARGIN_SECONDS = 2.0
LONGEST_ERROR = 200


def _open_for(seconds: str) -> str:
    jittered = f"least(({seconds}) * (0.8 + 0.4 * random()), %(longest)s)"
    return f"clock_timestamp() + {jittered} * interval '1 second'"


_REOPEN_SECONDS = """
    %(first)s * power(2, least(state.consecutive_failures + 1 - %(threshold)s, %(doublings)s))
"""

# Failures that arrive while the breaker is open are stragglers of calls begun before: they tell
# nothing new, so they neither count nor prolong. `consecutive_failures` stops at the threshold
# and then grows by one per failed probe, which makes it the exponent of the delay: ten workers
# that report fifty time-outs each must not lead straight to the longest delay.
_RECORD_FAILURES = f"""
    INSERT INTO workflow_connectorstate AS state
        (name, consecutive_failures, opened_until, probe_at, last_error, updated_at)
    VALUES (
        %(name)s,
        least(%(failures)s, %(threshold)s),
        CASE WHEN %(failures)s >= %(threshold)s THEN {_open_for("%(first)s")} END,
        NULL, %(error)s, clock_timestamp()
    )
    ON CONFLICT (name) DO UPDATE SET
        consecutive_failures = CASE
            WHEN state.opened_until > clock_timestamp() THEN state.consecutive_failures
            WHEN state.opened_until IS NOT NULL
                THEN least(state.consecutive_failures + 1, %(threshold)s + %(doublings)s)
            ELSE least(state.consecutive_failures + %(failures)s, %(threshold)s) END,
        opened_until = CASE
            WHEN state.opened_until > clock_timestamp() THEN state.opened_until
            WHEN state.opened_until IS NOT NULL THEN {_open_for(_REOPEN_SECONDS)}
            WHEN state.consecutive_failures + %(failures)s >= %(threshold)s
                THEN {_open_for("%(first)s")} END,
        probe_at = CASE WHEN state.opened_until > clock_timestamp() THEN state.probe_at END,
        last_error = excluded.last_error,
        updated_at = clock_timestamp()
"""

# The WHERE keeps the usual case, a success while closed, from writing or locking the shared row.
_RECORD_SUCCESS = """
    WITH before AS MATERIALIZED (
        SELECT name, opened_until FROM workflow_connectorstate
        WHERE name = %s AND (consecutive_failures > 0 OR opened_until IS NOT NULL)
        FOR UPDATE
    )
    UPDATE workflow_connectorstate state
    SET consecutive_failures = 0, opened_until = NULL, probe_at = NULL,
        updated_at = clock_timestamp()
    FROM before WHERE state.name = before.name
    RETURNING before.opened_until IS NOT NULL
"""

_PROBE_IS_FREE = "(probe_at IS NULL OR probe_at <= clock_timestamp() - %s * interval '1 second')"
_BLOCKED = f"""
    SELECT name FROM workflow_connectorstate
    WHERE opened_until > clock_timestamp() OR (opened_until IS NOT NULL AND NOT {_PROBE_IS_FREE})
"""
_HALF_OPEN = f"""
    SELECT name FROM workflow_connectorstate
    WHERE opened_until <= clock_timestamp() AND {_PROBE_IS_FREE}
"""
_CLAIM_PROBE = f"""
    UPDATE workflow_connectorstate SET probe_at = clock_timestamp()
    WHERE name = %s AND opened_until <= clock_timestamp() AND {_PROBE_IS_FREE}
"""

_GIVE_BACK_PROBE = "UPDATE workflow_connectorstate SET probe_at = NULL WHERE name = %s"


def record_results(name: str, successes: int, failures: int, last_error: str) -> bool:
    """
    This function will count what became of a batch of calls, and say if that closed the breaker.

    A refusal (`Refused`) is a success here: the service is up. One success in the batch closes
    the breaker, since a service that answers some calls is worth calling. `NotCalled` is neither.
    """
    with connection.cursor() as cursor:
        if successes > 0:
            cursor.execute(_RECORD_SUCCESS, [name])
            row = cursor.fetchone()
            return row is not None and bool(row[0])
        if failures > 0:
            parameters: dict[str, str | int | float] = {
                "name": name,
                "failures": failures,
                "threshold": FAILURES_TO_OPEN,
                "error": last_error[:LONGEST_ERROR],
                "first": FIRST_OPEN_SECONDS,
                "longest": LONGEST_OPEN_SECONDS,
                "doublings": DOUBLINGS,
            }
            cursor.execute(_RECORD_FAILURES, parameters)
    return False


def blocked_connectors() -> frozenset[str]:
    """This function will name the connectors that must not be called: open, or being probed."""
    return _names(_BLOCKED)


def half_open_connectors() -> frozenset[str]:
    """This function will name the open connectors whose probe is due and not yet claimed."""
    return _names(_HALF_OPEN)


def claim_probe(name: str) -> bool:
    """This function will let one caller through to a half-open connector: True for the winner."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_PROBE, [name, probe_seconds()])
        return bool(cursor.rowcount == 1)


def give_back_probe(name: str) -> None:
    """This function will let another caller probe, when the winner has nothing to send."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK_PROBE, [name])


def probe_seconds() -> float:
    """This function will return for how long a claimed probe keeps others away."""
    return settings.CONNECTOR_TIMEOUT_SECONDS + PROBE_MARGIN_SECONDS


def _names(statement: str) -> frozenset[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [probe_seconds()])
        return frozenset(row[0] for row in cursor.fetchall())
