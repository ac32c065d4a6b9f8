"""
Which events a key may be told of: those of its sellers' and affiliates' orders.

An order that another seller took over was its former seller's until then. What happened up to and
with that change is told to the former seller's key too, however late it reads: else its ERP would
never hear that it has lost the order, and would ship it.
"""

from typing import Final

# SQL over a key or its like `k`, an order `o` and its event `e` (`order_id`, `seq`). Who had the
# order at the event is told by the first change of seller from there on; without one, by the order.
IS_IN_SCOPE: Final = """
    (k.affiliate_ids IS NULL OR o.affiliate_id = ANY (k.affiliate_ids))
    AND (k.seller_ids IS NULL OR o.seller_id = ANY (k.seller_ids) OR (
        SELECT change.changes -> 'seller_id' ->> 0 FROM orders_orderevent change
        WHERE change.order_id = e.order_id AND change.seq >= e.seq
          AND change.kind = 'order.seller-changed'
        ORDER BY change.seq LIMIT 1
    ) = ANY (k.seller_ids))
"""
