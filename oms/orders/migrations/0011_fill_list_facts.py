"""Facts of the orders that were there before the triggers: slice by slice, each its own commit."""

from typing import Any, ClassVar

from django.db import migrations

SLICE = 20_000


def fill(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM orders_order")
        last = cursor.fetchone()[0]
        for low in range(0, last, SLICE):
            bounds = [low, low + SLICE]
            cursor.execute(
                "INSERT INTO orders_listfacts SELECT f.* FROM orders_order o,"
                " orders_list_facts(o.id, o.extra) f WHERE o.id > %s AND o.id <= %s"
                " ON CONFLICT DO NOTHING",
                bounds,
            )
            cursor.execute(
                "INSERT INTO orders_sellername (name, seller_id)"
                " SELECT DISTINCT seller_name, seller_id FROM orders_order"
                " WHERE id > %s AND id <= %s AND seller_name <> '' AND seller_id <> ''"
                " ORDER BY 1, 2 ON CONFLICT DO NOTHING",
                bounds,
            )


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("orders", "0010_list_indexes")]

    operations: ClassVar = [migrations.RunPython(fill, migrations.RunPython.noop)]
