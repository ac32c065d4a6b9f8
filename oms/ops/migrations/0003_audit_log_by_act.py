"""Who revealed personal data, who forced a status: the audit log is read by act as well."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently: writing the log goes on while the index is built.
    atomic = False
    dependencies: ClassVar = [("ops", "0002_task_queue_index")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="auditentry",
            index=models.Index(fields=["action", "-id"], name="ops_auditentry_action"),
        )
    ]
