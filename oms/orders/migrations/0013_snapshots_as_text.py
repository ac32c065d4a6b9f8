"""
A snapshot's rows are kept as text: nobody looks into them in SQL, and text is a third cheaper to write.

lz4 where the server has it compresses them in no time; pglz takes longer than all the rest.
"""

from typing import ClassVar

from django.db import migrations, models

FUNCTION = """
CREATE OR REPLACE FUNCTION orders_take_snapshots(versions json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM orders_snapshotdemand) THEN
        INSERT INTO orders_documentsnapshot (event_id, rows)
        SELECT e.id, json{b}_build_object({parts}){cast}
        FROM json_to_recordset(versions) AS v (order_pk bigint, seq int)
        JOIN orders_orderevent e ON e.order_id = v.order_pk AND e.seq = v.seq;
    END IF;
END $$;
"""
OF_ORDERS = (
    "clientprofile",
    "item",
    "payment",
    "package",
    "change",
    "cancellationrequest",
)
OF_PACKAGES = ("packageitem", "trackingevent")


def take_snapshots(b: str, row: str, cast: str) -> str:
    """This function will write the function with json or jsonb, the same in all else."""

    def part(table: str, condition: str, join: str = "") -> str:
        return f"'{table}', (SELECT json{b}_agg({row}(t)) FROM {table} t {join} WHERE {condition})"

    join = "JOIN orders_package p ON p.id = t.package_id"
    parts = [
        part("orders_order", "t.id = e.order_id"),
        *(part(f"orders_{name}", "t.order_id = e.order_id") for name in OF_ORDERS),
        *(part(f"orders_{name}", "p.order_id = e.order_id", join) for name in OF_PACKAGES),
        part(
            "orders_orderevent",
            "t.order_id = e.order_id AND t.status = 'cancel' AND t.last_status <> 'cancel'",
        ),
    ]
    return FUNCTION.format(b=b, parts=", ".join(parts), cast=cast)


COMPRESS = """
DO $$ BEGIN
    ALTER TABLE orders_documentsnapshot ALTER COLUMN rows SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orders", "0012_interactions_and_messages")]

    operations: ClassVar = [
        # In this order: the former function can write text too, the new one nothing else.
        migrations.AlterField("documentsnapshot", "rows", models.TextField()),
        migrations.RunSQL(
            take_snapshots("", "row_to_json", "::text"), take_snapshots("b", "to_jsonb", "")
        ),
        migrations.RunSQL(COMPRESS, migrations.RunSQL.noop),
    ]
