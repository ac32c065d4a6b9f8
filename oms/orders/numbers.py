"""
Order numbers (`sequence`): from one PostgreSQL sequence, with gaps, so that nobody outside can
count orders (contract: research vtex-oms 1.6).
"""

from typing import Final

from django.db import connection, transaction

BIGGEST_GAP: Final = 9
# Numbers that others may take between our look at the sequence and our push.
PUSH_MARGIN: Final = 1_000
PUSH_LOCK: Final = int.from_bytes(b"sequence", "big", signed=True)

# Each number is the last of one to nine draws: unique under any concurrency, without a lock.
NEXT_SEQUENCES_SQL: Final = f"""
    SELECT max(drawn) FROM (
        SELECT ord, nextval('orders_number_seq') AS drawn
        FROM (
            SELECT ord, 1 + floor(random() * {BIGGEST_GAP})::int AS draws
            FROM generate_series(1, %s) AS ord
        ) AS wanted, generate_series(1, wanted.draws)
    ) AS numbers GROUP BY ord ORDER BY ord
"""


def next_sequences(count: int) -> list[int]:
    """This function will take `count` new order numbers, ascending, each 1 to 9 above the last."""
    if count == 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(NEXT_SEQUENCES_SQL, [count])
        return [row[0] for row in cursor.fetchall()]


def push_sequence_beyond(number: int) -> None:
    """
    This function will make later numbers larger than one that an import brought along.

    Sequences know no transactions: it holds even if the caller's is rolled back. One push at a
    time: of two at once, the lower could come second and set the sequence back.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUSH_LOCK])
        cursor.execute(
            "SELECT setval('orders_number_seq', %s) FROM orders_number_seq WHERE last_value <= %s",
            [number + PUSH_MARGIN, number],
        )
