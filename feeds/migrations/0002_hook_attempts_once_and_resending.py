"""A hook's attempt is kept once per item and number; an item that is sent again begins anew."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("feeds", "0001_subscriptions_and_queue"),
    ]

    operations = [
        migrations.AddField(
            model_name="queueitem",
            name="schedule_from",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="hookattempt",
            name="item",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="hook_attempts",
                to="feeds.queueitem",
            ),
        ),
        migrations.AddConstraint(
            model_name="hookattempt",
            constraint=models.UniqueConstraint(
                fields=("item", "number"), name="hook_attempt_once_per_item_and_number"
            ),
        ),
    ]
