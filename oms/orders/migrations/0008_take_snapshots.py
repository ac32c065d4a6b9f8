"""
The statement that leaves a snapshot, as a function: its plans are kept by the connection.

As plain SQL it would be planned at every event, also while nobody wants snapshots. Rows are taken
whole, `to_jsonb(t)`, so a column that is added later is in them without another migration.
"""

from typing import ClassVar

from django.db import migrations

TAKE_SNAPSHOTS = """
CREATE FUNCTION orders_take_snapshots(versions json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM orders_snapshotdemand) THEN
        INSERT INTO orders_documentsnapshot (event_id, rows)
        SELECT e.id, jsonb_build_object(
            'orders_order',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_order t WHERE t.id = e.order_id),
            'orders_clientprofile',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_clientprofile t WHERE t.order_id = e.order_id),
            'orders_item',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_item t WHERE t.order_id = e.order_id),
            'orders_payment',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_payment t WHERE t.order_id = e.order_id),
            'orders_package',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_package t WHERE t.order_id = e.order_id),
            'orders_packageitem',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_packageitem t
             JOIN orders_package p ON p.id = t.package_id WHERE p.order_id = e.order_id),
            'orders_trackingevent',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_trackingevent t
             JOIN orders_package p ON p.id = t.package_id WHERE p.order_id = e.order_id),
            'orders_change',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_change t WHERE t.order_id = e.order_id),
            'orders_cancellationrequest',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_cancellationrequest t
             WHERE t.order_id = e.order_id),
            'orders_orderevent',
            (SELECT jsonb_agg(to_jsonb(t)) FROM orders_orderevent t
             WHERE t.order_id = e.order_id AND t.status = 'cancel' AND t.last_status <> 'cancel')
        )
        FROM json_to_recordset(versions) AS v (order_pk bigint, seq int)
        JOIN orders_orderevent e ON e.order_id = v.order_pk AND e.seq = v.seq;
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orders", "0007_document_snapshots")]

    operations: ClassVar = [
        migrations.RunSQL(TAKE_SNAPSHOTS, "DROP FUNCTION orders_take_snapshots(json)"),
    ]
