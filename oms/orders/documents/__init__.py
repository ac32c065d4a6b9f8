"""
The order's document, in and out. One way through: a document or a purchase becomes a draft
(`reading`, `placement`), a draft becomes rows (`oms.orders.writing`), rows become a document again
(`building`). Everything here but the queries of `building` is pure.
"""
