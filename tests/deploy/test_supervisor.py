"""The supervisor of `make up`, with real processes in a session of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.processes import state_and_parent

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="orphans are adopted on Linux only"
)

# Keeps one child running, whose program is the argument, until asked to end.
SUPERVISE = """
import os, sys
from pathlib import Path
from deploy.supervisor import StopRequested, Supervisor
supervisor = Supervisor(Path.cwd(), os.environ)
supervisor.prepare()
supervisor.add("tested", [sys.executable, "-c", sys.argv[1]], {})
print("up", flush=True)
try:
    while True:
        supervisor.tick()
except StopRequested:
    supervisor.stop(supervisor.children, 2.0)
    supervisor.leave_no_orphan()
"""
SAY_PID = "import os, sys, time; print('pid', os.getpid(), flush=True); "
WORKER_IN_OWN_SESSION = (
    SAY_PID + "import subprocess; "
    "worker = subprocess.Popen(['sleep', '100'], start_new_session=True); "
    "print('worker', worker.pid, flush=True); time.sleep(100)"
)
DEAF = SAY_PID + "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
TALKATIVE = "import sys, time; [print('x' * 1000, flush=True) for _ in range(2000)]; "


class Supervised(NamedTuple):
    process: "subprocess.Popen[bytes]"
    log: Path

    def numbers(self, word: str) -> list[int]:
        """This function will list the pids that the children said after `word`."""
        lines = self.log.read_text().splitlines()
        return [int(line.split()[-1]) for line in lines if f"| {word} " in line]

    def number(self, word: str, index: int = 0) -> int:
        wait_until(lambda: len(self.numbers(word)) > index)
        return self.numbers(word)[index]


Start = Callable[[str], Supervised]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Start]:
    started: list[Supervised] = []

    def start(program: str) -> Supervised:
        log = tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISE, program],
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        started.append(Supervised(process, log))
        return started[-1]

    yield start
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait()


def test_a_child_that_dies_is_started_again(supervise: Start) -> None:
    supervised = supervise(SAY_PID + "time.sleep(100)")
    os.kill(supervised.number("pid"), signal.SIGKILL)
    assert is_running(supervised.number("pid", 1))


def test_a_child_that_keeps_failing_is_started_ever_more_seldom(supervise: Start) -> None:
    supervised = supervise(SAY_PID + "sys.exit(3)")
    wait_until(lambda: "starting again in 2 s" in supervised.log.read_text())
    said = supervised.log.read_text()
    assert "tested ended with 3; starting again in 0.5 s" in said
    assert "tested ended with 3; starting again in 1 s" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process_not_even_of_another_session(
    supervise: Start, number: signal.Signals
) -> None:
    supervised = supervise(WORKER_IN_OWN_SESSION)
    pids = [supervised.number("worker"), supervised.number("pid")]
    supervised.process.send_signal(number)
    assert supervised.process.wait(10) == 0
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_child_deaf_to_the_stop_signal_is_killed_after_the_patience(supervise: Start) -> None:
    supervised = supervise(DEAF)
    pid = supervised.number("pid")
    started = time.monotonic()
    supervised.process.terminate()
    supervised.process.wait(10)
    assert 2.0 <= time.monotonic() - started < 4.0
    assert not is_running(pid)


def test_what_a_killed_child_leaves_behind_is_ended(supervise: Start) -> None:
    supervised = supervise(WORKER_IN_OWN_SESSION)
    orphan = supervised.number("worker")
    os.kill(supervised.number("pid"), signal.SIGKILL)
    wait_until(lambda: not is_running(orphan))
    assert is_running(supervised.number("pid", 1))


def test_children_end_with_a_killed_supervisor(supervise: Start) -> None:
    supervised = supervise(SAY_PID + "time.sleep(100)")
    pid = supervised.number("pid")
    supervised.process.kill()
    wait_until(lambda: not is_running(pid))


def test_a_reader_that_stops_reading_holds_up_nobody(tmp_path: Path) -> None:
    done = tmp_path / "done"
    program = f"{TALKATIVE}open({str(done)!r}, 'w'); time.sleep(100)"
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            wait_until(done.exists)
        finally:
            process.terminate()
            assert process.wait(10) == 0


def is_running(pid: int) -> bool:
    facts = state_and_parent(pid)
    return facts is not None and facts[0] != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
