"""The figures of a list are those the contract publishes; and they are whole numbers."""

from typing import Any

import pytest

from oms.api.listing.answers import stats
from oms.orders.listing import Figures

# The sums of the contract's published list example (84 orders of two origins).
FULFILLMENT = Figures("Fulfillment", "BRL", 68, 1250, 11150, 94900, 229010000, 1, 1, 68, 68)
MARKETPLACE = Figures(
    "Marketplace", "BRL", 16, 1160, 21526180, 21969611, 463417210029853, 1, 89, 119, 8095
)
PUBLISHED_VALUE: dict[str, Any] = {
    "Count": 84,
    "Max": 21526180,
    "Mean": 262672.75,
    "Min": 1160,
    "Missing": 0,
    "StdDev": pytest.approx(2348087.3869179883),
    "Sum": 22064511,
    "SumOfSquares": 463417439039853,
}


def test_the_figures_are_those_of_the_published_example() -> None:
    told = stats([FULFILLMENT, MARKETPLACE])
    value, items = told["totalValue"], told["totalItems"]
    assert {key: value[key] for key in PUBLISHED_VALUE} == PUBLISHED_VALUE
    assert value["Facets"]["currencyCode"]["BRL"] == PUBLISHED_VALUE | {"Facets": None}
    assert value["Facets"]["origin"]["Fulfillment"] == {
        "Count": 68,
        "Max": 11150,
        "Mean": pytest.approx(1395.5882352941176),
        "Min": 1250,
        "Missing": 0,
        "StdDev": pytest.approx(1200.5513439298484),
        "Sum": 94900,
        "SumOfSquares": 229010000,
        "Facets": None,
    }
    assert items["Facets"]["origin"]["Marketplace"]["StdDev"] == pytest.approx(21.92401651157926)
    assert (items["Max"], items["Sum"], items["SumOfSquares"]) == (89, 187, 8163)


def test_money_is_exact_however_large_it_is_ki_756314() -> None:
    huge = 2**53 - 1
    one = Figures("Marketplace", "BRL", 3, huge, huge, 3 * huge, 3 * huge**2, 1, 1, 3, 3)
    told = stats([one])["totalValue"]
    assert (told["Max"], told["Sum"]) == (huge, 3 * huge)
    assert isinstance(told["Sum"], int)
    assert told["StdDev"] == 0
    assert told["SumOfSquares"] == pytest.approx(3 * huge**2)


def test_nothing_at_all_adds_up_to_zero() -> None:
    told = stats([])["totalValue"]
    assert (told["Count"], told["Sum"], told["Mean"], told["StdDev"]) == (0, 0, 0, 0)
    facets = told["Facets"]
    assert list(facets["origin"]) == ["Fulfillment", "Marketplace"]
    assert facets["origin"]["Fulfillment"]["Count"] == facets["currencyCode"]["BRL"]["Sum"] == 0
