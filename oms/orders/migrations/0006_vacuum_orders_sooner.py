"""
Every move leaves a dead row and dead index entries, most of them among the youngest orders: where
all lists begin. By PostgreSQL's default a vacuum waits for a fifth of the table, two million dead
rows in ten million orders; the list of open orders then took 71 ms for 2 (docs/benchmarks.md).
"""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orders", "0005_order_by_status")]

    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE orders_order SET (autovacuum_vacuum_scale_factor = 0.03, "
            "autovacuum_vacuum_threshold = 5000)",
            "ALTER TABLE orders_order RESET (autovacuum_vacuum_scale_factor, "
            "autovacuum_vacuum_threshold)",
        )
    ]
