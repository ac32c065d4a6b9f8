"""
Modifications of orders that are being handled: what is asked, what it comes to, how it is applied.

`asking` reads the contract's body, `pricing` works out lines and totals in whole cents (both
pure), `parts` reads the rows, `applying` writes them, `settling` takes the gateway's answers,
`telling` spells the contract's answers. The verbs are in `workflow.services.changes` (ADR 0011).
"""
