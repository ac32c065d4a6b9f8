"""
The other side of the connectors: antifraud, payments, stock and carrier, over real HTTP.

For the demo, the tests and an integrator's desk. It keeps its books apart from ours, in a file,
and so can tell whether an effect happened twice. It imports nothing of the product.
"""
