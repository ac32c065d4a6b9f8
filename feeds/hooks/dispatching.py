"""
The process that delivers hooks: one event loop for calls, one thread for each kind of database work.

`_pull_for_ever` fills the queues from the ledger, `_deliver_for_ever` writes results and leases
what is due, both in turns that outlive a PostgreSQL that is gone. Several dispatchers may run: a
lease keeps them apart, its number keeps out whoever wakes up late (ADR 0009).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection

from feeds.hooks.addresses import rules_from_settings
from feeds.hooks.bodies import delivery_body
from feeds.hooks.claiming import ClaimedItem, claim
from feeds.hooks.disabling import disable_hook
from feeds.hooks.filling import fill_queues
from feeds.hooks.judging import is_gone, judge, released
from feeds.hooks.receivers import HookTerms, Receiver, Receivers
from feeds.hooks.recording import Recorded, Result, record
from feeds.hooks.sending import HookAnswer, HookSender
from feeds.hooks.signing import signed_headers
from feeds.hooks.terms import load_terms
from feeds.identifiers import event_id_of
from oms.ops.heartbeats import beat

ROLE = "hooks"
POLL_SECONDS = 0.2
BUSY_SECONDS = 0.02
TERMS_SECONDS = 1.0
BEAT_SECONDS = 5.0
# One message for so many results; more would make the next lease wait.
RECORDED_AT_ONCE = 500
# A subscription whose queue is being filled is not waited for, until a result is so old.
PATIENT_FOR_SECONDS = 0.5
# After a turn that failed, perhaps for waiting in vain, nobody is waited for, for so long.
IMPATIENT_FOR_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 2.0
# After SIGTERM: calls end by their own limit, then what they brought is written.
RECORDING_SECONDS = 2.0
GONE_REASON = "The receiver answered 410 (gone)."

T = TypeVar("T")
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A result, and when it was there on this process's monotonic clock."""

    result: Result
    at: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn at the database brought."""

    recorded: Recorded
    claimed: list[ClaimedItem]
    terms: list[HookTerms] | None
    at: float


class Dispatcher:
    """Delivers until `stop` is called; then lets the calls that are under way end."""

    def __init__(self) -> None:
        self._receivers = Receivers(
            places=settings.HOOK_CALLS_AT_ONCE, places_each=settings.HOOK_CALLS_PER_RECEIVER
        )
        self._pulling = ThreadPoolExecutor(1, thread_name_prefix="pull")
        self._recording = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended: list[Ended] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._terms_read_at = -TERMS_SECONDS
        self._beat_at = -BEAT_SECONDS
        self._delivered = 0
        self._patient_from = 0.0

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """This function will deliver until it is told to stop."""
        self._sender = HookSender(rules_from_settings())
        async with self._sender:
            pulling = asyncio.create_task(self._pull_for_ever())
            await self._deliver_for_ever()
            await pulling
            await self._finish()
        for executor in (self._pulling, self._recording):
            await self._in_thread(executor, _close_connection)
            executor.shutdown(wait=False)

    # From the ledger into the queues

    async def _pull_for_ever(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                found = await self._in_thread(
                    self._pulling, fill_queues, self._receivers.ids(), self._stopping.is_set
                )
                failures = 0
            except Exception as error:
                failures += 1
                await self._pause(error, failures)
                continue
            if found:
                self._wake.set()
            await self._wait(self._stopping, 0.01 if found else POLL_SECONDS)

    # Results out, leases in

    async def _deliver_for_ever(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                turn = await self._take_turn()
                failures = 0
            except Exception as error:
                failures += 1
                self._patient_from = time.monotonic() + IMPATIENT_FOR_SECONDS
                await self._pause(error, failures)
                continue
            self._begin_calls()
            if not turn.claimed and not turn.recorded.item_ids:
                await self._wait(self._wake, BUSY_SECONDS if self._ended else POLL_SECONDS)

    async def _take_turn(self, *, leasing: bool = True) -> Turn:
        """Results are dropped only when they are written, or can never be."""
        batch = self._ended[:RECORDED_AT_ONCE]
        wanted = self._receivers.wanted() if leasing else {}
        try:
            turn = await self._in_thread(self._recording, self._work, batch, wanted, leasing)
        except (DataError, IntegrityError):
            # Something in the batch does not fit the tables. Their leases end, others are tried.
            logger.exception("hook.results_dropped", count=len(batch))
            del self._ended[: len(batch)]
            raise
        kept = [e for e in batch if e.result.subscription_id in turn.recorded.busy]
        self._ended[: len(batch)] = kept
        self._delivered += len(turn.recorded.item_ids)
        if turn.terms is not None:
            self._terms_read_at = turn.at
            self._give_back(self._receivers.renew(turn.terms))
        self._enqueue(turn)
        return turn

    def _work(self, batch: list[Ended], wanted: dict[int, int], leasing: bool) -> Turn:
        """Runs in the thread of records: all that a turn asks of PostgreSQL."""
        now = time.monotonic()
        recorded = record(
            [replace(e.result, ended_ago=now - e.at) for e in batch],
            wait_for=[
                e.result.subscription_id
                for e in batch
                if now - e.at > PATIENT_FOR_SECONDS and now > self._patient_from
            ],
        )
        self._disable_those_that_are_gone(batch, recorded)
        if now - self._beat_at > BEAT_SECONDS:
            beat(ROLE, work_done=self._delivered)
            self._beat_at, self._delivered = now, 0
        if not leasing:
            return Turn(recorded, [], None, now)
        claimed = claim(wanted)
        at = time.monotonic()
        terms = None
        if at - self._terms_read_at > TERMS_SECONDS or not self._knows(claimed):
            terms = load_terms()
        return Turn(recorded, claimed, terms, at)

    def _knows(self, claimed: list[ClaimedItem]) -> bool:
        """A hook may have been configured anew since it was read: nothing goes to the old address."""
        for item in claimed:
            receiver = self._receivers.get(item.subscription_id)
            if receiver is None or receiver.terms.version != item.version:
                return False
        return True

    def _disable_those_that_are_gone(self, batch: list[Ended], recorded: Recorded) -> None:
        gone = {
            e.result.subscription_id
            for e in batch
            if is_gone(e.result) and e.result.item_id in recorded.item_ids
        }
        for subscription_id in sorted(gone):
            disable_hook(subscription_id, actor=f"role:{ROLE}", reason=GONE_REASON)
        for subscription_id in sorted(recorded.worn_out - gone):
            days = settings.HOOK_DISABLED_AFTER_DAYS
            disable_hook(
                subscription_id,
                actor=f"role:{ROLE}",
                reason=f"Nothing but failures for {days} days.",
            )
        if gone or recorded.worn_out:
            self._terms_read_at = -TERMS_SECONDS

    def _enqueue(self, turn: Turn) -> None:
        for item in turn.claimed:
            if receiver := self._receivers.get(item.subscription_id):
                receiver.waiting.append(item)
            else:
                self._give_back([item])

    # Calls

    def _begin_calls(self) -> None:
        if self._stopping.is_set():
            return
        for receiver, item in self._receivers.take_startable():
            if item.is_late:
                receiver.under_way -= 1
                self._give_back([item])
                continue
            call = asyncio.create_task(self._deliver(receiver, item))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _deliver(self, receiver: Receiver, item: ClaimedItem) -> None:
        try:
            answer = await self._send(receiver.terms, item)
        finally:
            receiver.under_way -= 1
        if answer.is_success:
            receiver.succeeded(answer.duration_seconds)
        else:
            receiver.failed(answer.retry_after)
            self._give_back(receiver.take_beyond_places())
        self._ended.append(Ended(judge(item, answer), time.monotonic()))
        self._begin_calls()
        self._wake.set()

    async def _send(self, terms: HookTerms, item: ClaimedItem) -> HookAnswer:
        body = delivery_body(item, account=settings.STORE_NAME, app_key=terms.app_key)
        signed = signed_headers(
            webhook_id=event_id_of(item.event_pk),
            timestamp=item.timestamp,
            body=body,
            keys=terms.keys,
        )
        return await self._sender.send(terms.url, headers=terms.headers | signed, body=body)

    def _give_back(self, items: list[ClaimedItem]) -> None:
        self._ended += [Ended(released(item), time.monotonic()) for item in items]

    # The end

    async def _finish(self) -> None:
        """Ends within the limit of a call and a little more, whatever the receivers do."""
        self._give_back(self._receivers.take_all_waiting())
        if self._calls:
            await asyncio.wait(self._calls, timeout=settings.HOOK_TIMEOUT_SECONDS + 0.5)
        ends_at = time.monotonic() + RECORDING_SECONDS
        while self._ended and time.monotonic() < ends_at:
            try:
                await self._take_turn(leasing=False)
            except Exception as error:
                await self._pause(error, 1)
        logger.info("hook.dispatcher_stopped", unwritten=len(self._ended))

    # Database work

    async def _in_thread(
        self, executor: ThreadPoolExecutor, work: Callable[..., T], *args: object
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, _with_fresh_connection, work, *args)

    async def _pause(self, error: Exception, failures: int) -> None:
        if isinstance(error, DatabaseError | InterfaceError):
            logger.warning("hook.database_unavailable", error=str(error), failures=failures)
        else:
            logger.error("hook.dispatcher_failed", exc_info=error)
        await self._wait(self._stopping, min(0.1 * 2**failures, LONGEST_PAUSE_SECONDS))

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


def _with_fresh_connection(work: Callable[..., T], *args: object) -> T:
    """A connection that broke is closed, so that the next turn opens another."""
    try:
        return work(*args)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def _close_connection() -> None:
    connection.close()
