"""
How an integration is doing, in a word and a sentence. Pure: facts and the present come in.

A feed is only as quick as its reader, a hook as its receiver: what is told is what waits, since
when, and who has not done their part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from feeds.models import Channel
from oms.backoffice.keyset import count_words
from oms.backoffice.times import ago, short, span
from oms.backoffice.tones import Tone

# Counted no further: nobody acts differently at eleven thousand.
COUNT_LIMIT: Final = 10_000
# An ERP that reads every ten minutes is no news; one that left something for longer is.
BEHIND_AFTER: Final = timedelta(minutes=15)


class Condition(StrEnum):
    DISABLED = "disabled"
    FAILING = "failing"
    BEHIND = "behind"
    KEY_OFF = "key-off"
    IDLE = "idle"
    HEALTHY = "healthy"
    REMOVED = "removed"


LABELS: Final[Mapping[Condition, str]] = {
    Condition.DISABLED: "Disabled",
    Condition.FAILING: "Failing",
    Condition.BEHIND: "Behind",
    Condition.KEY_OFF: "Key is off",
    Condition.IDLE: "Idle",
    Condition.HEALTHY: "Healthy",
    Condition.REMOVED: "Configuration deleted",
}
TONES: Final[Mapping[Condition, Tone]] = {
    Condition.DISABLED: Tone.BAD,
    Condition.FAILING: Tone.BAD,
    Condition.BEHIND: Tone.WAIT,
    Condition.KEY_OFF: Tone.GONE,
    Condition.IDLE: Tone.NEUTRAL,
    Condition.HEALTHY: Tone.GOOD,
    Condition.REMOVED: Tone.GONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverFacts:
    """How a hook's receiver has been doing."""

    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    last_error: str = ""
    paused_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """
    What decides how a feed or hook is doing.

    What waits lies in its queue (`open_count`) or further on in the ledger, where its next read
    takes it from (`ahead_count`, as far as was looked). `unseen_count` are changes that nobody has
    compared with its filter, so it may want none of them. Counts go up to `COUNT_LIMIT` and one.
    """

    channel: str
    owner: str
    configured_at: datetime
    is_idle: bool = False
    is_active: bool = True
    key_is_live: bool = True
    last_queued_at: datetime | None = None
    last_read_at: datetime | None = None
    last_commit_at: datetime | None = None
    open_count: int = 0
    oldest_at: datetime | None = None
    ahead_count: int = 0
    ahead_since: datetime | None = None
    unseen_count: int = 0
    unseen_since: datetime | None = None
    receiver: ReceiverFacts = ReceiverFacts()

    @property
    def is_feed(self) -> bool:
        return self.channel == Channel.FEED

    @property
    def waiting_count(self) -> int:
        return self.open_count + self.ahead_count

    @property
    def waiting_since(self) -> datetime | None:
        return min(filter(None, (self.oldest_at, self.ahead_since)), default=None)

    @property
    def quiet_since(self) -> datetime:
        """When its filter last matched something, or else when it was configured."""
        return max(filter(None, (self.configured_at, self.last_queued_at)))


def condition_of(facts: FlowFacts, now: datetime) -> Condition:
    """This function will name the condition, the worst that applies."""
    if not facts.is_active:
        return Condition.REMOVED
    if facts.receiver.disabled_at:
        return Condition.DISABLED
    if not facts.key_is_live:
        return Condition.KEY_OFF
    if facts.receiver.failing_since:
        return Condition.FAILING
    if any(
        since and now - since > BEHIND_AFTER for since in (facts.waiting_since, facts.unseen_since)
    ):
        return Condition.BEHIND
    if not facts.waiting_count and facts.is_idle:
        return Condition.IDLE
    return Condition.HEALTHY


def sentence_of(facts: FlowFacts, now: datetime) -> str:
    """This function will say how it is doing, for people: who did what last, and what waits."""
    condition = condition_of(facts, now)
    if condition is Condition.REMOVED:
        return "The configuration was deleted. What it was given can still be read here."
    if condition is Condition.KEY_OFF:
        return f"The app key does not work any more. {_waiting(facts, now)}"
    told = _feed(facts, now) if facts.is_feed else _hook(facts, now)
    if condition is Condition.IDLE:
        quiet = span(now - facts.quiet_since)
        return f"Nothing has matched its filter for {quiet}. It stays configured. {told}"
    return told


def _feed(facts: FlowFacts, now: datetime) -> str:
    read, waiting = facts.last_read_at, _waiting(facts, now)
    if read is None:
        return f"{facts.owner} has never read its feed. {waiting}{_unseen(facts, now)}"
    if now - read > BEHIND_AFTER:
        return (
            f"{facts.owner} has not read for {span(now - read)}; "
            f"{_lowered(waiting)}{_unseen(facts, now)}"
        )
    if condition_of(facts, now) is Condition.BEHIND:
        commit = facts.last_commit_at
        acknowledged = (
            f"last acknowledged {ago(commit, now)}"
            if commit
            else "has never acknowledged anything"
        )
        return f"{facts.owner} reads, and {acknowledged}. {waiting}"
    return f"{facts.owner} last read {ago(read, now)}. {waiting}"


def _hook(facts: FlowFacts, now: datetime) -> str:
    receiver, waiting = facts.receiver, _waiting(facts, now)
    if receiver.disabled_at:
        why = receiver.disabled_reason or "no reason was noted"
        return f"Switched off since {short(receiver.disabled_at, now)}: {_sentence(why)} {waiting}"
    if receiver.failing_since:
        paused = ""
        if receiver.paused_until and receiver.paused_until > now:
            paused = f" The receiver asked for a pause until {short(receiver.paused_until, now)}."
        since = short(receiver.failing_since, now)
        why = _sentence(receiver.last_error or "the receiver did not take them")
        return f"Deliveries have failed since {since}: {why} {waiting}{paused}"
    if receiver.last_success_at is None:
        return f"Nothing was delivered yet. {waiting}{_unseen(facts, now)}"
    return f"Last delivered {ago(receiver.last_success_at, now)}. {waiting}{_unseen(facts, now)}"


def _waiting(facts: FlowFacts, now: datetime) -> str:
    waiting, since = facts.waiting_count, facts.waiting_since
    if not waiting or since is None:
        return "Nothing waits."
    count = count_words(waiting, COUNT_LIMIT)
    events = "event waits" if waiting == 1 else "events wait"
    oldest = "" if waiting == 1 else "the oldest "
    return f"{count} {events}, {oldest}since {short(since, now)}."


def _unseen(facts: FlowFacts, now: datetime) -> str:
    """What nobody has looked at is not called waiting: its filter may want none of it."""
    since = facts.unseen_since
    if not facts.unseen_count or since is None or now - since < BEHIND_AFTER:
        return ""
    count = count_words(facts.unseen_count, COUNT_LIMIT)
    changes = "change of an order has" if facts.unseen_count == 1 else "changes of orders have"
    when = "when it reads" if facts.is_feed else "when the hooks process runs"
    return (
        f" {count} newer {changes} not been compared with its filter yet, the oldest of"
        f" {short(since, now)}; that happens {when}."
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
