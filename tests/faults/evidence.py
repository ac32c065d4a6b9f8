"""What must be true after any fault, as counts in the manner of Jepsen."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from oms.orders.statuses import Flow, Status
from workflow.flows import EVENT_KINDS, INITIAL_STATUS, TABLES, Action

S = Status

# Where an order comes to by itself, and what it did outside on its way there.
REACHED_BY_ITSELF: Final[Mapping[Flow, Status]] = {
    Flow.COMPLETE: S.READY_FOR_HANDLING,
    Flow.MARKETPLACE: S.WAITING_SELLER_HANDLING,
    Flow.FULFILLMENT: S.WAITING_FFMT_AUTHORIZATION,
    Flow.CHAIN: S.WAITING_FOR_MKT_AUTHORIZATION,
}
EFFECTS_BY_ITSELF: Final[Mapping[Flow, Mapping[str, int]]] = {
    Flow.COMPLETE: {"reservation": 1, "authorization": 1, "analysis": 1, "confirmation": 1},
    Flow.MARKETPLACE: {"reservation": 1, "authorization": 1, "analysis": 1},
    Flow.FULFILLMENT: {"reservation": 1},
    Flow.CHAIN: {"reservation": 1},
}
MOVE_OF_KIND: Final = {kind: action for action, kind in EVENT_KINDS.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a timeline."""

    seq: int
    kind: str
    last_status: str
    status: str


@dataclass(frozen=True, slots=True)
class Story:
    """An order as PostgreSQL has it: its row and its timeline."""

    order_id: str
    flow: Flow
    status: Status
    version: int
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Counts:
    """Acknowledged orders are those whose placing was answered; attempted ones include the rest."""

    attempted: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"placed {self.attempted}, acknowledged {self.acknowledged}, lost {len(self.lost)},"
            f" unexpected {len(self.unexpected)}, doubled {len(self.doubled)},"
            f" skipped {len(self.skipped)}"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.unexpected or self.doubled or self.skipped)


def fault_in_story(story: Story) -> str | None:
    """
    This function will say what is wrong with a timeline, or None.

    Numbers without gap, each event from where the last one led, each move a row of the table, and
    the order's row where its timeline ends.
    """
    reached: str = S.NULL
    for number, step in enumerate(story.steps, start=1):
        if step.seq != number:
            return f"event {number} has number {step.seq}"
        if step.last_status != reached:
            return f"event {number} begins in {step.last_status}, not in {reached}"
        if fault := _fault_in_move(story.flow, step):
            return f"event {number}: {fault}"
        reached = step.status
    if story.version != len(story.steps):
        return f"version {story.version} with {len(story.steps)} events"
    return None if story.status == reached else f"row says {story.status}, timeline {reached}"


def _fault_in_move(flow: Flow, step: Step) -> str | None:
    action = MOVE_OF_KIND.get(step.kind)
    if action is None:
        return None if step.status == step.last_status else f"{step.kind} changed the status"
    if action is Action.RECEIVE:
        return None if step.status == INITIAL_STATUS[flow] else f"placed as {step.status}"
    leads_to = TABLES[flow].get((Status(step.last_status), action))
    if leads_to == step.status:
        return None
    return f"{action} from {step.last_status} to {step.status} is not in the table"


def count(
    *,
    attempted: Iterable[str],
    acknowledged: Iterable[str],
    stories: Mapping[str, Story],
    effects: Mapping[str, Mapping[str, int]],
    expected: Mapping[Flow, Status] = REACHED_BY_ITSELF,
) -> Counts:
    """
    This function will hold what happened against what was promised.

    An order that did not get where it must counts as lost, as does one that is not there; one
    whose effects are not exactly those of its path as doubled.
    """
    sent, promised = set(attempted), set(acknowledged)
    counts = Counts(attempted=len(sent), acknowledged=len(promised))
    counts.unexpected = sorted(set(stories) - sent)
    for order_id in sorted(promised):
        story = stories.get(order_id)
        if story is None or story.status != expected[story.flow]:
            counts.lost.append(f"{order_id}: {story.status if story else 'not there'}")
    for order_id, story in stories.items():
        if fault := fault_in_story(story):
            counts.skipped.append(f"{order_id}: {fault}")
        done = dict(effects.get(order_id, {}))
        if story.status == REACHED_BY_ITSELF[story.flow] and done != EFFECTS_BY_ITSELF[story.flow]:
            counts.doubled.append(f"{order_id}: {done}")
    return counts


def effects_by_order(entries: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """This function will count, per order, the effects that the sandbox's books hold."""
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry["effective"]:
            done[entry["orderId"]][entry["operation"]] += 1
    return dict(done)


def percentile(values: Sequence[float], share: float) -> float:
    """This function will return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
