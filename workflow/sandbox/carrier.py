"""A carrier that delivers: where a parcel is follows from its number and the time passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workflow.sandbox.decisions import fraction_of
from workflow.sandbox.journal import Entry, Journal
from workflow.sandbox.places import HUBS, TOWN_BY_CODE, TOWNS, Town

# Share of the journey that is over when the event happens, what happened, and where.
STAGES = (
    (0.0, "Package received from the sender", "origin"),
    (0.15, "Left the depot of origin", "origin"),
    (0.40, "In transit between hubs", "hub"),
    (0.65, "Arrived at the depot of the destination", "destination"),
    (0.85, "Out for delivery", "destination"),
    (1.0, "Delivered", "destination"),
)
EVENT_FIELDS = ("date", "city", "state", "description")


@dataclass(frozen=True, slots=True)
class Told:
    """What the control surface said about a parcel: it overrules the journey."""

    is_known: bool
    delivered_at: str | None
    events: tuple[Mapping[str, str], ...]


class Carrier:
    """
    A parcel's journey begins when its number is first asked for: nobody else tells the carrier.

    It lasts between half and one and a half times `transit_seconds`, by the number.
    """

    def __init__(self, journal: Journal, *, transit_seconds: float) -> None:
        self._journal = journal
        self._transit_seconds = transit_seconds
        self._received_at: dict[str, float] = {}
        self._told: dict[str, Told] = {}

    def apply(self, entry: Entry) -> None:
        if entry["kind"] == "parcel":
            self._received_at[entry["trackingNumber"]] = entry["at"]
        elif entry["kind"] == "told":
            self._told[entry["trackingNumber"]] = Told(
                entry["known"], entry["deliveredAt"], tuple(entry["events"])
            )

    def tell(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """This function will set a parcel's state. Raises ValueError naming the wrong field."""
        number, delivered_at = request.get("trackingNumber"), request.get("deliveredAt")
        events, is_known = request.get("events", []), request.get("known", True)
        if not isinstance(number, str) or not number:
            raise ValueError("trackingNumber: expected text")
        if delivered_at is not None and not _is_moment(delivered_at):
            raise ValueError("deliveredAt: expected a date with an offset, or null")
        if not isinstance(events, list) or not all(_is_event(event) for event in events):
            raise ValueError("events: expected objects with date, city, state and description")
        if not isinstance(is_known, bool):
            raise ValueError("known: expected true or false")
        entry = {"kind": "told", "trackingNumber": number, "known": is_known}
        self._record({**entry, "deliveredAt": delivered_at, "events": events})
        return {"trackingNumber": number, "known": is_known, "deliveredAt": delivered_at}

    def track(self, number: str, *, at: float) -> dict[str, Any] | None:
        """This function will answer where a parcel is, or None for a number not known yet."""
        told = self._told.get(number)
        if told is not None:
            if not told.is_known:
                return None
            events = [dict(event) for event in told.events]
            return _tracking(number, told.delivered_at, events)
        if number not in self._received_at:
            self._record({"kind": "parcel", "trackingNumber": number, "at": at})
        received_at = self._received_at[number]
        duration = self._transit_seconds * (0.5 + fraction_of(f"transit {number}"))
        events = journey(number, received_at, duration, at=at)
        is_over = len(events) == len(STAGES)
        return _tracking(number, events[-1]["date"] if is_over else None, events)

    def _record(self, entry: Entry) -> None:
        self._journal.append(entry)
        self.apply(entry)


def journey(
    number: str, received_at: float, duration: float, *, at: float
) -> list[dict[str, str]]:
    """This function will list what happened to a parcel until `at`, oldest first."""
    places: dict[str, Town] = {
        "origin": _pick(TOWNS, f"origin {number}"),
        "hub": _pick(HUBS, f"hub {number}"),
        # Our own numbers name their destination, so that events agree with the order's address.
        "destination": TOWN_BY_CODE.get(number[2:5]) or _pick(TOWNS, f"destination {number}"),
    }
    return [
        {
            "date": datetime.fromtimestamp(received_at + share * duration, UTC).isoformat(),
            "city": places[place].city,
            "state": places[place].state,
            "description": description,
        }
        for share, description, place in STAGES
        if received_at + share * duration <= at
    ]


def tracking_number(town: Town, serial: int) -> str:
    """This function will make a parcel number that names its destination, as `BK` SRN 000042."""
    return f"BK{town.code}{serial:09d}"


def _tracking(
    number: str, delivered_at: str | None, events: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "trackingNumber": number,
        "delivered": delivered_at is not None,
        "deliveredAt": delivered_at,
        "events": events,
    }


def _pick(towns: tuple[Town, ...], text: str) -> Town:
    return towns[int(fraction_of(text) * len(towns))]


def _is_event(event: object) -> bool:
    return (
        isinstance(event, dict)
        and all(isinstance(event.get(field), str) for field in EVENT_FIELDS)
        and _is_moment(event["date"])
    )


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
