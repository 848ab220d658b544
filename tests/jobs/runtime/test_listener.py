"""A lineage listener may do what it likes: a run goes on within the limit, and the key stays where it was sent."""

import contextlib
import logging
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs.runtime import listener as module
from jobs.runtime.listener import address_of, send_event

KEY = "key-that-must-not-travel"


@contextlib.contextmanager
def server(answer):
    """A listener on this machine; yields its address and the requests it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers.get("Authorization"), body))
            answer(self)

        do_GET = do_POST

        def log_message(self, *args):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", got
    finally:
        running.shutdown()
        running.server_close()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(module, "_given_up", set())
    monkeypatch.setenv("OPENLINEAGE_API_KEY", KEY)
    # a proxy of the machine that runs the tests has no part in them
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def reply(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def reset(handler):
    # SO_LINGER with 0 seconds: the connection is reset, not closed
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def drip(handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(200):
            handler.wfile.write(b"X")
            handler.wfile.flush()
            time.sleep(0.05)


def junk(handler):
    handler.wfile.write(bytes(range(256)) * 40)


def close(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_an_event_is_sent_with_the_key_to_the_path_of_the_api():
    with server(reply(201)) as (address, got):
        assert send_event(address, '{"a": 1}', shown="L")
        assert send_event(f"{address}/api/v1/lineage", "{}", shown="L")
    assert got[0] == ("/api/v1/lineage", f"Bearer {KEY}", b'{"a": 1}') and got[1][0] == "/api/v1/lineage"


@pytest.mark.parametrize("answer", [reset, drip, junk, close, reply(500), reply(403), reply(304)])
def test_a_listener_that_fails_is_reported_once_and_not_asked_again(answer, caplog):
    start = time.monotonic()
    with server(answer) as (address, got), caplog.at_level(logging.WARNING, "customs_lake"):
        logging.getLogger("customs_lake").addHandler(caplog.handler)
        try:
            sent = [send_event(address, "{}", shown="L", limit=0.5) for _ in range(20)]
        finally:
            logging.getLogger("customs_lake").removeHandler(caplog.handler)
    assert sent == [False] * 20 and len(got) == 1
    # twenty events cost one limit, not twenty
    assert time.monotonic() - start < 3
    warnings = {record.getMessage() for record in caplog.records}
    assert len(warnings) == 1 and KEY not in warnings.pop()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_the_key_stays(code):
    with server(reply(200)) as (elsewhere, taken), server(reply(code, Location=f"{elsewhere}/x")) as (address, got):
        assert not send_event(address, "{}", shown="L")
    assert len(got) == 1 and taken == []


def test_a_listener_that_is_not_there_costs_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    assert not send_event(f"http://127.0.0.1:{port}", "{}", shown="L")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("listener", ["http://", "http://[", "http://a b/", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_does_not_end_a_run(listener):
    assert not send_event(listener, "{}", shown="L")


def test_a_key_that_no_header_can_hold_is_not_printed(monkeypatch, caplog):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", f"{KEY}\nX: 1")
    logging.getLogger("customs_lake").addHandler(caplog.handler)
    try:
        with server(reply(200)) as (address, got):
            assert not send_event(address, "{}", shown="L")
    finally:
        logging.getLogger("customs_lake").removeHandler(caplog.handler)
    assert got == [] and KEY not in caplog.text and "ValueError" in caplog.text


def test_the_path_is_added_to_a_base_address_only():
    assert address_of("http://h/") == "http://h/api/v1/lineage"
    assert address_of("http://h/api/v1/lineage/") == "http://h/api/v1/lineage"
