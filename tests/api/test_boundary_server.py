"""What only a real server shows: chunked bodies, kept connections, log lines, a lost database."""

import contextlib
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.postgres import Postgres
from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from tests.api.boundary_server import WebServer, ask

JSON = {"Content-Type": "application/json"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """This fixture will serve the views that touch no database: the address leads nowhere."""
    folder = tmp_path_factory.mktemp("web")
    with WebServer(folder, f"postgresql:///none?host={folder}").running() as server:
        yield server


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", ["/api/echo", "/api/echo/"])
def test_a_chunked_body_arrives_whole(server: WebServer, method: str, path: str) -> None:
    chunks = [b'{"text": "', b"x" * 100_000, b'", "n"', b": 1}"]
    status, _, answer = server.ask(method, path, iter(chunks), CHUNKED)
    assert status == 200
    assert answer["data"] == {"text": "x" * 100_000, "n": 1}


def test_an_empty_chunked_body_is_an_empty_object(server: WebServer) -> None:
    status, _, answer = server.ask("POST", "/api/echo", iter([]), CHUNKED)
    assert (status, answer["data"]) == (200, {})


def test_a_chunked_body_that_is_not_json_is_refused(server: WebServer) -> None:
    status, _, answer = server.ask("POST", "/api/echo", iter([b'{"a": ']), CHUNKED)
    assert status == 400
    assert answer["error"]["code"] == "invalid_json"


def test_a_connection_is_kept_after_chunked_bodies_and_errors(server: WebServer) -> None:
    with contextlib.closing(server.connection()) as connection:
        for path, status in (("/api/echo", 200), ("/api/nothing", 404), ("/api/scoped", 401)):
            assert ask(connection, "POST", path, iter([b"{}"]), CHUNKED)[0] == status
            local_port = connection.sock.getsockname()
        assert ask(connection, "POST", "/api/echo", b'{"a": 1}', JSON)[2]["data"] == {"a": 1}
        assert connection.sock.getsockname() == local_port


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_gets_its_413_although_the_client_is_still_sending(
    server: WebServer, chunked: bool
) -> None:
    piece = b" " * 65_536
    if chunked:
        status, _, answer = server.ask("POST", "/api/echo", iter([piece] * 24), CHUNKED)
    else:
        status, _, answer = server.ask("POST", "/api/echo", piece * 24, JSON)
    assert status == 413
    assert answer["error"]["code"] == "body_too_large"


@pytest.mark.parametrize(
    "request_lines",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 999\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Content-Length: 2, 2\r\n\r\n{}",
    ],
)
def test_a_body_whose_end_is_in_doubt_is_refused(server: WebServer, request_lines: str) -> None:
    head = "POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = server.raw((head + request_lines).encode())
    assert answer.split(b"\r\n")[0].split(b" ")[1] in {b"400", b"501"}
    assert b'"data"' not in answer
    assert server.ask("POST", "/api/echo", b"{}", JSON)[0] == 200


def test_a_body_that_breaks_off_changes_nothing(server: WebServer) -> None:
    head = "POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    answer = server.raw((head + '{"a": 1').encode())
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert server.ask("POST", "/api/echo", b"{}", JSON)[0] == 200


@pytest.mark.parametrize("path", ["/api/orders/%ff%fe", "/api/orders/a%00", "/api/%c0%ae"])
def test_bytes_that_are_no_text_lead_nowhere(server: WebServer, path: str) -> None:
    status, headers, answer = server.ask("GET", path)
    assert status in {401, 404}
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer["requestId"] == headers["X-Request-Id"]


def test_an_access_line_names_key_and_route_and_never_the_query(
    database_url: str, tmp_path: Path
) -> None:
    key, token = issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    headers = {**_pair(key.app_key, token), "X-Request-Id": "erp-7"}
    with WebServer(tmp_path, database_url).running() as server:
        status, _, _ = server.ask("GET", "/api/orders/v1?q=ann@shop.example", headers=headers)
        assert status == 200
        server.ask("GET", "/api/nothing?appToken=" + token)
    lines = server.lines()
    accesses = [line for line in lines if line["logger"] == "oms.access_log"]
    assert [line for line in lines if line["logger"] == "gunicorn.access"] == []
    found, missed = (line for line in accesses if line["route"].startswith("/api/"))
    assert found.pop("duration_ms") > 0
    assert {name: found[name] for name in set(found) - {"timestamp", "pid"}} == {
        "event": "request",
        "level": "info",
        "logger": "oms.access_log",
        "role": "web",
        "request_id": "erp-7",
        "app_key": key.app_key,
        "method": "GET",
        "route": "/api/orders/<str:order_id>",
        "status": 200,
    }
    assert (missed["route"], missed["status"], missed["app_key"]) == ("/api/nothing", 404, None)
    assert any(line["logger"] == "gunicorn.error" for line in lines)
    assert "ann@" not in json.dumps(lines)
    assert token not in json.dumps(lines)


def test_calls_are_503_while_postgresql_is_away_and_work_again_within_five_seconds(
    tmp_path: Path,
) -> None:
    postgres = Postgres(Path(tempfile.mkdtemp(prefix="bulkhead-outage-")), throwaway=True)
    try:
        postgres.start()
        with WebServer(tmp_path, postgres.url()).running() as server:
            assert server.ask("GET", "/healthz")[0] == 200
            postgres.kill()
            for path in ("/healthz", "/api/scoped"):
                status, headers, answer = server.ask("GET", path, headers=_pair("bulkhead-x", "y"))
                assert (status, "Retry-After" in headers) == (503, True)
            assert answer["error"]["code"] == "database_unavailable"
            assert server.ask("GET", "/livez")[0] == 200
            postgres.start()
            back_at = time.monotonic()
            while server.ask("GET", "/healthz")[0] != 200:
                assert time.monotonic() - back_at < 5
                time.sleep(0.05)
    finally:
        postgres.remove()


def _pair(app_key: str, token: str) -> dict[str, str]:
    return {"X-VTEX-API-AppKey": app_key, "X-VTEX-API-AppToken": token}


HALF_WRITTEN = (
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
    b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{",
    b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"",
)


@pytest.mark.parametrize("beginning", HALF_WRITTEN)
def test_clients_that_stop_halfway_give_their_threads_back(
    tmp_path: Path, beginning: bytes
) -> None:
    web = WebServer(tmp_path, f"postgresql:///none?host={tmp_path}")
    web.environment |= {"WEB_CLIENT_SECONDS": "1", "WEB_THREADS": "2"}
    with web.running() as server, contextlib.ExitStack() as stack:
        for _ in range(6):
            silent = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            stack.enter_context(silent).sendall(beginning)
        started = time.monotonic()
        assert server.ask("GET", "/livez")[0] == 200
        assert time.monotonic() - started < 8


def test_an_address_with_hundreds_of_values_is_read(server: WebServer) -> None:
    sellers = ",".join(f"seller-{number}" for number in range(600))
    status, _, answer = server.ask("GET", f"/api/nothing?f_sellerNames={sellers}")
    assert (status, answer["error"]["code"]) == (404, "not_found")
