"""Expressions of an enemy end within their bounds, and take nobody with them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import orjson
import pytest

from feeds.evaluator import processes
from feeds.evaluator.outcomes import PATIENCE_MS, EvaluatorUnavailable, Verdict
from feeds.evaluator.processes import ROOT
from feeds.expressions import compile_expression

MEMORY_MOST = 64 * 1024
# The 50 ms that an evaluation has, or the 250 after which its process is killed; and a little.
PROCESSOR_MOST = 0.25 + 0.15

TOO_LONG = "D1012"
DOUBLED_TEXT = '($a := "xxxxxxxxxxxxxxxx";' + "$a := $a & $a;" * 100 + "$length($a) > 1)"
DOUBLED_LISTS = (
    "($a := [[1]]; $b := [[1]];" + "$a := [[$a],[$a]]; $b := [[$b],[$b]];" * 45 + "$a = $b)"
)
HOSTILE = {
    "infinite tail call": ("($f := function($n) { $f($n + 1) }; $f(1))", TOO_LONG),
    "infinite recursion": ("($f := function($n) { 1 + $f($n + 1) }; $f(1))", "D1011"),
    "nested maps": (
        "$map([1..1000], function($v) { $map([1..1000], function($w) { $v * $w }) })",
        TOO_LONG,
    ),
    "nested ranges": ("[1..1000].[1..1000].[1..1000].[1..1000]", None),
    "reduce that grows": (
        "$reduce([1..1000], function($a, $v) { $append($a, $a) }, [1])",
        "The expression takes too much memory.",
    ),
    "text doubled 100 times": (DOUBLED_TEXT, "The expression takes too much memory."),
    "join of what was joined": (
        '($a := $join([1..1000].("abcdefghij")); $b := [1..1000].($a);'
        + "$b := $append($b, $b);" * 7
        + " $length($join($b)) > 1)",
        "The expression takes too much memory.",
    ),
    "text of lists in lists": (
        "($a := [[1]];" + "$a := [[$a],[$a]];" * 60 + "$length($string($a)) > 1)",
        None,
    ),
    "comparison that doubles": (DOUBLED_LISTS, TOO_LONG),
    "numbers out of range": ("($a := 2;" + "$a := $a * $a;" * 100 + "$a > 1)", "D1001"),
    "replacement by much": (
        '($a := $join([1..1000].("aaaaaaaaaa")); $b := $replace($a, "a", $a);'
        ' $length($replace($b, "a", $a)) > 1)',
        None,
    ),
}


# Measured by a small process: what a large one starts counts its parent's memory as its own.
MEASURING = """
import os, subprocess, sys, json
child = subprocess.Popen([sys.executable, "-m", "feeds.evaluator"], stdin=-1, stdout=-1)
child.stdin.write(sys.stdin.buffer.read())
child.stdin.close()
answers = child.stdout.read().decode().splitlines()
_, status, usage = os.wait4(child.pid, 0)
child.returncode = 0
print(json.dumps([answers, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""


@dataclass(frozen=True)
class Alone:
    """What one evaluation came to in a process of its own, and what it took."""

    answers: list[str]
    processor_seconds: float
    kibibytes: int


def run_alone(text: str) -> Alone:
    request = orjson.dumps({"text": text, "count": 1, "patienceMs": PATIENCE_MS})
    measured = subprocess.run(
        [sys.executable, "-c", MEASURING],
        cwd=ROOT,
        input=request + b'\n{"status":"handling"}\n',
        stdout=subprocess.PIPE,
        check=True,
    )
    return Alone(*orjson.loads(measured.stdout))


@pytest.fixture(scope="module")
def harmless() -> Alone:
    """This fixture will say what a process takes for an expression that does nothing."""
    alone = run_alone("status")
    assert alone.answers == ["ready", '{"paths":[["status"]]}', "1"]
    return alone


@pytest.mark.parametrize(("text", "error"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_expression_fails_within_time_and_memory(
    text: str, error: str | None, harmless: Alone
) -> None:
    alone = run_alone(text)
    assert alone.processor_seconds - harmless.processor_seconds < PROCESSOR_MOST
    assert alone.kibibytes - harmless.kibibytes < MEMORY_MOST
    expression = compile_expression(text)
    hostile, harmless_after = expression.verdicts([{"status": "handling"}] * 2)
    assert hostile == harmless_after
    assert not hostile.is_match
    assert hostile.error
    assert hostile.error.startswith(error or "")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*b", "(a?){30}a{30}$"])
def test_a_catastrophic_regular_expression_takes_no_time(pattern: str) -> None:
    (verdict,) = compile_expression(f"text ~> /{pattern}/").verdicts([{"text": "a" * 99 + "!"}])
    assert verdict == Verdict(False)


def test_an_expression_that_keeps_failing_for_time_gets_less_of_it() -> None:
    expression = compile_expression("($f := function($n) { $f($n + 1) }; $f(1))")
    child = processes._children.idle[-1].process.pid
    before = processor_seconds_of(child)
    verdicts = expression.verdicts([{}] * 150)
    assert all(verdict.error.startswith(TOO_LONG) for verdict in verdicts)
    # 50 of them at 50 ms, the others at 5.
    assert processor_seconds_of(child) - before < 1.5 * (50 * 0.05 + 100 * 0.005)


def processor_seconds_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as told:
        ticks = told.read().rsplit(")", 1)[1].split()[11:13]
    return sum(int(count) for count in ticks) / os.sysconf("SC_CLK_TCK")


def test_a_document_that_kills_the_evaluator_costs_the_others_nothing() -> None:
    text = "kill ? " + DOUBLED_LISTS + " : true"
    documents = [{"kill": number in (3, 60)} for number in range(120)]
    verdicts = compile_expression(text).verdicts(documents)
    failed = [number for number, verdict in enumerate(verdicts) if verdict.error]
    assert failed == [3, 60]
    assert sum(verdict.is_match for verdict in verdicts) == 118


def test_an_evaluator_killed_from_outside_is_replaced_and_nothing_is_decided_wrongly() -> None:
    expression = compile_expression("n > 0")
    processes._children.idle.append(processes._Child())
    for child in processes._children.idle:
        os.kill(child.process.pid, signal.SIGKILL)
    assert expression.verdicts([{"n": 1}, {"n": 0}]) == [Verdict(True), Verdict(False)]


def test_evaluators_that_are_killed_again_and_again_decide_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expression = compile_expression("n > 0")
    send = processes._Child.send

    def killed_first(child: processes._Child, lines: bytes) -> None:
        child.process.kill()
        child.process.wait()
        send(child, lines)

    with monkeypatch.context() as patch:
        patch.setattr(processes._Child, "send", killed_first)
        with pytest.raises(EvaluatorUnavailable):
            expression.verdicts([{"n": 1}])
    assert expression.verdicts([{"n": 1}]) == [Verdict(True)]


def test_an_evaluator_that_cannot_be_started_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expression = compile_expression("n > 0")
    processes._children.end_all()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(EvaluatorUnavailable):
            expression.verdicts([{"n": 1}])
        patch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(EvaluatorUnavailable):
            compile_expression("n")
    assert expression.verdicts([{"n": 1}]) == [Verdict(True)]


def test_a_forked_process_has_an_evaluator_of_its_own() -> None:
    compile_expression("n")
    pid = os.fork()
    if pid == 0:
        try:
            ok = compile_expression("n > 0").matches({"n": 1})
            processes._children.end_all()
        except BaseException:
            ok = False
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert compile_expression("n > 0").matches({"n": 1})


def test_an_evaluator_ends_with_the_process_that_needed_it() -> None:
    program = (
        "from feeds.evaluator import processes; from feeds.expressions import compile_expression\n"
        "compile_expression('n'); print(processes._children.idle[0].process.pid, flush=True)\n"
        "input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    ends_at = time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}") and _is_running(pid):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as told:
            return told.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_evaluator_is_told_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "very secret")
    processes._children.end_all()
    compile_expression("n")
    pid = processes._children.idle[0].process.pid
    with open(f"/proc/{pid}/environ", "rb") as told:
        assert b"very secret" not in told.read()
