"""
Facts that the order list filters by, kept by the database from its order rows.

From here on every order that is written leaves them, by old code as well; `0011_fill_list_facts`
adds those of the orders before.
"""

from typing import ClassVar

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

FUNCTIONS = r"""
CREATE FUNCTION orders_name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(btrim(regexp_replace(name, '\s+', ' ', 'g')));

CREATE FUNCTION orders_list_facts(pk bigint, extra jsonb) RETURNS SETOF orders_listfacts
LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM (SELECT
        pk AS order_id,
        left(coalesce(extra #>> '{marketingData,utmSource}', ''), 400) AS utm_source,
        coalesce((
            SELECT jsonb_agg(left(name #>> '{}', 400)) FROM jsonb_path_query(
                extra, '$.ratesAndBenefitsData.rateAndBenefitsIdentifiers[*].name'
            ) AS told (name) WHERE jsonb_typeof(name) = 'string'
        ), '[]') AS promotion_names,
        left(coalesce(extra #>> '{callCenterOperatorData,userName}', ''), 400) AS operator_name,
        left(coalesce(extra #>> '{callCenterOperatorData,email}', ''), 400) AS operator_email,
        coalesce(extra -> 'isCheckedIn' = 'true', false) AS is_in_store,
        left(coalesce(extra #>> '{giftRegistryData,giftRegistryId}', ''), 400) AS gift_list_id,
        left(coalesce(extra #>> '{giftRegistryData,giftRegistryTypeName}',
                      extra #>> '{giftRegistryData,giftRegistryType}', ''), 400) AS gift_list_type
    ) AS f
    WHERE f.utm_source <> '' OR f.promotion_names <> '[]' OR f.operator_name <> ''
       OR f.operator_email <> '' OR f.is_in_store OR f.gift_list_id <> ''
$$;

-- Restoring data alone writes orders with an empty search_path.
CREATE FUNCTION orders_keep_new_facts() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO orders_listfacts SELECT f.* FROM added, orders_list_facts(added.id, added.extra) f;
    -- In one order of names, so that two writers of new names cannot wait for each other.
    INSERT INTO orders_sellername (name, seller_id)
    SELECT DISTINCT a.seller_name, a.seller_id FROM added a
    WHERE a.seller_name <> '' AND a.seller_id <> '' AND NOT EXISTS (
        SELECT 1 FROM orders_sellername s
        WHERE s.name = a.seller_name AND s.seller_id = a.seller_id
    )
    ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION orders_keep_changed_facts() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM orders_listfacts WHERE order_id = NEW.id;
    INSERT INTO orders_listfacts SELECT f.* FROM orders_list_facts(NEW.id, NEW.extra) f;
    INSERT INTO orders_sellername (name, seller_id) SELECT NEW.seller_name, NEW.seller_id
    WHERE NEW.seller_name <> '' AND NEW.seller_id <> '' ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER orders_order_new_facts AFTER INSERT ON orders_order
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION orders_keep_new_facts();
CREATE TRIGGER orders_order_changed_facts
    AFTER UPDATE OF extra, seller_id, seller_name ON orders_order FOR EACH ROW
    WHEN ((OLD.extra, OLD.seller_id, OLD.seller_name)
          IS DISTINCT FROM (NEW.extra, NEW.seller_id, NEW.seller_name))
    EXECUTE FUNCTION orders_keep_changed_facts();
"""
DROP_FUNCTIONS = """
DROP TRIGGER orders_order_new_facts ON orders_order;
DROP TRIGGER orders_order_changed_facts ON orders_order;
DROP FUNCTION orders_keep_new_facts();
DROP FUNCTION orders_keep_changed_facts();
DROP FUNCTION orders_list_facts(bigint, jsonb);
DROP FUNCTION orders_name_key(text);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orders", "0008_take_snapshots")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ListFacts",
            fields=[
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="list_facts",
                        serialize=False,
                        to="orders.order",
                    ),
                ),
                ("utm_source", models.TextField(blank=True)),
                ("promotion_names", models.JSONField(default=list)),
                ("operator_name", models.TextField(blank=True)),
                ("operator_email", models.TextField(blank=True)),
                ("is_in_store", models.BooleanField(default=False)),
                ("gift_list_id", models.TextField(blank=True)),
                ("gift_list_type", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["utm_source"],
                        condition=~Q(utm_source=""),
                        name="list_facts_utm_source",
                    ),
                    models.Index(
                        fields=["operator_name"],
                        condition=~Q(operator_name=""),
                        name="list_facts_operator_name",
                    ),
                    models.Index(
                        fields=["operator_email"],
                        condition=~Q(operator_email=""),
                        name="list_facts_operator_email",
                    ),
                    models.Index(
                        fields=["gift_list_id"],
                        condition=~Q(gift_list_id=""),
                        name="list_facts_gift_list",
                    ),
                    models.Index(
                        fields=["order"],
                        condition=Q(is_in_store=True),
                        name="list_facts_in_store",
                    ),
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["promotion_names"],
                        opclasses=["jsonb_path_ops"],
                        name="list_facts_promotions",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SellerName",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seller_id", models.CharField(max_length=80)),
                ("name", models.CharField(max_length=160)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["name", "seller_id"], name="seller_name_once")
                ],
            },
        ),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
    ]
