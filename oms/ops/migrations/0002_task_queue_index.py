"""The task queue's table comes without an index: every poll of a cluster reads all of it."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("ops", "0001_heartbeats_and_audit"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations: ClassVar = [
        migrations.RunSQL(
            "CREATE INDEX ops_task_queue_by_key_and_lock ON django_q_ormq (key, lock);"
            "ALTER TABLE django_q_ormq SET (autovacuum_vacuum_scale_factor = 0,"
            " autovacuum_vacuum_threshold = 1000)",
            "DROP INDEX ops_task_queue_by_key_and_lock;"
            "ALTER TABLE django_q_ormq RESET (autovacuum_vacuum_scale_factor,"
            " autovacuum_vacuum_threshold)",
        )
    ]
