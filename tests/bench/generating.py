"""
Fills an empty, migrated database: orders, parts, ten events each, the ledger over all of them.

Orders are numbered 1 to N in the order of their creation over two years; `BEN-{n}-01` is the n-th.
Events lie on disk as time wrote them: those of one order far apart, one block of orders mixed.
Five of a hundred are open: nearly all of the last days, few of two months ago. Everything random
is a hash of n, so two runs are equal.

Run by the rig: `python -m tests.bench.generating ORDERS POOL`.
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
import orjson
import psycopg
from django.conf import settings
from tqdm import tqdm

from deploy.postgres import SUPERUSER

EVENTS_PER_ORDER = 10
# One order in the middle has a long history.
LONG_HISTORY = 200
BLOCK = 10_000
WRITERS = 2
FUNCTIONS = """
    CREATE FUNCTION bench_chance(n bigint, salt int) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
        (hashint8extended(n, salt) & 1048575)::float8 / 1048576.0;
"""

# {pool} orders at the young end rest in ready-for-handling: the measured moves start there.
ORDERS = """
    INSERT INTO orders_order (
        id, order_id, sequence, order_group, split_number, marketplace_order_id, seller_order_id,
        affiliate_id, origin, flow, sales_channel, seller_id, seller_name, delivery_channel,
        is_express, priority, currency, value_cents, item_count, is_complete, is_imported,
        created_at, shipping_estimate_at, extra, status, version, status_since, budget_ends_at,
        last_change_at, authorized_at, invoiced_at, canceled_at, cancel_reason
    )
    SELECT n, 'BEN-' || n || '-01', 500000 + n * 5, 'BEN-' || n, 1, 'B' || n, '',
           CASE WHEN flow = 'complete' THEN 'STO' ELSE 'MKP' END,
           CASE WHEN flow = 'complete' THEN 'Marketplace' ELSE 'Fulfillment' END, flow,
           (1 + floor(8 * power(bench_chance(n, 1), 3)))::text, 'seller-' || seller,
           'Seller number ' || seller,
           CASE WHEN is_urgent AND bench_chance(n, 4) < 0.5 THEN 'pickup-in-point'
                ELSE 'delivery' END,
           is_urgent AND bench_chance(n, 4) >= 0.5, CASE WHEN is_urgent THEN 0 ELSE 10 END,
           'BRL', 1000 + (bench_chance(n, 5) * 90000)::int, 1 + n %% 2, true, false,
           at, at + interval '5 days', %(order_extra)s::jsonb, status,
           CASE WHEN n = %(long)s THEN %(long_history)s ELSE %(events)s END,
           at + interval '3 days',
           CASE WHEN is_open THEN now() + interval '10 years' * bench_chance(n, 6) END,
           at + interval '3 days', at + interval '1 hour',
           CASE WHEN status = 'invoiced' THEN at + interval '3 days' END,
           CASE WHEN status = 'canceled' THEN at + interval '3 days' END,
           CASE WHEN status = 'canceled' THEN 'Customer gave up' ELSE '' END
    FROM (
        SELECT n, at, flow, seller, is_urgent, is_open, CASE
            WHEN n > %(total)s - %(pool)s THEN 'ready-for-handling'
            WHEN NOT is_open AND state < 0.06 THEN 'canceled'
            WHEN NOT is_open AND state < 0.061 THEN 'replaced'
            WHEN NOT is_open THEN 'invoiced'
            WHEN state < 0.01 THEN 'cancellation-requested'
            WHEN state < 0.05 THEN 'waiting-for-authorization'
            WHEN state < 0.20 THEN 'payment-pending'
            WHEN state < 0.40 THEN 'window-to-cancel'
            WHEN state < 0.60 THEN 'ready-for-handling'
            WHEN state < 0.95 THEN 'handling'
            ELSE 'ready-for-invoicing' END AS status
        FROM (
            SELECT n, now() - interval '730 days' * ((%(total)s - n)::float8 / %(total)s) AS at,
                   CASE WHEN bench_chance(n, 2) < 0.6 THEN 'complete' ELSE 'fulfillment' END AS flow,
                   (1 + floor(2000 * power(bench_chance(n, 3), 4)))::int AS seller,
                   bench_chance(n, 7) < 0.2 AS is_urgent,
                   bench_chance(n, 12) < exp(-20.0 * (%(total)s - n) / %(total)s) AS is_open,
                   bench_chance(n, 8) AS state
            FROM generate_series(%(low)s::bigint, %(high)s::bigint) AS n
        ) drawn
    ) placed
"""

CLIENTS = """
    INSERT INTO orders_clientprofile (
        order_id, email, first_name, last_name, document_type, document, phone, corporate_name,
        corporate_document, is_corporate, email_key, document_key, phone_key, extra
    )
    SELECT n, 'client' || c || '@example.com', 'Name' || c %% 5000, 'Family' || c %% 7919, 'cpf',
           lpad(c::text, 11, '9'), '+5511' || lpad((c * 7919 %% 1000000000)::text, 9, '9'),
           '', '', false, 'client' || c || '@example.com', lpad(c::text, 11, '9'),
           '11' || lpad((c * 7919 %% 1000000000)::text, 9, '9'), %(client_extra)s::jsonb
    FROM (
        SELECT n, (bench_chance(n, 9) * %(total)s * 0.6)::bigint AS c
        FROM generate_series(%(low)s::bigint, %(high)s::bigint) AS n
    ) drawn
"""

# Every second order has two lines. Ids leave room: the order's number times two.
ITEMS = """
    INSERT INTO orders_item (
        id, order_id, unique_id, index, sku_id, seller_id, name, ref_id, quantity, price_cents,
        list_price_cents, selling_price_cents, tax_cents, is_gift, extra
    )
    SELECT o.id * 2 + line, o.id, 'B' || o.id || 'L' || line, line,
           (1 + bench_chance(o.id * 2 + line, 10) * 20000)::int, o.seller_id,
           'Product of line ' || line, '', 1, o.value_cents / o.item_count, o.value_cents,
           o.value_cents / o.item_count, 0, false, %(item_extra)s::jsonb
    FROM orders_order o CROSS JOIN LATERAL generate_series(0, o.item_count - 1) AS line
    WHERE o.id BETWEEN %(low)s AND %(high)s
"""

PAYMENTS = """
    INSERT INTO orders_payment (
        id, order_id, index, transaction_index, transaction_id, payment_id, payment_system,
        payment_system_name, "group", value_cents, installments, status, captured_cents, tid, extra
    )
    SELECT o.id, o.id, 0, 0, 'T' || o.id, 'P' || o.id, '2', 'Visa', 'creditCard', o.value_cents, 1,
           CASE WHEN o.status = 'invoiced' THEN 'captured' ELSE 'approved' END,
           CASE WHEN o.status = 'invoiced' THEN o.value_cents ELSE 0 END, '',
           %(payment_extra)s::jsonb
    FROM orders_order o WHERE o.id BETWEEN %(low)s AND %(high)s
"""

PACKAGES = """
    INSERT INTO orders_package (
        id, order_id, index, type, invoice_number, invoice_value_cents, invoice_key, invoice_url,
        embedded_invoice, issued_at, courier, tracking_number, tracking_url, dispatched_at,
        is_delivered, delivered_at, is_settled, receipt, created_at, extra
    )
    SELECT o.id, o.id, 0, 'Output', 'NF' || o.id, o.value_cents, '', '', '', o.invoiced_at,
           'Carrier ' || o.id %% 7, 'BR' || o.id || 'X', '', o.invoiced_at, true,
           o.invoiced_at + interval '4 days', true, NULL, o.invoiced_at, '{}'
    FROM orders_order o WHERE o.id BETWEEN %(low)s AND %(high)s AND o.status = 'invoiced'
"""

PACKAGE_ITEMS = """
    INSERT INTO orders_packageitem (
        package_id, index, item_id, quantity, price_cents, description, extra
    )
    SELECT p.id, i.index, i.id, i.quantity, i.price_cents, '', '{}'
    FROM orders_package p JOIN orders_item i ON i.order_id = p.order_id
    WHERE p.id BETWEEN %(low)s AND %(high)s
"""

# The ids of a block's events: first the first of all its orders, then the second of all.
EVENTS = """
    INSERT INTO orders_orderevent (
        id, order_id, seq, kind, actor, reason, status, last_status, occurred_at, last_change_at,
        changes, data, fingerprint, parts_fingerprint
    )
    SELECT (%(low)s - 1) * %(events)s + (seq - 1) * (%(high)s - %(low)s + 1) + o.id - %(low)s + 1,
           o.id, seq, 'order.moved', 'role:workflow', '',
           CASE WHEN seq = %(events)s THEN o.status ELSE path[seq] END,
           CASE WHEN seq = 1 THEN 'null' ELSE path[seq - 1] END,
           o.created_at + interval '7 hours' * (seq - 1),
           CASE WHEN seq > 1 THEN o.created_at + interval '7 hours' * (seq - 2) END,
           jsonb_build_object('status', jsonb_build_array(
               CASE WHEN seq = 1 THEN 'null' ELSE path[seq - 1] END,
               CASE WHEN seq = %(events)s THEN o.status ELSE path[seq] END)),
           '{}',
           CASE WHEN seq = o.version THEN order_fingerprint(o) END,
           CASE WHEN seq = o.version THEN order_parts_fingerprint(o.id) END
    FROM orders_order o
    CROSS JOIN generate_series(1, %(events)s) AS seq
    CROSS JOIN (SELECT ARRAY['order-created', 'on-order-completed', 'waiting-for-authorization',
        'payment-pending', 'approve-payment', 'payment-approved', 'authorize-fulfillment',
        'window-to-cancel', 'handling', 'invoice']) AS p (path)
    WHERE o.id BETWEEN %(low)s AND %(high)s
    ORDER BY seq, o.id
"""

LEDGER = """
    INSERT INTO orders_ledgerentry (position, event_id)
    SELECT n, n FROM generate_series((%(low)s - 1) * %(events)s + 1, %(high)s * %(events)s) AS n
"""

# Timers lie years ahead, so that a copy used later has none of them due.
WORK_ITEMS = """
    INSERT INTO workflow_workitem (
        order_id, step, connector, priority, due_at, next_attempt_at, leased_by, fence, attempts,
        last_error, cause, created_at
    )
    SELECT o.id, step, connector, o.priority, due, due, '', 0, 0, '', '', o.created_at
    FROM orders_order o
    CROSS JOIN LATERAL (VALUES
        ('window-to-cancel', 'close-window-to-cancel', ''),
        ('payment-pending', 'authorize-payment', 'payments'),
        ('payment-pending', 'cancel-overdue', ''),
        ('waiting-for-authorization', 'reserve-stock', 'stock'),
        ('waiting-for-authorization', 'cancel-overdue', ''),
        ('cancellation-requested', 'cancel-overdue', '')
    ) AS opened (status, step, connector)
    CROSS JOIN LATERAL (
        SELECT now() + interval '1 year' + interval '9 years' * bench_chance(o.id, 11) AS due
    ) at
    WHERE o.id BETWEEN %(low)s AND %(high)s AND opened.status = o.status
"""

# What triggers would have kept: they do not fire here. One order in five has facts of its document.
LIST_FACTS = """
    INSERT INTO orders_listfacts (
        order_id, utm_source, promotion_names, operator_name, operator_email, is_in_store,
        gift_list_id, gift_list_type
    )
    SELECT n, 'source-' || (1 + floor(50 * power(bench_chance(n, 13), 3))),
           CASE WHEN bench_chance(n, 14) < 0.5
                THEN jsonb_build_array('Promotion ' || (bench_chance(n, 15) * 200)::int)
                ELSE '[]' END,
           CASE WHEN bench_chance(n, 16) < 0.1 THEN 'Operator ' || n %% 20 ELSE '' END, '',
           bench_chance(n, 17) < 0.1, CASE WHEN n %% 1000 = 0 THEN 'L' || n ELSE '' END, ''
    FROM generate_series(%(low)s::bigint, %(high)s::bigint) AS n WHERE n %% 5 = 0
"""
SELLER_NAMES = """
    INSERT INTO orders_sellername (name, seller_id)
    SELECT DISTINCT seller_name, seller_id FROM orders_order
"""

LONG = """
    INSERT INTO orders_orderevent (
        id, order_id, seq, kind, actor, reason, status, last_status, occurred_at, last_change_at,
        changes, data, fingerprint, parts_fingerprint
    )
    SELECT %(total)s * %(events)s + seq - %(events)s, o.id, seq, 'package.tracked', 'role:workflow', '',
           o.status, o.status, o.created_at + interval '3 hours' * seq, o.created_at,
           '{"tracking": [null, "On its way"]}', '{}',
           CASE WHEN seq = o.version THEN order_fingerprint(o) END,
           CASE WHEN seq = o.version THEN order_parts_fingerprint(o.id) END
    FROM orders_order o CROSS JOIN generate_series(%(events)s + 1, %(long_history)s) AS seq
    WHERE o.id = %(long)s
"""
LONG_LEDGER = """
    INSERT INTO orders_ledgerentry (position, event_id)
    SELECT n, n FROM generate_series(%(total)s * %(events)s + 1,
                                     %(total)s * %(events)s + %(long_history)s - %(events)s) AS n
"""
PER_BLOCK = (
    ORDERS,
    CLIENTS,
    ITEMS,
    PAYMENTS,
    PACKAGES,
    PACKAGE_ITEMS,
    EVENTS,
    LEDGER,
    WORK_ITEMS,
    LIST_FACTS,
)

SEQUENCES = (
    ("orders_order_id_seq", "orders_order", "id"),
    ("orders_item_id_seq", "orders_item", "id"),
    ("orders_payment_id_seq", "orders_payment", "id"),
    ("orders_package_id_seq", "orders_package", "id"),
    ("orders_orderevent_id_seq", "orders_orderevent", "id"),
    ("orders_number_seq", "orders_order", "sequence"),
)


def main(total: int, pool: int) -> None:
    django.setup()
    facts = {
        "total": total,
        "pool": pool,
        "events": EVENTS_PER_ORDER,
        "long": total // 2,
        "long_history": LONG_HISTORY,
        **_real_extras(),
    }
    started = time.monotonic()
    with _superuser() as connection:
        connection.execute(FUNCTIONS)
        _fill(facts)
        connection.execute(SELLER_NAMES)
        connection.execute(LONG, facts)
        connection.execute(LONG_LEDGER, facts)
        for name, table, column in SEQUENCES:
            connection.execute(f"SELECT setval('{name}', (SELECT max({column}) FROM {table}))")
        connection.execute("DROP FUNCTION bench_chance")
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")
    print(f"{total:,} orders generated in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _superuser() -> psycopg.Connection[Any]:
    """Foreign keys and append-only triggers do not fire: what is written here fits together."""
    database = settings.DATABASES["default"]
    return psycopg.connect(
        host=str(database["HOST"]),
        dbname=str(database["NAME"]),
        user=SUPERUSER,
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
        options="-c session_replication_role=replica",
    )


def _fill(facts: dict[str, Any]) -> None:
    blocks = list(_blocks(facts["total"]))
    with ThreadPoolExecutor(WRITERS) as writers, tqdm(total=facts["total"], unit="orders") as bar:
        for written in writers.map(lambda block: _fill_block(block, facts), blocks):
            bar.update(written)


def _blocks(total: int) -> Iterator[tuple[int, int]]:
    for low in range(1, total + 1, BLOCK):
        yield low, min(low + BLOCK - 1, total)


def _fill_block(block: tuple[int, int], facts: dict[str, Any]) -> int:
    low, high = block
    with _superuser() as connection, connection.transaction():
        for statement in PER_BLOCK:
            connection.execute(statement, {**facts, "low": low, "high": high})
    return high - low + 1


def _real_extras() -> dict[str, str]:
    """What a placed order keeps besides its columns: taken from one that is placed and undone."""
    from django.db import transaction

    from oms.orders.models import Affiliate, Order
    from tests.bench.purchases import purchase
    from workflow.services.placing import place_orders

    with transaction.atomic():
        Affiliate.objects.create(affiliate_id="BEN", name="Bench", flow="complete")
        place_orders([purchase(0)], affiliate_id="BEN", sales_channel="1", actor="role:command")
        order = Order.objects.get(affiliate_id="BEN")
        found = {
            "order_extra": order.extra,
            "client_extra": order.client_profile.extra,
            "item_extra": order.items.get(index=0).extra,
            "payment_extra": order.payments.get(index=0).extra,
        }
        transaction.set_rollback(True)
    return {name: orjson.dumps(extra).decode() for name, extra in found.items()}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
