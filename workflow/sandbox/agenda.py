"""The trickle's open orders, kept in the journal: a restart must not leave orders behind."""

from collections.abc import Sequence
from dataclasses import dataclass

from workflow.sandbox.journal import Entry, Journal


@dataclass(frozen=True, slots=True)
class Errand:
    """One order that the trickle placed and still has to see through, and what it plans."""

    order_id: str
    affiliate_id: str
    marketplace_order_id: str
    plan: str


class Agenda:
    """Which errands are open. What to do next is read from the order itself, each time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[str, Errand] = {}

    def apply(self, entry: Entry) -> None:
        if entry["kind"] == "errand":
            errand = Errand(
                entry["orderId"], entry["affiliateId"], entry["marketplaceOrderId"], entry["plan"]
            )
            self._open[errand.order_id] = errand
        elif entry["kind"] == "errand-closed":
            self._open.pop(entry["orderId"], None)

    def open(self, errand: Errand) -> None:
        self._record(
            {
                "kind": "errand",
                "orderId": errand.order_id,
                "affiliateId": errand.affiliate_id,
                "marketplaceOrderId": errand.marketplace_order_id,
                "plan": errand.plan,
            }
        )

    def close(self, errand: Errand) -> None:
        self._record({"kind": "errand-closed", "orderId": errand.order_id})

    def all_open(self) -> Sequence[Errand]:
        return list(self._open.values())

    def _record(self, entry: Entry) -> None:
        self._journal.append(entry)
        self.apply(entry)
