"""PostgreSQL's clock: the only one that leases, timers and ages are measured by."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """
    This function will ask PostgreSQL what time it is, with time zone.

    It moves on inside a transaction (`clock_timestamp`), unlike SQL's `now()`.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]
