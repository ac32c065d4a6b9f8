"""Slots in PostgreSQL: a slow connector keeps so many workers busy and no more."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from django.db import DataError, connection, transaction

from workflow.connectors.slots import connector_slot, slot_key

pytestmark = pytest.mark.django_db(transaction=True)

HOLDER = """
import django; django.setup()
import time
from workflow.connectors.slots import connector_slot
with connector_slot("payments", 1) as has_slot:
    print(has_slot, flush=True)
    time.sleep(60)
"""


def try_elsewhere(name: str, slots: int) -> bool:
    """Asks for a slot in a session of its own, as another worker would."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            with connector_slot(name, slots) as has_slot:
                answers.append(has_slot)
        finally:
            connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def test_a_taken_slot_is_refused_to_others_until_it_is_given_back() -> None:
    with connector_slot("payments", 1) as has_slot:
        assert has_slot is True
        assert try_elsewhere("payments", 1) is False
    assert try_elsewhere("payments", 1) is True


def test_there_are_as_many_slots_as_asked_for() -> None:
    with connector_slot("payments", 2):
        assert try_elsewhere("payments", 2) is True


def test_connectors_do_not_share_slots() -> None:
    with connector_slot("payments", 1):
        assert try_elsewhere("stock", 1) is True


def test_no_slots_means_no_calls() -> None:
    with connector_slot("payments", 0) as has_slot:
        assert has_slot is False


def test_a_slot_is_given_back_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), connector_slot("payments", 1):
        raise ZeroDivisionError
    assert try_elsewhere("payments", 1) is True


def test_a_slot_is_given_back_even_when_the_session_cannot_run_a_statement() -> None:
    with transaction.atomic():
        with connector_slot("payments", 1), suppress(DataError), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        transaction.set_rollback(True)
    assert try_elsewhere("payments", 1) is True


def test_a_lost_connection_gives_its_slot_back(database_url: str) -> None:
    with connector_slot("payments", 1):
        connection.close()
        assert try_elsewhere("payments", 1) is True


def test_a_killed_worker_gives_its_slot_back(database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert try_elsewhere("payments", 1) is False
    finally:
        holder.kill()
        holder.communicate()
    deadline = time.monotonic() + 5
    while not try_elsewhere("payments", 1):
        assert time.monotonic() < deadline, "the slot of a killed worker is still taken"
        time.sleep(0.05)


def test_slots_have_64_bit_names_of_their_own() -> None:
    keys = {slot_key(name, slot) for name in ("payments", "stock") for slot in range(50)}
    assert len(keys) == 100
    assert all(-(2**63) <= key < 2**63 for key in keys)
