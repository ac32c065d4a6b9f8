"""Outside services that an order's steps call: antifraud, payments, stock, carrier."""
