"""
One purchase of several sellers becomes one order per seller, and no cent is lost or made.

All amounts are whole cents. Shares are rounded by largest remainder: the sum is exact, and no
share is off by a cent or more.
"""

from collections.abc import Sequence


def apportion(amount: int, weights: Sequence[int]) -> list[int]:
    """
    This function will divide an amount by weights so that the parts add up to it exactly.

    Weights are not negative; where all are zero, the first part takes all. With `amount` at most
    the sum of the weights, no part exceeds its weight.
    """
    total = sum(weights)
    if total == 0:
        return [amount, *(0 for _ in weights[1:])]
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda index: (-(amount * weights[index] % total), index)
    )
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def apportion_payments(payments: Sequence[int], values: Sequence[int]) -> list[list[int]]:
    """
    This function will divide each payment over orders: one row per payment, one column per order.

    Each row adds up to its payment. When the payments pay exactly for the orders, each column adds
    up to its order's value as well; what is paid beyond it is divided by the orders' values.
    """
    unpaid = list(values)
    rows = []
    for payment in payments:
        fitting = min(payment, sum(unpaid))
        row = apportion(fitting, unpaid)
        unpaid = [left - part for left, part in zip(unpaid, row, strict=True)]
        beyond = apportion(payment - fitting, values)
        rows.append([part + more for part, more in zip(row, beyond, strict=True)])
    return rows


def unit_prices(total: int, quantity: int) -> list[tuple[int, int]]:
    """
    This function will spell a line's total as unit prices in whole cents: (price, how many) pairs.

    100 cents for 3 units are 2 units at 33 and 1 at 34.
    """
    low, dearer = divmod(total, quantity)
    return [
        (price, count) for price, count in ((low, quantity - dearer), (low + 1, dearer)) if count
    ]
