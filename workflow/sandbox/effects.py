"""The books: what was executed, under which key, and whether anything happened twice."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflow.sandbox.journal import Entry, Journal
from workflow.sandbox.operations import OPERATIONS


@dataclass(frozen=True, slots=True)
class Execution:
    """The first run of a call under its key; later runs get `answer` again."""

    at: float
    operation: str
    key: str
    digest: str
    order_id: str
    subject: str
    value: int
    result: str
    answer: dict[str, Any]

    @property
    def is_effective(self) -> bool:
        return self.result in OPERATIONS[self.operation].effective


class EffectBook:
    """
    Every change is an entry: written to the journal, then applied. Reloading applies them again.

    Served by one event loop, and no method awaits: looking up a key and recording its execution
    cannot be interleaved.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._executions: dict[tuple[str, str], Execution] = {}
        self._keys_by_order: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._keys_by_subject: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self._forced: dict[tuple[str, str], tuple[str, int | None]] = {}
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def apply(self, entry: Entry) -> None:
        """This function will bring the books to where they were after `entry` was recorded."""
        kind = entry["kind"]
        if kind == "execution":
            self._apply_execution(entry)
        elif kind == "settled":
            self._apply_settled(entry)
        elif kind == "outcome":
            self._forced[entry["orderId"], entry["operation"]] = (entry["result"], entry["times"])
        elif kind == "call":
            self._counts[entry["operation"]][entry["as"]] += 1

    def record_execution(self, execution: Execution, *, forced: bool) -> None:
        self._record(
            {
                "kind": "execution",
                "at": execution.at,
                "operation": execution.operation,
                "key": execution.key,
                "digest": execution.digest,
                "orderId": execution.order_id,
                "subject": execution.subject,
                "value": execution.value,
                "result": execution.result,
                "answer": execution.answer,
                "forced": forced,
            }
        )

    def record_settled(
        self, execution: Execution, result: str, *, at: float, forced: bool
    ) -> Execution:
        """This function will replace a pending verdict by `result` and return the new state."""
        operation, key = execution.operation, execution.key
        entry = {"kind": "settled", "at": at, "operation": operation, "key": key}
        self._record({**entry, "result": result, "forced": forced})
        return self._executions[operation, key]

    def record_call(self, operation: str, how: str) -> None:
        """This function will count a call that executed nothing: replayed, faulted, or invalid."""
        self._record({"kind": "call", "operation": operation, "as": how})

    def count_read(self, operation: str) -> None:
        """This function will count a read, in memory alone: polling would bloat the journal."""
        self._counts[operation]["reads"] += 1

    def force_outcome(
        self, order_id: str, operation: str, result: str, *, times: int | None
    ) -> None:
        entry = {"kind": "outcome", "orderId": order_id, "operation": operation}
        self._record({**entry, "result": result, "times": times})

    def find(self, operation: str, key: str) -> Execution | None:
        return self._executions.get((operation, key))

    def forced_result(self, order_id: str, operation: str) -> str | None:
        forced = self._forced.get((order_id, operation))
        return None if forced is None else forced[0]

    def of_order(self, order_id: str) -> Sequence[Execution]:
        """This function will return what was executed for an order, oldest first."""
        return [self._executions[key] for key in self._keys_by_order.get(order_id, ())]

    def summary(self) -> dict[str, Any]:
        """This function will count, per operation, what `GET /control/effects` answers."""
        doubled = [subject for subject, keys in self._keys_by_subject.items() if len(keys) > 1]
        doubled_count = Counter(operation for _, operation, _ in doubled)
        operations = {}
        for name in (*OPERATIONS, "tracking"):
            counts = self._counts[name]
            operations[name] = {
                "calls": counts.total() - counts["effects"],
                "effects": counts["effects"],
                "replays": counts["replays"],
                "faults": counts["faults"],
                "invalid": counts["invalid"],
                "doubled": doubled_count[name],
            }
        return {
            "operations": operations,
            "doubled": [
                {
                    "orderId": order_id,
                    "operation": operation,
                    "subject": subject,
                    "keys": sorted(self._keys_by_subject[order_id, operation, subject]),
                }
                for order_id, operation, subject in doubled
            ],
        }

    def _record(self, entry: Entry) -> None:
        self._journal.append(entry)
        self.apply(entry)

    def _apply_execution(self, entry: Entry) -> None:
        execution = Execution(
            at=entry["at"],
            operation=entry["operation"],
            key=entry["key"],
            digest=entry["digest"],
            order_id=entry["orderId"],
            subject=entry["subject"],
            value=entry["value"],
            result=entry["result"],
            answer=entry["answer"],
        )
        place = (execution.operation, execution.key)
        self._executions[place] = execution
        self._keys_by_order[execution.order_id].append(place)
        self._counts[execution.operation]["executions"] += 1
        self._note_effect(execution)
        self._use_up(entry, execution.order_id)

    def _apply_settled(self, entry: Entry) -> None:
        place = (entry["operation"], entry["key"])
        pending = self._executions[place]
        answer = {**pending.answer, "result": entry["result"]}
        settled = replace(pending, result=entry["result"], answer=answer)
        self._executions[place] = settled
        if pending.is_effective and not settled.is_effective:
            self._counts[settled.operation]["effects"] -= 1
            subject = (settled.order_id, settled.operation, settled.subject)
            self._keys_by_subject[subject].discard(settled.key)
        self._use_up(entry, pending.order_id)

    def _note_effect(self, execution: Execution) -> None:
        if execution.is_effective:
            self._counts[execution.operation]["effects"] += 1
            subject = (execution.order_id, execution.operation, execution.subject)
            self._keys_by_subject[subject].add(execution.key)

    def _use_up(self, entry: Entry, order_id: str) -> None:
        place = (order_id, entry["operation"])
        if not entry["forced"] or place not in self._forced:
            return
        result, times = self._forced[place]
        if times is not None:
            if times <= 1:
                del self._forced[place]
            else:
                self._forced[place] = (result, times - 1)
