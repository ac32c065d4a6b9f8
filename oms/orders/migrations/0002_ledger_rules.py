"""
What the database itself guards: append-only timeline and ledger, fingerprints, order numbers.

`order_fingerprint` and `order_parts_fingerprint` hash only values whose text does not depend on
settings of the session, so that they compare equal after dump and restore.
"""

from typing import ClassVar

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION orders_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'Record a new event that says what is different now.';
END $$;
"""

TRIGGERS = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION orders_refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION orders_refuse_change();
"""
DROP_TRIGGERS = """
DROP TRIGGER {table}_append_only ON {table};
DROP TRIGGER {table}_no_truncate ON {table};
"""

FINGERPRINTS = """
CREATE FUNCTION order_fingerprint(o orders_order) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(md5(ROW(
        o.order_id, o.sequence, o.order_group, o.split_number, o.marketplace_order_id,
        o.seller_order_id, o.affiliate_id, o.origin, o.flow, o.sales_channel, o.seller_id,
        o.seller_name, o.delivery_channel, extract(epoch FROM o.shipping_estimate_at),
        o.is_imported, o.is_express, o.priority, o.currency, o.value_cents, o.item_count, o.is_complete,
        o.status, o.version, extract(epoch FROM o.created_at), extract(epoch FROM o.status_since),
        extract(epoch FROM o.last_change_at), extract(epoch FROM o.authorized_at),
        extract(epoch FROM o.invoiced_at), extract(epoch FROM o.canceled_at), o.cancel_reason
    )::text), 16))::bit(64)::bigint
$$;

CREATE FUNCTION order_parts_fingerprint(pk bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(md5(concat(
        (SELECT md5(o.extra::text) FROM orders_order o WHERE o.id = pk),
        (SELECT ROW(c.email, c.first_name, c.last_name, c.document_type, c.document, c.phone,
                    c.corporate_name, c.corporate_document, c.is_corporate)::text
         FROM orders_clientprofile c WHERE c.order_id = pk),
        (SELECT string_agg(ROW(i.unique_id, i.sku_id, i.seller_id, i.name, i.ref_id, i.quantity,
                               i.price_cents, i.list_price_cents, i.selling_price_cents,
                               i.tax_cents, i.is_gift)::text, ',' ORDER BY i.index)
         FROM orders_item i WHERE i.order_id = pk),
        (SELECT string_agg(ROW(p.transaction_id, p.payment_id, p.payment_system, p.group,
                               p.value_cents, p.installments, p.status, p.captured_cents,
                               p.tid)::text, ',' ORDER BY p.index)
         FROM orders_payment p WHERE p.order_id = pk),
        (SELECT string_agg(ROW(p.type, p.invoice_number, p.invoice_value_cents, p.invoice_key,
                               p.invoice_url, extract(epoch FROM p.issued_at), p.courier,
                               p.tracking_number, p.tracking_url,
                               extract(epoch FROM p.dispatched_at), p.is_delivered,
                               extract(epoch FROM p.delivered_at), p.is_settled)::text, ',' ORDER BY p.index)
         FROM orders_package p WHERE p.order_id = pk)
    )), 16))::bit(64)::bigint
$$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("orders", "0001_orders_and_timeline")]

    operations: ClassVar = [
        migrations.RunSQL(APPEND_ONLY, "DROP FUNCTION orders_refuse_change()"),
        *(
            migrations.RunSQL(TRIGGERS.format(table=table), DROP_TRIGGERS.format(table=table))
            for table in ("orders_orderevent", "orders_ledgerentry")
        ),
        migrations.RunSQL(
            FINGERPRINTS,
            "DROP FUNCTION order_fingerprint(orders_order); DROP FUNCTION order_parts_fingerprint(bigint)",
        ),
        migrations.RunSQL(
            "CREATE SEQUENCE orders_number_seq START 500001", "DROP SEQUENCE orders_number_seq"
        ),
        # Every transition rewrites the order row: room on its page keeps the new version near.
        migrations.RunSQL(
            "ALTER TABLE orders_order SET (fillfactor = 85)",
            "ALTER TABLE orders_order RESET (fillfactor)",
        ),
        # Rows come and go within seconds: vacuum by number of dead rows, not by share of the table.
        migrations.RunSQL(
            "ALTER TABLE orders_unnumberedevent SET (autovacuum_vacuum_scale_factor = 0, "
            "autovacuum_vacuum_threshold = 5000)",
            "ALTER TABLE orders_unnumberedevent RESET (autovacuum_vacuum_scale_factor, "
            "autovacuum_vacuum_threshold)",
        ),
    ]
