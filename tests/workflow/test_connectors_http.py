"""Calls over real sockets: every fault of the other side, and limits that hold."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings

from tests.workflow.sandboxes import ThreadedSandbox
from workflow.connectors import operations
from workflow.connectors.http import MAX_ANSWER_BYTES, call_many
from workflow.connectors.protocol import Answered, Call, Failed, NotCalled, Outcome, Refused

# Two slow cores under load may be late by this much.
GRACE_SECONDS = 0.4


def analysis(order_id: str = "A-1") -> Call:
    return operations.analyze_order(
        order_id=order_id, value_cents=100, currency="BRL", payments=[], request_id="req-1"
    )


def call_once(call: Call, timeout_seconds: float = 2.0) -> Outcome:
    return call_many([call], limit_per_connector=4, timeout_seconds=timeout_seconds)[0]


def result_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Answered), outcome
    return str(outcome.body["result"])


@contextmanager
def raw_server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends the same bytes to everybody, and shows what it was sent."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                received.append(client.recv(65536))
                client.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        # Closing alone does not wake a thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_outcomes_come_back_in_the_order_of_the_calls(sandbox: ThreadedSandbox) -> None:
    sandbox.force_outcome("A-1", "analysis", "denied")
    calls = [analysis(f"A-{number}") for number in range(20)]
    outcomes = call_many(calls, limit_per_connector=8, timeout_seconds=5)
    assert [result_of(outcome) for outcome in outcomes] == ["approved", "denied"] + (
        ["approved"] * 18
    )


def test_no_calls_open_no_loop() -> None:
    assert call_many([], limit_per_connector=1, timeout_seconds=1) == []


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("refuse", Refused("sandbox-refusal", "refused on demand")),
        ("throttle", Failed("HTTP 429", 9.0)),
        ("error", Failed("HTTP 500")),
        ("hang", Failed("timed out")),
        ("delay", Failed("timed out")),
        ("dribble", Failed("timed out")),
        ("drop", Failed("connection lost")),
    ],
)
def test_each_fault_has_its_outcome(
    sandbox: ThreadedSandbox, mode: str, expected: Outcome
) -> None:
    sandbox.set_fault(mode, connector="antifraud", seconds=9)
    assert call_once(analysis(), timeout_seconds=0.5) == expected


def test_rubbish_is_a_failure_whatever_it_looks_like(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("malformed")
    outcomes = call_many(
        [analysis(f"A-{number}") for number in range(12)], limit_per_connector=4, timeout_seconds=5
    )
    assert all(
        isinstance(outcome, Failed) and outcome.cause.startswith("malformed answer")
        for outcome in outcomes
    )


def test_a_fault_of_one_connector_leaves_the_others_alone(sandbox: ThreadedSandbox) -> None:
    sandbox.set_fault("hang", connector="antifraud")
    reservation = operations.reserve_stock(order_id="A-1", items=[], request_id="r")
    outcomes = call_many([analysis(), reservation], limit_per_connector=1, timeout_seconds=0.5)
    assert outcomes[0] == Failed("timed out")
    assert result_of(outcomes[1]) == "reserved"


@pytest.mark.parametrize("mode", ["hang", "delay", "dribble"])
@pytest.mark.parametrize("timeout_seconds", [0.3, 1.2])
def test_the_time_limit_is_exact_even_against_a_dribbling_answer(
    sandbox: ThreadedSandbox, mode: str, timeout_seconds: float
) -> None:
    sandbox.set_fault(mode, seconds=60)
    begun = time.monotonic()
    assert call_once(analysis(), timeout_seconds) == Failed("timed out")
    assert timeout_seconds <= time.monotonic() - begun < timeout_seconds + GRACE_SECONDS


def test_a_call_that_timed_out_after_its_effect_is_answered_by_its_second_try(
    sandbox: ThreadedSandbox,
) -> None:
    sandbox.set_fault("delay", seconds=60)
    assert call_once(analysis(), 0.3) == Failed("timed out")
    sandbox.clear_faults()
    assert result_of(call_once(analysis())) == "approved"
    counts = sandbox.effects()["operations"]["analysis"]
    assert (counts["calls"], counts["effects"], counts["replays"]) == (2, 1, 1)


def test_no_more_calls_than_the_limit_are_under_way_for_one_connector(
    sandbox: ThreadedSandbox,
) -> None:
    sandbox.set_fault("delay", seconds=0.3)
    calls = [analysis(f"A-{number}") for number in range(6)]
    begun = time.monotonic()
    call_many(calls, limit_per_connector=2, timeout_seconds=5)
    assert time.monotonic() - begun >= 0.9


def test_calls_that_cannot_begin_within_the_budget_are_not_made(
    sandbox: ThreadedSandbox,
) -> None:
    sandbox.set_fault("hang")
    calls = [analysis(f"A-{number}") for number in range(5)]
    begun = time.monotonic()
    outcomes = call_many(calls, limit_per_connector=2, timeout_seconds=0.5, budget_seconds=0.4)
    assert time.monotonic() - begun < 0.9 + GRACE_SECONDS
    assert outcomes[:2] == [Failed("timed out")] * 2
    assert outcomes[2:] == [NotCalled("no time left in the batch")] * 3
    assert sandbox.effects()["operations"]["analysis"]["calls"] == 2


def test_a_closed_port_is_a_refused_connection(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.CONNECTORS = {"antifraud": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        assert call_once(analysis()) == Failed("connection refused")


def test_an_unknown_connector_is_a_mistake_of_ours(settings: Settings) -> None:
    settings.CONNECTORS = {}
    with pytest.raises(KeyError):
        call_once(analysis())


def http_answer(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"SSH-2.0-whatever\r\n", Failed("malformed answer: not HTTP")),
        (b"", Failed("connection lost")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", Failed("connection lost")),
        (
            http_answer(b" " * (MAX_ANSWER_BYTES + 1)),
            Failed("malformed answer: too large"),
        ),
        (
            http_answer(b'{"analysisId": "x", "result": "maybe"}'),
            Failed("malformed answer: unknown result"),
        ),
        (
            http_answer(b"\x1f\x8b\x08", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip"),
            Failed("malformed answer: not a JSON object"),
        ),
    ],
)
def test_broken_servers_are_failures(settings: Settings, answer: bytes, expected: Outcome) -> None:
    with raw_server(answer) as (url, _):
        settings.CONNECTORS = {"antifraud": url}
        assert call_once(analysis()) == expected


def test_redirects_are_not_followed(settings: Settings, sandbox: ThreadedSandbox) -> None:
    target = f"{sandbox.url}/antifraud/analyses".encode()
    redirect = http_answer(b"", b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + target)
    with raw_server(redirect) as (url, _):
        settings.CONNECTORS = {"antifraud": url}
        assert call_once(analysis()) == Failed("redirected (HTTP 307): redirects are not followed")
    assert sandbox.effects()["operations"]["analysis"]["calls"] == 0


def test_the_environments_proxies_are_not_used(
    sandbox: ThreadedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert result_of(call_once(analysis())) == "approved"


def test_a_call_carries_its_key_and_the_request_id(settings: Settings) -> None:
    with raw_server(http_answer(b"{}")) as (url, received):
        settings.CONNECTORS = {"antifraud": f"{url}/base/"}
        call_once(analysis())
    head = received[0].decode()
    assert head.startswith("POST /base/analyses HTTP/1.1\r\n")
    assert "\r\nIdempotency-Key: A-1:analysis\r\n" in head
    assert "\r\nX-Request-Id: req-1\r\n" in head
    assert "\r\nUser-Agent: bulkhead-oms\r\n" in head


def test_a_header_that_cannot_be_sent_fails_that_call_alone(sandbox: ThreadedSandbox) -> None:
    broken = operations.analyze_order(
        order_id="A-1", value_cents=1, currency="BRL", payments=[], request_id="a\r\nb: c"
    )
    outcomes = call_many([broken, analysis("A-2")], limit_per_connector=2, timeout_seconds=2)
    assert outcomes[0] == Failed("not sendable: a header or the address is not valid")
    assert result_of(outcomes[1]) == "approved"


def test_failures_are_logged_once_per_cause_and_without_bodies(
    sandbox: ThreadedSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.set_fault("error")
    calls = [
        operations.analyze_order(
            order_id=f"A-{number}",
            value_cents=1,
            currency="BRL",
            payments=[{"holder": "Aurora do Vale"}],
            request_id="r",
        )
        for number in range(5)
    ]
    call_many(calls, limit_per_connector=5, timeout_seconds=2)
    records = [record for record in caplog.records if "connector.failed" in record.getMessage()]
    assert len(records) == 1
    assert "Aurora" not in caplog.text


def slow_look_up(seconds: float) -> Callable[..., list[object]]:
    def look_up(*_: object, **__: object) -> list[object]:
        time.sleep(seconds)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    return look_up


def test_name_servers_that_hang_do_not_stretch_the_time_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONNECTORS = {"antifraud": "http://antifraud.invalid"}
    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up(3.0))
    begun = time.monotonic()
    assert call_once(analysis(), 0.3) == Failed("timed out")
    assert time.monotonic() - begun < 0.3 + GRACE_SECONDS


def test_a_host_without_address_is_named_as_such(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONNECTORS = {"antifraud": "http://antifraud.invalid"}
    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up(0.0))
    assert call_once(analysis()) == Failed("host not found")


def test_a_host_name_is_resolved(sandbox: ThreadedSandbox, settings: Settings) -> None:
    port = urlsplit(sandbox.url).port
    settings.CONNECTORS = {"antifraud": f"http://localhost:{port}/antifraud"}
    assert result_of(call_once(analysis())) == "approved"
