"""Logs of integrations and messages of buyers, beside the order; the log is append-only."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

TRIGGERS = """
CREATE TRIGGER orders_interaction_append_only BEFORE UPDATE OR DELETE ON orders_interaction
    FOR EACH ROW EXECUTE FUNCTION orders_refuse_change();
CREATE TRIGGER orders_interaction_no_truncate BEFORE TRUNCATE ON orders_interaction
    FOR EACH STATEMENT EXECUTE FUNCTION orders_refuse_change();
"""
DROP_TRIGGERS = """
DROP TRIGGER orders_interaction_append_only ON orders_interaction;
DROP TRIGGER orders_interaction_no_truncate ON orders_interaction;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0011_fill_list_facts"),
    ]

    operations = [
        migrations.CreateModel(
            name="ConversationMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.CharField(max_length=160)),
                ("sender_name", models.CharField(blank=True, max_length=160)),
                ("sender_email", models.CharField(max_length=254)),
                ("sender_role", models.CharField(blank=True, max_length=40)),
                ("recipients", models.JSONField(default=list)),
                ("subject", models.CharField(blank=True, max_length=400)),
                ("body", models.TextField(blank=True)),
                ("first_words", models.CharField(blank=True, max_length=200)),
                ("attachment_names", models.JSONField(default=list)),
                ("sent_at", models.DateTimeField()),
                (
                    "order",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("order"),
                        models.OrderBy(models.F("sent_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="message_newest_of_order",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("order", "message_id"), name="message_once_per_order"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Interaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(max_length=160)),
                ("message", models.TextField()),
                ("actor", models.CharField(max_length=160)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "order",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="interactions",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("order"),
                        models.OrderBy(models.F("id"), descending=True),
                        name="interaction_newest_of_order",
                    )
                ],
            },
        ),
        migrations.RunSQL(TRIGGERS, DROP_TRIGGERS),
    ]
