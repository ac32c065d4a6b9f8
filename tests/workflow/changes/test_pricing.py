"""What changes come to, in whole cents: examples, and properties of any change."""

import contextlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workflow.changes.bodies import add, body, item, remove, swap
from workflow.changes.asking import read_change
from workflow.changes.pricing import Line, Plan, half_up, make_plan, merged, spelled, split_prices
from workflow.services.refusals import InvalidInput


def line(unique_id: str, sku: str, *prices: tuple[int, int], **given: Any) -> Line:
    facts: dict[str, Any] = {
        "pk": sum(map(ord, unique_id)),
        "unique_id": unique_id,
        "sku_id": sku,
        "seller_id": "1",
        "name": sku.title(),
        "price_cents": prices[0][0],
        "prices": prices,
    }
    return Line(**facts | given)


def plan(asked: dict[str, Any], *lines: Line, **given: Any) -> Plan:
    return make_plan(read_change(asked), lines, new_id=lambda n: f"NEW-{n}", **given)


@pytest.mark.parametrize(
    ("value", "cents"),
    [("0", 0), ("0.4", 0), ("0.5", 1), ("1.5", 2), ("2.5", 3), ("66.66", 67), ("-0.5", 0)],
)
def test_half_a_cent_goes_up(value: str, cents: int) -> None:
    assert half_up(Fraction(value)) == cents


@pytest.mark.parametrize(("number", "text"), [("0.3333", "0.3333"), ("2", "2"), ("0.1", "0.1")])
def test_a_multiplier_is_spelled_as_a_decimal(number: str, text: str) -> None:
    assert spelled(Fraction(number)) == text


def test_the_dearest_units_go_first() -> None:
    priced = plan(remove(item(1, id="cup")), line("A", "cup", (33, 2), (34, 1)))
    assert priced.after[0].prices == ((33, 2),)
    assert priced.difference_cents == -34


def test_a_discount_given_to_a_line_goes_with_its_units() -> None:
    priced = plan(remove(item(1, id="cup")), line("A", "cup", (80, 2), price_cents=100))
    assert priced.totals == {
        "Items": -100,
        "Discounts": 20,
        "Shipping": 0,
        "Tax": 0,
        "ManualValues": 0,
    }


def test_tax_follows_the_goods() -> None:
    priced = plan(remove(item(1, id="cup")), line("A", "cup", (100, 3), tax_cents=50))
    assert (priced.after[0].tax_cents, priced.totals["Tax"]) == (33, -17)


@pytest.mark.parametrize(
    ("multiplier", "unit"), [(0.5, 383), (2.0, 1530), (0.3333, 255), (1, 765), (1e-6, 0)]
)
def test_a_weight_multiplies_the_unit_price_once(multiplier: float, unit: int) -> None:
    asked = swap(item(1, id="apple"), item(1, id="apple", unitMultiplier=multiplier))
    priced = plan(asked, line("A", "apple", (765, 1)))
    assert priced.after[0].prices == ((unit, 1),)
    assert priced.difference_cents == unit - 765


def test_more_of_a_sku_without_a_line_is_a_line_of_its_own_where_several_have_it() -> None:
    lines = line("A", "cup", (100, 1)), line("B", "cup", (90, 1))
    priced = plan(add(item(2, id="cup")), *lines)
    assert [(one.unique_id, one.prices) for one in priced.after][2:] == [("NEW-0", ((100, 2),))]
    grown = plan(add(item(2, uniqueId="B")), *lines)
    assert grown.after[1].prices == ((90, 3),)


def test_a_discount_of_a_line_is_spread_to_the_cent() -> None:
    asked = swap(item(3, id="cup"), item(3, id="cup", manualDiscountValue=1))
    priced = plan(asked, line("A", "cup", (100, 3)))
    assert priced.after[0].prices == ((99, 1), (100, 2))
    assert priced.difference_cents == -1


def test_operations_see_what_those_before_them_did() -> None:
    asked = body(remove=[{"items": [item(1, id="cup")]}, {"items": [item(1, id="cup")]}])
    with pytest.raises(InvalidInput, match="is not in this order"):
        plan(asked, line("A", "cup", (100, 1)), line("B", "mug", (100, 1)))


def test_a_line_too_large_for_the_database_is_refused() -> None:
    asked = add(item(1_000_000, id="cup", price=2**53))
    with pytest.raises(InvalidInput, match="too large"):
        plan(asked, line("A", "mug", (1, 1)))


def test_a_price_before_discounts_that_no_number_holds_is_refused() -> None:
    dear = {"id": "mug", "uniqueId": "A", "price": 2**53 - 1, "unitMultiplier": 1_000_000}
    with pytest.raises(InvalidInput, match="too large"):
        plan(swap(item(1, uniqueId="A"), item(1, **dear)), line("A", "mug", (300, 1)))


PRICES = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), min_size=1, max_size=4)


@settings(deadline=None)
@given(PRICES, st.integers(0, 40))
def test_splitting_units_loses_none(prices: list[tuple[int, int]], keep: int) -> None:
    before = merged(*prices)
    kept, gone = split_prices(before, keep)
    assert merged(*kept, *gone) == before
    assert sum(count for _, count in kept) == min(keep, sum(count for _, count in before))
    if kept and gone:
        assert max(price for price, _ in kept) <= min(price for price, _ in gone)


QUANTITY = st.integers(1, 6)
SKU = st.sampled_from(["cup", "mug", "jug"])
OPERATIONS = st.one_of(
    st.builds(lambda sku, n: remove(item(n, id=sku)), SKU, QUANTITY),
    st.builds(lambda sku, n, cents: add(item(n, id=sku, price=cents)), SKU, QUANTITY, QUANTITY),
    st.builds(
        lambda old, n, new, m, weight: swap(
            item(n, id=old), item(m, id=new, unitMultiplier=weight, price=None)
        ),
        SKU,
        QUANTITY,
        SKU,
        QUANTITY,
        st.sampled_from([None, 0.333, 1.5]),
    ),
)


@settings(deadline=None)
@given(PRICES, PRICES, st.lists(OPERATIONS, min_size=1, max_size=6), st.integers(0, 30))
def test_the_totals_move_by_exactly_what_the_lines_do(
    cups: list[tuple[int, int]],
    mugs: list[tuple[int, int]],
    asked: list[dict[str, Any]],
    tax: int,
) -> None:
    lines: tuple[Line, ...] = (
        line("A", "cup", *merged(*cups), tax_cents=tax, shipping_cents=7),
        line("B", "mug", *merged(*mugs), tax_cents=tax),
    )
    for number, one in enumerate(asked):
        try:
            priced = make_plan(read_change(one), lines, new_id=lambda n: f"N{number}-{n}")  # noqa: B023
        except InvalidInput:
            continue
        moved = sum(new.value_cents for new in priced.after) - sum(
            old.value_cents for old in lines
        )
        assert priced.difference_cents == moved
        assert len({new.unique_id for new in priced.after}) == len(priced.after)
        assert all(new.quantity > 0 and new.goods_cents >= 0 for new in priced.after)
        lines = tuple(priced.after)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "items",
                    "id",
                    "uniqueId",
                    "quantity",
                    "price",
                    "from",
                    "to",
                    "shippingData",
                    "logisticsInfo",
                    "itemIndex",
                    "customData",
                    "customFields",
                    "fields",
                    "name",
                    "linkedEntity",
                    "clientProfileData",
                    "firstName",
                    "unitMultiplier",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["reason", "add", "remove", "replace", "manualDiscountValue"]), JSON
    )
)
def test_whatever_is_sent_is_taken_or_refused_by_field(sent: dict[str, Any]) -> None:
    lines = line("A", "cup", (100, 2)), line("B", "mug", (100, 2))
    with contextlib.suppress(InvalidInput):
        plan(sent, *lines)
