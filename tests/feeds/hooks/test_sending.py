"""One call against every kind of receiver: limits hold, and the cause is told in a few words."""

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from feeds.hooks.addresses import AddressRules
from feeds.hooks.sending import HookAnswer, HookSender, send_once
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback

BODY = b'{"OrderId":"v1-01"}'
GRACE_SECONDS = 0.5


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> AddressRules:
    settings.HOOK_TIMEOUT_SECONDS = 1.0
    return allow_loopback(settings)


def send(url: str) -> HookAnswer:
    return send_once(url, headers={"X-Key": "value"}, body=BODY)


def test_body_and_headers_arrive_as_they_are() -> None:
    with Receiver() as receiver:
        answer = send(receiver.url + "?tenant=a%20b")
    (call,) = receiver.received
    assert (answer.status, answer.error, answer.answer) == (200, "", "thank you")
    assert (call.body, call.path) == (BODY, "/hook?tenant=a%20b")
    assert call.headers["content-type"] == "application/json; charset=utf-8"
    assert call.headers["x-key"] == "value"
    assert call.headers["user-agent"] == "bulkhead-oms-hook/1"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((200, ""), (201, ""), (204, ""), (299, "")),
        *((400, "HTTP 400"), (404, "HTTP 404"), (410, "HTTP 410"), (429, "HTTP 429")),
        *((500, "HTTP 500"), (503, "HTTP 503")),
    ],
)
def test_only_2xx_is_a_success(status: int, error: str) -> None:
    with Receiver(lambda _: web.Response(status=status)) as receiver:
        answer = send(receiver.url)
    assert (answer.status, answer.error, answer.is_success) == (status, error, not error)


@pytest.mark.parametrize("padding", [0, 1020, 100_000])
def test_what_a_receiver_says_of_the_headers_is_not_kept(padding: int) -> None:
    def echo(call: Received) -> web.Response:
        told = f"{call.headers['authorization']} {'.' * padding}{call.headers['authorization']}"
        return web.Response(status=401, text=f"not allowed: {told}")

    with Receiver(echo) as receiver:
        answer = send_once(receiver.url, headers={"Authorization": "Bearer s3same"}, body=BODY)
    assert answer.answer.startswith("not allowed: •••••••• ")
    assert "Bearer" not in answer.answer


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with Receiver() as target:
        location = {"Location": target.url}
        with Receiver(lambda _: web.Response(status=status, headers=location)) as receiver:
            answer = send(receiver.url)
    assert answer.error == f"HTTP {status}: redirects are not followed"
    assert target.received == []


def test_retry_after_is_handed_on() -> None:
    late = {"Retry-After": "120"}
    with Receiver(lambda _: web.Response(status=503, headers=late)) as receiver:
        assert send(receiver.url).retry_after == 120


def test_the_first_kilobyte_of_the_answer_is_kept() -> None:
    with Receiver(lambda _: web.Response(status=500, body=b"\0\xff" + b"x" * 5000)) as receiver:
        answer = send(receiver.url).answer
    assert len(answer) == 1024
    assert answer.startswith("��xxx")


async def hang(_: Received) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


@contextmanager
def raw_receiver(head: bytes, chunk: bytes = b"", pause: float = 0.0) -> Iterator[str]:
    """A server that answers anything by `head` and then `chunk` again and again."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(65536)
                    client.sendall(head)
                    while chunk and not stopped.wait(pause):
                        client.sendall(chunk)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = OK + b"Connection: close\r\n\r\n"


def test_a_hanging_receiver_is_cut_at_the_total_limit() -> None:
    with Receiver(hang) as receiver:
        begun = time.monotonic()
        answer = send(receiver.url)
    assert 1.0 <= time.monotonic() - begun < 1.0 + GRACE_SECONDS
    assert (answer.status, answer.error) == (None, "no complete answer within 1 s")


@pytest.mark.parametrize("head", [OK, ENDLESS])
def test_a_dribbling_receiver_is_cut_at_the_total_limit(head: bytes) -> None:
    with raw_receiver(head, b"X", 0.2) as url:
        begun = time.monotonic()
        assert send(url).error == "no complete answer within 1 s"
        assert time.monotonic() - begun < 1.0 + GRACE_SECONDS


def test_an_endless_answer_is_cut_at_64_kib() -> None:
    with raw_receiver(ENDLESS, b"x" * 32_768) as url:
        begun = time.monotonic()
        answer = send(url)
        assert time.monotonic() - begun < GRACE_SECONDS
    assert (answer.error, answer.answer) == ("answer larger than 64 KiB", "x" * 1024)


@pytest.mark.parametrize("chunk", [b"X-More: " + b"x" * 60 + b"\r\n", b"x" * 32_768])
def test_endless_headers_are_cut(chunk: bytes) -> None:
    with raw_receiver(OK, chunk) as url:
        begun = time.monotonic()
        assert send(url).error == "malformed answer: not HTTP, or headers beyond the limit"
        assert time.monotonic() - begun < GRACE_SECONDS


def test_a_compressed_answer_is_not_opened() -> None:
    bomb = gzip.compress(b"0" * 30_000_000)
    assert len(bomb) < 65_536
    packed = {"Content-Encoding": "gzip"}
    with Receiver(lambda _: web.Response(body=bomb, headers=packed)) as receiver:
        answer = send(receiver.url)
    assert answer.is_success
    assert len(answer.answer) <= 1024


@pytest.mark.parametrize("head", [b"SSH-2.0-whatever\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_a_failure(head: bytes) -> None:
    with raw_receiver(head) as url:
        assert send(url).error == "malformed answer: not HTTP, or headers beyond the limit"


def test_a_receiver_that_hangs_up_or_is_not_there_is_a_failure() -> None:
    with raw_receiver(b"") as url:
        assert send(url).error == "connection lost"
    assert send(url).error == "connection refused"


def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(
    monkeypatch: pytest.MonkeyPatch, loopback: AddressRules
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    sets_cookie = {"Set-Cookie": "session=1; Path=/"}

    async def twice(url: str) -> None:
        async with HookSender(loopback) as sender:
            for _ in range(2):
                assert (await sender.send(url, headers={}, body=BODY)).is_success

    with Receiver(lambda _: web.Response(headers=sets_cookie)) as receiver:
        asyncio.run(twice(receiver.url))
    assert len(receiver.received) == 2
    assert all("cookie" not in call.headers for call in receiver.received)


# Addresses


class Names(AbstractResolver):
    """A name server of the test: answers each look-up by the next list, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in found
        ]

    async def close(self) -> None:
        return None


def send_by(names: Names, rules: AddressRules, url: str, times: int = 1) -> list[HookAnswer]:
    async def call() -> list[HookAnswer]:
        async with HookSender(rules, lookup=names) as sender:
            return [await sender.send(url, headers={}, body=BODY) for _ in range(times)]

    return asyncio.run(call())


@pytest.mark.parametrize(
    "addresses", [["127.0.0.2"], ["10.0.0.1"], ["127.0.0.1", "192.168.0.1"], ["169.254.169.254"]]
)
def test_a_name_is_not_connected_to_if_any_of_its_addresses_is_special(
    loopback: AddressRules, addresses: list[str]
) -> None:
    with Receiver() as receiver:
        url = f"http://erp.customer.com:{receiver.port}/"
        (answer,) = send_by(Names(addresses), loopback, url)
    assert answer.error.startswith("address refused: ")
    assert receiver.received == []


def test_a_name_that_leads_elsewhere_the_next_time_is_refused_then(loopback: AddressRules) -> None:
    """Rebinding: public when saved, ours when sent. `127.0.0.1` is the public one of this test."""
    close = {"Connection": "close"}
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with Receiver(lambda _: web.Response(headers=close)) as receiver:
        url = f"http://erp.customer.com:{receiver.port}/"

        async def call() -> list[HookAnswer]:
            async with HookSender(loopback, lookup=names) as sender:
                first = await sender.send(url, headers={}, body=BODY)
                await sender.forget_names()
                return [first, await sender.send(url, headers={}, body=BODY)]

        good, bad = asyncio.run(call())
    assert good.is_success
    assert bad.error.startswith("address refused: ")
    assert len(receiver.received) == 1


def test_a_literal_address_is_checked_although_nobody_looks_it_up(settings: Settings) -> None:
    with Receiver() as receiver:
        settings.HOOK_ALLOWED_ADDRESSES = ()
        assert send(receiver.url).error.startswith("address refused: ")
    assert receiver.received == []


# TLS


def make_certificate(folder: Path, name: str, *, days: int = 1) -> tuple[Path, Path]:
    """This function will make a self-signed certificate, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_file = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, key_file


def tls_answer(
    tmp_path: Path, rules: AddressRules, *, called: str, named: str, days: int = 1
) -> HookAnswer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path, named, days=days))
    with Receiver(tls=context) as receiver:
        url = f"https://{called}:{receiver.port}/"
        return send_by(Names(["127.0.0.1"]), rules, url)[0]


def test_the_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, loopback: AddressRules, settings: Settings
) -> None:
    settings.HOOK_CA_FILE = str(tmp_path / "cert.pem")
    assert tls_answer(tmp_path, loopback, called="erp.test", named="erp.test").is_success


@pytest.mark.parametrize(
    ("named", "days", "is_known"),
    [("other.test", 1, True), ("erp.test", -1, True), ("erp.test", 1, False)],
)
def test_a_certificate_of_another_name_time_or_authority_is_refused(
    tmp_path: Path,
    loopback: AddressRules,
    settings: Settings,
    named: str,
    days: int,
    is_known: bool,
) -> None:
    settings.HOOK_CA_FILE = str(tmp_path / "cert.pem") if is_known else ""
    answer = tls_answer(tmp_path, loopback, called="erp.test", named=named, days=days)
    assert answer.error == "TLS failed: the certificate is not trusted or does not fit the name"
