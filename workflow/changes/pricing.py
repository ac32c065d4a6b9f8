"""
What a change comes to: the lines afterwards, and by how much each total moves. Pure, whole cents.

Rules, each decided once (ADR 0011):
- A line's goods are its units, each at a price in whole cents. Units that go are the dearest ones:
  of 33, 33 and 34 cents the 34 goes first. No cent is lost or made (KI 1256685).
- A price that is multiplied (weights) is rounded once, per unit, half up.
- A line's tax follows its goods in proportion, rounded half up. There is no tax hub to ask.
- A replacement costs what it replaces, and a line that is added costs what the order's line of the
  same SKU does, unless a price is told. There is no catalog: a new SKU without a price is refused.
- The freight of a line goes with its last unit, unless `compensate_shipping`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from oms.orders.documents.splitting import unit_prices
from workflow.changes.asking import (
    BIGGEST_CENTS,
    BIGGEST_QUANTITY,
    Asked,
    Operation,
    Put,
    Taken,
)
from workflow.services.refusals import InvalidInput, Problem

ITEMS, DISCOUNTS, SHIPPING, TAX, MANUAL = "Items", "Discounts", "Shipping", "Tax", "ManualValues"
TOTAL_NAMES: Final[Mapping[str, str]] = {
    ITEMS: "Items Total",
    DISCOUNTS: "Discounts Total",
    SHIPPING: "Shipping Total",
    TAX: "Tax Total",
    MANUAL: "Manual Values Total",
}

Prices = tuple[tuple[int, int], ...]
NewId = Callable[[int], str]


class LinesInvoiced(InvalidInput):
    """More units are to go than are not invoiced yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One line of the order. `prices` are (cents per unit, how many units), cheapest first.

    `tax_cents` and `shipping_cents` are of the whole line. `pk` None: not in the database yet.
    `delivery` is the line's entry of `logisticsInfo`; `told` is what a request says of a new line.
    """

    pk: int | None
    unique_id: str
    sku_id: str
    seller_id: str
    name: str
    ref_id: str = ""
    price_cents: int
    list_price_cents: int | None = None
    prices: Prices
    tax_cents: int = 0
    shipping_cents: int = 0
    invoiced: int = 0
    multiplier: Fraction = Fraction(1)
    measurement_unit: str = "un"
    delivery: Mapping[str, Any] | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quantity(self) -> int:
        return sum(count for _, count in self.prices)

    @property
    def goods_cents(self) -> int:
        return sum(price * count for price, count in self.prices)

    @property
    def selling_price_cents(self) -> int:
        return self.prices[0][0]

    @property
    def list_goods_cents(self) -> int:
        """Before discounts; surcharges and bundled services count as the goods' own price."""
        unit = half_up(self.price_cents * self.multiplier)
        return max(unit * self.quantity, self.goods_cents)

    @property
    def value_cents(self) -> int:
        return self.goods_cents + self.tax_cents + self.shipping_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation as it was carried out, for the answer: units before and after, as lines."""

    operation: Operation
    taken: Sequence[Line]
    put: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    asked: Asked
    before: Sequence[Line]
    after: Sequence[Line]
    steps: Sequence[Step]
    totals: Mapping[str, int]

    @property
    def difference_cents(self) -> int:
        return sum(self.totals.values())


def make_plan(
    asked: Asked,
    lines: Sequence[Line],
    *,
    new_id: NewId,
    compensate_shipping: bool = False,
    has_one_address: bool = True,
) -> Plan:
    """
    This function will work out what a change comes to.

    `new_id` names the lines that are added, by their number. Raises InvalidInput naming the
    fields; LinesInvoiced where units that are invoiced would have to go.
    """
    draft = _Draft(lines, new_id, has_one_address)
    steps = [draft.carry_out(operation) for operation in asked.operations]
    if draft.invoiced:
        raise LinesInvoiced(*draft.invoiced, *draft.problems)
    for line in draft.lines:
        dearest = max(line.value_cents, line.list_goods_cents)
        if line.quantity > BIGGEST_QUANTITY or dearest > BIGGEST_CENTS:
            draft.complain("", f"The line {line.unique_id} would become too large.")
    if not draft.lines and not draft.problems:
        draft.complain("", "No line would be left. Cancel the order instead.")
    if draft.problems:
        raise InvalidInput(*draft.problems)
    totals = _totals(lines, draft.lines)
    if compensate_shipping:
        totals[SHIPPING] = 0
    totals[MANUAL] = asked.increment_cents - asked.discount_cents
    return Plan(
        asked=asked, before=tuple(lines), after=tuple(draft.lines), steps=steps, totals=totals
    )


def half_up(value: Fraction) -> int:
    """This function will round to whole cents; half a cent goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def spelled(multiplier: Fraction) -> str:
    """This function will spell a multiplier as a decimal number: 0.3333, 2."""
    return repr(float(multiplier)).removesuffix(".0")


def _totals(before: Iterable[Line], after: Iterable[Line]) -> dict[str, int]:
    totals = dict.fromkeys((ITEMS, DISCOUNTS, SHIPPING, TAX), 0)
    for sign, lines in ((-1, before), (1, after)):
        for line in lines:
            totals[ITEMS] += sign * line.list_goods_cents
            totals[DISCOUNTS] += sign * (line.goods_cents - line.list_goods_cents)
            totals[SHIPPING] += sign * line.shipping_cents
            totals[TAX] += sign * line.tax_cents
    return totals


class _Draft:
    """The lines while operations are carried out on them, one after the other."""

    def __init__(self, lines: Sequence[Line], new_id: NewId, has_one_address: bool) -> None:
        self.lines = list(lines)
        self.known = tuple(lines)
        self.problems: list[Problem] = []
        self.invoiced: list[Problem] = []
        self._new_id = new_id
        self._has_one_address = has_one_address
        self._count = 0

    def complain(self, path: str, message: str, allowed: Sequence[str] = ()) -> None:
        self.problems.append(Problem(path, message, allowed))

    def carry_out(self, operation: Operation) -> Step:
        taken: list[Line] = []
        put: list[Line] = []
        pairs = len(operation.taken) == len(operation.put)
        for index, wanted in enumerate(operation.taken):
            same = operation.put[index] if pairs else None
            if same is not None and self._is_in_place(wanted, same):
                self._change(wanted, same, taken, put)
            else:
                former = self._take(wanted)
                taken += former
                if same is not None and former:
                    put += self._put(same, former)
        if not pairs and (taken or not operation.taken):
            for wanted_put in operation.put:
                put += self._put(wanted_put, taken)
        return Step(operation=operation, taken=taken, put=put)

    # What is meant

    def _candidates(self, wanted: Taken) -> list[Line]:
        if wanted.unique_id:
            found = [line for line in self.lines if line.unique_id == wanted.unique_id]
            if found and wanted.sku_id and found[0].sku_id != wanted.sku_id:
                self.complain(f"{wanted.field}.id", f"The line is of SKU {found[0].sku_id}.")
                return []
        else:
            found = [line for line in self.lines if line.sku_id == wanted.sku_id]
            # A price told helps to choose among lines of one SKU. Amounts are always the line's.
            told = wanted.price_cents
            found.sort(key=lambda line: told not in (line.selling_price_cents, line.price_cents))
        if not found:
            key, told_id = (
                ("uniqueId", wanted.unique_id) if wanted.unique_id else ("id", wanted.sku_id)
            )
            allowed = tuple(
                dict.fromkeys(
                    line.unique_id if wanted.unique_id else line.sku_id for line in self.lines
                )
            )
            self.complain(f"{wanted.field}.{key}", f"{told_id} is not in this order.", allowed)
        return found

    def _is_in_place(self, wanted: Taken, same: Put) -> bool:
        """This function will tell a change of quantity, weight or price from a replacement."""
        if same.sku_id in ("", wanted.sku_id):
            return True
        if wanted.unique_id and not wanted.sku_id:
            return any(
                (line.unique_id, line.sku_id) == (wanted.unique_id, same.sku_id)
                for line in self.lines
            )
        return False

    # Taking

    def _take(self, wanted: Taken) -> list[Line]:
        """This function will take units off, first line first, and return them as lines."""
        gone: list[Line] = []
        left = wanted.quantity
        candidates = self._candidates(wanted)
        for line in candidates:
            units = min(left, line.quantity - line.invoiced)
            if units > 0:
                left -= units
                gone.append(self._take_units(line, units))
        if left and candidates:
            self._refuse_too_many(wanted, candidates, left)
        return gone

    def _refuse_too_many(self, wanted: Taken, candidates: Sequence[Line], left: int) -> None:
        most = wanted.quantity - left
        invoiced = sum(line.invoiced for line in candidates)
        message = f"{wanted.quantity} is more than the {most} that are left"
        message += f"; {invoiced} are invoiced." if invoiced else "."
        problem = Problem(f"{wanted.field}.quantity", message)
        (self.invoiced if invoiced >= left else self.problems).append(problem)

    def _take_units(self, line: Line, units: int) -> Line:
        kept, gone = split_prices(line.prices, line.quantity - units)
        index = self.lines.index(line)
        if not kept:
            del self.lines[index]
            return line
        rest = replace(line, prices=kept, tax_cents=_follow(line, kept))
        self.lines[index] = rest
        return replace(
            line, prices=gone, tax_cents=line.tax_cents - rest.tax_cents, shipping_cents=0
        )

    # Putting

    def _put(self, wanted: Put, former: Sequence[Line]) -> list[Line]:
        grown = None if former or wanted.delivery else self._line_that_grows(wanted)
        if grown is not None:
            return [self._grow(grown, wanted)]
        model = next((line for line in former), None) or self._of_sku(wanted.sku_id)
        line = self._new_line(wanted, model)
        if line is None:
            return []
        self.lines.append(line)
        return [line]

    def _of_sku(self, sku_id: str) -> Line | None:
        return next((line for line in self.known if line.sku_id == sku_id), None)

    def _line_that_grows(self, wanted: Put) -> Line | None:
        """This function will find the line that more of the same is added to, if it is one."""
        same = [
            line
            for line in self.lines
            if line.pk is not None
            and (line.unique_id == wanted.unique_id or not wanted.unique_id)
            and wanted.sku_id in ("", line.sku_id)
            and wanted.told.get("seller", line.seller_id) == line.seller_id
        ]
        if len(same) != 1 or wanted.discount_cents or wanted.increment_cents:
            return None
        line = same[0]
        is_like = wanted.price_cents in (None, line.selling_price_cents) and (
            wanted.multiplier in (None, line.multiplier)
        )
        return line if is_like else None

    def _grow(self, line: Line, wanted: Put) -> Line:
        more = ((line.selling_price_cents, wanted.quantity),)
        grown = _with_prices(line, merged(*line.prices, *more))
        self.lines[self.lines.index(line)] = grown
        return replace(
            line, prices=more, tax_cents=grown.tax_cents - line.tax_cents, shipping_cents=0
        )

    def _new_line(self, wanted: Put, model: Line | None) -> Line | None:
        is_new_sku = self._of_sku(wanted.sku_id) is None
        if is_new_sku and not self._has_one_address:
            self.complain(
                f"{wanted.field}.id",
                "An order with several addresses takes no products that it did not have.",
                tuple(dict.fromkeys(line.sku_id for line in self.known)),
            )
            return None
        if model is None and wanted.price_cents is None:
            self.complain(
                f"{wanted.field}.price", "Say the price of a SKU that the order does not have."
            )
            return None
        prices = self._prices_of(wanted, model)
        if prices is None:
            return None
        return _line_of(wanted, model, prices, unique_id=self._unique_id(wanted), lines=self.known)

    def _unique_id(self, wanted: Put) -> str:
        in_use = {line.unique_id for line in self.lines}
        if wanted.unique_id and wanted.unique_id not in in_use:
            return wanted.unique_id
        number, self._count = self._count, self._count + 1
        return self._new_id(number)

    def _prices_of(self, wanted: Put, model: Line | None) -> Prices | None:
        """This function will price units that are put: told, or as the model's, weight considered."""
        unit = wanted.price_cents
        if unit is None:
            assert model is not None
            unit = model.selling_price_cents
            if wanted.multiplier is not None and wanted.multiplier != model.multiplier:
                unit = half_up(unit * wanted.multiplier / model.multiplier)
        total = unit * wanted.quantity - wanted.discount_cents + wanted.increment_cents
        if total < 0:
            self.complain(
                f"{wanted.field}.manualDiscountValue",
                f"More than the {total + wanted.discount_cents} cents of the line.",
            )
            return None
        return tuple(unit_prices(total, wanted.quantity))

    # Changing in place

    def _change(self, wanted: Taken, same: Put, taken: list[Line], put: list[Line]) -> None:
        """This function will change quantity, weight or price of units of the order's own lines."""
        candidates = self._candidates(wanted)
        line = next((c for c in candidates if c.quantity >= wanted.quantity), None)
        if line is None:
            if candidates:
                most = max(c.quantity for c in candidates)
                message = f"{wanted.quantity} is more than the {most} of the line."
                self.complain(f"{wanted.field}.quantity", message)
            return
        is_only_quantity = (
            same.price_cents in (None, line.selling_price_cents)
            and same.multiplier in (None, line.multiplier)
            and not same.discount_cents
            and not same.increment_cents
        )
        if not is_only_quantity and wanted.quantity < line.quantity:
            # Some units become others: they leave the line and come back as one of their own.
            former = self._take(replace(wanted, unique_id=line.unique_id, sku_id=line.sku_id))
            taken += former
            put += self._put_beside(replace(same, unique_id="", sku_id=line.sku_id), former)
            return
        quantity = line.quantity - wanted.quantity + same.quantity
        if quantity < line.invoiced:
            message = f"{line.invoiced} of the line are invoiced already."
            self.invoiced.append(Problem(f"{same.field}.quantity", message))
            return
        changed = self._changed(line, same, quantity, is_only_quantity)
        if changed is not None:
            self.lines[self.lines.index(line)] = changed
            taken.append(line)
            put.append(changed)

    def _put_beside(self, wanted: Put, former: Sequence[Line]) -> list[Line]:
        line = self._new_line(wanted, former[0]) if former else None
        if line is None:
            return []
        self.lines.append(line)
        return [line]

    def _changed(
        self, line: Line, same: Put, quantity: int, is_only_quantity: bool
    ) -> Line | None:
        if is_only_quantity:
            if quantity <= line.quantity:
                kept, _ = split_prices(line.prices, quantity)
            else:
                more = quantity - line.quantity
                kept = merged(*line.prices, (line.selling_price_cents, more))
            return _with_prices(line, kept)
        prices = self._prices_of(same, line)
        if prices is None:
            return None
        changed = _with_prices(line, prices)
        if same.price_cents is not None:
            changed = replace(changed, price_cents=same.price_cents)
        return replace(
            changed,
            multiplier=same.multiplier or line.multiplier,
            measurement_unit=same.told.get("measurementUnit", line.measurement_unit),
        )


def split_prices(prices: Prices, keep: int) -> tuple[Prices, Prices]:
    """This function will divide units into the `keep` cheapest and the rest, both cheapest first."""
    kept, gone = [], []
    left = keep
    for price, count in sorted(prices):
        stay = min(left, count)
        left -= stay
        kept.append((price, stay))
        gone.append((price, count - stay))
    return merged(*kept), merged(*gone)


def merged(*prices: tuple[int, int]) -> Prices:
    """This function will put units of one price together, cheapest first, none of nothing."""
    counts: dict[int, int] = {}
    for price, count in prices:
        counts[price] = counts.get(price, 0) + count
    return tuple(sorted((price, count) for price, count in counts.items() if count))


def _with_prices(line: Line, prices: Prices) -> Line:
    return replace(line, prices=prices, tax_cents=_follow(line, prices))


def _follow(line: Line, prices: Prices) -> int:
    goods = sum(price * count for price, count in prices)
    if line.goods_cents == 0:
        quantity = sum(count for _, count in prices)
        return half_up(Fraction(line.tax_cents * quantity, line.quantity))
    return half_up(Fraction(line.tax_cents * goods, line.goods_cents))


def _line_of(
    wanted: Put, model: Line | None, prices: Prices, *, unique_id: str, lines: Sequence[Line]
) -> Line:
    is_same_sku = model is not None and model.sku_id == wanted.sku_id
    like = model or lines[0]
    tax = wanted.tax_cents
    if tax is None:
        tax = 0 if model is None else _follow(model, prices)
    price = wanted.price_cents
    if price is None:
        price = model.price_cents if model is not None and is_same_sku else prices[0][0]
    # Freight stays where a line is replaced as a whole; what comes beside others travels with them.
    inherited = model.shipping_cents if model is not None and not is_same_sku else 0
    return Line(
        pk=None,
        unique_id=unique_id,
        sku_id=wanted.sku_id or like.sku_id,
        seller_id=like.seller_id,
        name=wanted.told.get("name") or (like.name if is_same_sku else ""),
        ref_id=wanted.told.get("refId") or (like.ref_id if is_same_sku else ""),
        price_cents=price,
        list_price_cents=like.list_price_cents if is_same_sku else price,
        prices=prices,
        tax_cents=tax,
        shipping_cents=inherited if wanted.shipping_cents is None else wanted.shipping_cents,
        multiplier=wanted.multiplier or (like.multiplier if is_same_sku else Fraction(1)),
        measurement_unit=wanted.told.get("measurementUnit")
        or (like.measurement_unit if is_same_sku else "un"),
        delivery=_delivery_of(wanted, like, is_same_sku=is_same_sku),
        shown={**(like.shown if is_same_sku else {}), **_shown(wanted)},
    )


def _shown(wanted: Put) -> dict[str, Any]:
    return {
        key: wanted.told[key]
        for key in ("productId", "ean", "imageUrl", "detailUrl")
        if key in wanted.told
    }


def _delivery_of(wanted: Put, like: Line, *, is_same_sku: bool) -> Mapping[str, Any] | None:
    """This function will say how a new line travels: as told, else as the line that it is like."""
    if wanted.delivery is not None:
        price = wanted.shipping_cents or 0
        return {
            "deliveryIds": [],
            "slas": [],
            "listPrice": price,
            "sellingPrice": price,
            "deliveryChannel": wanted.delivery.get("selectedDeliveryChannel"),
            **wanted.delivery,
        }
    if like.delivery is None or is_same_sku:
        return like.delivery
    # Another SKU may lie in another warehouse: nobody has said in which (KI 1433311).
    return {**like.delivery, "deliveryIds": [], "itemId": wanted.sku_id}
