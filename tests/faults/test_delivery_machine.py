"""
Feed and hook while everything around them breaks: a state machine over real processes.

Orders advance, keys read, commit late, twice and with old handles, leases expire, configurations
change, receivers fail and hang, processes are killed and frozen. Then everything is healed and must
drain: nothing lost, nothing unexpected, nothing out of order within an order, and nothing given
twice without a fault or an expired lease.
"""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

import pytest
import requests
from django.db import DatabaseError, InterfaceError, connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from deploy.processes import children_of
from tests.factories import order_draft
from tests.faults.conftest import FLOWS
from tests.faults.consumers import FeedReader, HookReceiver, Mood, new_headers, serving
from tests.faults.deliveries import DeliveryCounts, Received, Wants
from tests.faults.feeds import (
    ask,
    emitted,
    hooks_are_empty,
    last_position,
    send_hooks_now,
    start_hooks,
    work_is_due,
)
from tests.faults.processes import send, wait_until
from tests.faults.rig import Rig
from workflow.services.placing import place_drafts

# What the sender had in flight or had not recorded yet when it died.
UNRECORDED_SECONDS = 20.0
EXPRESSION = 'status = "payment-approved" or status = "ready-for-handling"'
SOME = {"type": "FromWorkflow", "status": ["ready-for-handling", "start-handling", "canceled"]}
OTHERS = {"type": "FromWorkflow", "status": ["payment-approved", "handling", "cancel"]}
EVERY_CHANGE = {"type": "FromWorkflow", "status": []}
BY_EXPRESSION = {"type": "FromOrders", "expression": EXPRESSION, "disableSingleFire": True}
ONCE = {"type": "FromOrders", "expression": EXPRESSION, "disableSingleFire": False}


def wants(filter_: dict[str, Any]) -> Wants:
    """This function will say in Python what a filter says."""
    if filter_["type"] == "FromOrders":
        return lambda event: event.status in {"payment-approved", "ready-for-handling"}
    chosen = set(filter_["status"])
    return lambda event: (
        event.status != event.last_status and (not chosen or event.status in chosen)
    )


class World:
    """The processes of one run and the consumers around them."""

    def __init__(self, rig: Rig, stack: ExitStack) -> None:
        self.rig = rig
        self.faults: Counter[str] = Counter()
        self.order_ids: list[str] = []
        self.web = rig.start_web()
        self.hooks = start_hooks(rig)
        rig.one_cluster()
        self.feeds = {
            name: FeedReader(rig.web_url, new_headers(name), Received(name))
            for name in ("feed some", "feed every change", "feed expression")
        }
        self.receivers = {
            name: stack.enter_context(serving(HookReceiver(Received(name))))
            for name in ("hook every change", "hook once")
        }
        self.hook_headers = {name: new_headers(name) for name in self.receivers}
        self.present = SOME
        self.configure_feed("feed some", SOME)
        self.configure_feed("feed every change", EVERY_CHANGE)
        self.configure_feed("feed expression", BY_EXPRESSION)
        self.configure_hook("hook every change", EVERY_CHANGE)
        self.configure_hook("hook once", ONCE)

    # Configuration

    def configure_feed(self, name: str, filter_: dict[str, Any]) -> None:
        """This function will set a filter and note from where to where it may have counted."""
        reader = self.feeds[name]
        before = last_position(self.rig)
        assert reader.configure(filter_) == 200, reader.answers[-1]
        after = last_position(self.rig)
        reader.received.promise.begin(wants(filter_), before=before, after=after)

    def configure_hook(self, name: str, filter_: dict[str, Any]) -> None:
        receiver = self.receivers[name]
        receiver.received.promise.once_per_order = filter_ is ONCE
        before = last_position(self.rig)
        answer = requests.post(
            f"{self.rig.web_url}/api/orders/hook/config",
            json={"filter": filter_, "hook": {"url": receiver.url, "headers": {"x-key": "y"}}},
            headers=self.hook_headers[name],
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        after = last_position(self.rig)
        receiver.received.promise.begin(wants(filter_), before=before, after=after)

    # Orders

    def place(self, count: int) -> None:
        """This function will place orders; a placing that fails is no concern of this test."""
        drafts = [order_draft(FLOWS[number % len(FLOWS)]) for number in range(count)]
        try:
            place_drafts(drafts, actor="key:test")
        except (DatabaseError, InterfaceError):
            connection.close()
            return
        self.order_ids += [draft.order_id for draft in drafts]

    def act(self, verb: str) -> None:
        """This function will call a verb of the order API for orders that are ready."""
        rows = ask(
            self.rig,
            "SELECT order_id FROM orders_order WHERE status = 'ready-for-handling'"
            " ORDER BY id DESC LIMIT 3",
        )
        for (order_id,) in rows:
            with contextlib.suppress(requests.RequestException):
                requests.post(
                    f"{self.rig.web_url}/api/oms/pvt/orders/{order_id}/{verb}",
                    json={},
                    headers=next(iter(self.feeds.values())).headers,
                    timeout=20,
                )

    # Faults

    def excuse_hooks(self) -> None:
        for receiver in self.receivers.values():
            receiver.received.excuse(seconds=UNRECORDED_SECONDS)

    def kill_web_worker(self) -> None:
        if workers := list(children_of(self.web.pid)):
            send(workers[0], signal.SIGKILL)

    def restart_web(self) -> None:
        self._end(self.web)
        self.web = self.rig.start_web()

    def kill_hooks(self) -> None:
        self._end(self.hooks)
        self.excuse_hooks()
        self.hooks = start_hooks(self.rig)

    def freeze_hooks(self) -> None:
        """This function will let a second dispatcher take over from one that is frozen."""
        send(self.hooks.pid, signal.SIGSTOP)
        second = start_hooks(self.rig)
        time.sleep(2)
        send(self.hooks.pid, signal.SIGCONT)
        self.excuse_hooks()
        time.sleep(0.5)
        self._end(self.hooks)
        self.excuse_hooks()
        self.hooks = second

    def kill_postgres(self) -> None:
        self.rig.postgres.kill()
        self.rig.forget_connection()
        self.excuse_hooks()
        self.rig.postgres.start()
        self._wait_for_postgres()

    def kill_backend(self) -> None:
        backends = self.rig.backends("bulkhead-web") + self.rig.backends("bulkhead-hooks")
        if backends:
            send(backends[0], signal.SIGKILL)
            # The server ends all sessions, a moment later.
            wait_until(lambda: not self.rig.answers(), seconds=10, what="sessions are ended")
        self.excuse_hooks()
        self._wait_for_postgres()

    def kill_cluster_child(self) -> None:
        if children := self.rig.one_cluster().children:
            send(children[0], signal.SIGKILL)

    def _wait_for_postgres(self) -> None:
        connection.close()
        wait_until(self.rig.answers, seconds=30, what="PostgreSQL answers")

    def _end(self, process: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    # The end

    def heal(self) -> None:
        """This function will end every fault: what was killed runs, who failed answers well."""
        for receiver in self.receivers.values():
            receiver.set_mood(Mood.WELL)
        if self.web.poll() is not None:
            self.web = self.rig.start_web()
        if self.hooks.poll() is not None:
            self.hooks = start_hooks(self.rig)
        self._wait_for_postgres()

    def drain(self) -> None:
        """This function will let orders come to rest, then empty every queue."""
        if self.order_ids:
            wait_until(self._orders_rest, seconds=60, what="orders come to rest", every=0.5)
        for reader in self.feeds.values():
            reader.drain(seconds=60)
        send_hooks_now(self.rig)
        wait_until(
            partial(hooks_are_empty, self.rig),
            seconds=60,
            what="hooks are delivered",
            every=0.2,
        )

    def _orders_rest(self) -> bool:
        before = last_position(self.rig)
        time.sleep(2.5)
        return last_position(self.rig) == before and not work_is_due(self.rig)

    def counts(self) -> list[DeliveryCounts]:
        """This function will hold what each consumer was given against the ledger."""
        ledger = emitted(self.rig)
        received = [reader.received for reader in self.feeds.values()]
        received += [receiver.received for receiver in self.receivers.values()]
        return [one.count(ledger) for one in received]

    def close(self) -> None:
        self._end(self.web)
        self._end(self.hooks)


class DeliveryMachine(RuleBasedStateMachine):
    """Faults at random, then everything is healed, drained and counted; the world goes on."""

    world: ClassVar[World]
    lines: ClassVar[list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.old_hands: dict[str, list[dict[str, Any]]] = {name: [] for name in self.world.feeds}

    feeds = st.sampled_from(["feed some", "feed every change", "feed expression"])

    @initialize()
    def orders_come_in(self) -> None:
        self.world.place(5)

    @rule(count=st.integers(1, 5))
    def place(self, count: int) -> None:
        self.world.place(count)

    @rule(verb=st.sampled_from(["start-handling", "start-handling", "cancel"]))
    def act(self, verb: str) -> None:
        self.world.act(verb)

    @rule(name=feeds, lot=st.integers(1, 10))
    def read(self, name: str, lot: int) -> None:
        self.world.feeds[name].read(lot)

    @rule(name=feeds)
    def read_and_commit(self, name: str) -> None:
        reader = self.world.feeds[name]
        items = reader.read()
        reader.commit(items)
        self.old_hands[name] += items

    @rule(name=feeds)
    def commit_what_is_held(self, name: str) -> None:
        reader = self.world.feeds[name]
        self.old_hands[name] += reader.held
        reader.commit(list(reader.held))

    @rule(name=feeds)
    def commit_late(self, name: str) -> None:
        reader = self.world.feeds[name]
        items = reader.read()
        time.sleep(reader.visibility_seconds + 0.2)
        again = reader.read()
        reader.commit(items)
        self.old_hands[name] += again

    @rule(name=feeds)
    def commit_twice_and_with_old_handles(self, name: str) -> None:
        reader = self.world.feeds[name]
        for _ in range(2):
            reader.commit(self.old_hands[name][-100:])

    @rule()
    def change_configuration(self) -> None:
        world = self.world
        world.present = OTHERS if world.present is SOME else SOME
        world.configure_feed("feed some", world.present)

    @rule(
        name=st.sampled_from(["hook every change", "hook once"]),
        mood=st.sampled_from([Mood.WELL, Mood.WELL, Mood.FAILING, Mood.HANGING, Mood.HANGING_UP]),
    )
    def change_mood(self, name: str, mood: Mood) -> None:
        self.world.receivers[name].set_mood(mood)

    @rule(
        fault=st.sampled_from(
            [
                "kill_web_worker",
                "restart_web",
                "kill_hooks",
                "freeze_hooks",
                "kill_postgres",
                "kill_backend",
                "kill_cluster_child",
            ]
        )
    )
    def break_something(self, fault: str) -> None:
        getattr(self.world, fault)()
        self.world.faults[fault] += 1

    @rule(seconds=st.floats(0.1, 1.0))
    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)

    def teardown(self) -> None:
        world = self.world
        world.heal()
        started = time.monotonic()
        world.drain()
        drained = time.monotonic() - started
        counts = world.counts()
        faults = dict(world.faults)
        self.lines[:] = [f"faults so far: {faults}; the last drain took {drained:.1f} s"]
        self.lines.extend(f"  {count.line()}" for count in counts)
        assert all(count.is_clean for count in counts), [c for c in counts if not c.is_clean]


@pytest.mark.heavy
@pytest.mark.timeout(5400)
@pytest.mark.usefixtures("cluster")
def test_whatever_breaks_every_event_is_delivered_in_order_and_none_is_lost(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    DeliveryMachine.lines = []
    with ExitStack() as stack:
        DeliveryMachine.world = World(rig, stack)
        try:
            run_state_machine_as_test(
                DeliveryMachine,
                settings=settings(
                    max_examples=40 if full_size else 5,
                    stateful_step_count=60 if full_size else 30,
                    deadline=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            DeliveryMachine.world.close()
            for line in DeliveryMachine.lines:
                report(line)
    assert DeliveryMachine.world.order_ids, "nothing happened: the test shows nothing"
