"""Faults on demand: which one, how bad, how often, for how long."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workflow.sandbox.operations import CONNECTORS

# What each mode does. "After the effect" is the cruel half: the caller cannot know.
MODES: Mapping[str, str] = {
    "ok": "answers at once; overrules a fault set for all",
    "delay": "does the work, then answers `seconds` late",
    "refuse": "HTTP 422, no work done",
    "throttle": "HTTP 429 with Retry-After of `seconds`, no work done",
    "error": "HTTP 500; every second one after the work was done",
    "hang": "takes the call, does nothing, never answers",
    "malformed": "does the work, answers rubbish",
    "dribble": "does the work, then sends one byte each 0.1 s for ever",
    "drop": "cuts the connection; every second time after the work was done",
}
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    mode: str
    seconds: float
    share: float
    until: float | None


class FaultBoard:
    """The faults in force, at most one per connector and one for all."""

    def __init__(self, chance: random.Random) -> None:
        self._faults: dict[str, Fault] = {}
        self._chance = chance
        self._turns = 0

    def set(self, request: Mapping[str, Any], *, at: float) -> dict[str, Any]:
        """This function will put a fault in force. Raises ValueError naming the wrong field."""
        connector, mode = request.get("connector", EVERYWHERE), request.get("mode")
        if connector not in CONNECTORS | {EVERYWHERE}:
            raise ValueError(f"connector: expected one of {', '.join(sorted(CONNECTORS))}, *")
        if not isinstance(mode, str) or mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}")
        for_seconds = request.get("forSeconds")
        fault = Fault(
            mode=mode,
            seconds=_number(request, "seconds", 1.0, highest=86_400),
            share=_number(request, "share", 1.0, highest=1),
            until=None
            if for_seconds is None
            else at + _number(request, "forSeconds", 0.0, highest=86_400),
        )
        self._faults[connector] = fault
        return {"connector": connector, **asdict(fault)}

    def clear(self) -> None:
        self._faults.clear()

    def in_force(self, *, at: float) -> dict[str, dict[str, Any]]:
        self._forget_ended(at)
        return {connector: asdict(fault) for connector, fault in self._faults.items()}

    def pick(self, connector: str, *, at: float) -> Fault | None:
        """This function will decide which fault, if any, meets the next call."""
        self._forget_ended(at)
        fault = self._faults.get(connector) or self._faults.get(EVERYWHERE)
        if fault is None or fault.mode == "ok" or self._chance.random() >= fault.share:
            return None
        return fault

    def every_second_time(self) -> bool:
        self._turns += 1
        return self._turns % 2 == 0

    def _forget_ended(self, at: float) -> None:
        ended = [name for name, fault in self._faults.items() if fault.until and fault.until <= at]
        for name in ended:
            del self._faults[name]


def _number(request: Mapping[str, Any], field: str, default: float, *, highest: float) -> float:
    value = request.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        raise ValueError(f"{field}: expected a number from 0 to {highest:g}")
    return float(value)
