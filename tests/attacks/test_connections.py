"""Many connections of one client address, and proxies that do not say whose request they bring."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.attacks.conftest import running
from tests.attacks.words import new_id
from tests.helpers.raw_http import Answer, head, read_answer
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

LIMIT = 3
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
MALLORY, BOB, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.1"


@pytest.fixture(scope="module")
def bounded() -> Iterator[Service]:
    """In open mode, to whom only 127.0.0.1 is a proxy."""
    with running({"SSE_PROGRESS_MAX_CONNECTIONS_PER_ADDRESS": str(LIMIT)}) as service:
        yield service


def connect(service: Service, source: str) -> socket.socket:
    port = int(service.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))


def ask(
    connection: socket.socket, service: Service, path: str, headers: dict[str, str] | None = None
) -> None:
    connection.sendall(head("GET", service.url + path, headers))


def began(connection: socket.socket) -> int:
    """The status of an answer, of which no more is read."""
    return int(connection.recv(4096).split()[1])


def answer_to(service: Service, source: str, headers: dict[str, str] | None = None) -> Answer:
    with connect(service, source) as connection:
        ask(connection, service, "/healthz", headers)
        return read_answer(connection)


def is_served(service: Service, source: str, headers: dict[str, str] | None = None) -> bool:
    return answer_to(service, source, headers).status == 200


def test_connections_of_an_address_are_bounded(bounded: Service) -> None:
    """One more is answered at once, whatever it was to ask, and others' are not concerned."""
    with ExitStack() as held:
        for _ in range(LIMIT):
            held.enter_context(connect(bounded, MALLORY))
        wait_until(lambda: not is_served(bounded, MALLORY), "all are counted")
        with connect(bounded, MALLORY) as silent:
            answer = read_answer(silent)
        assert answer.status == 429
        assert answer.json["code"] == "rate_limited"
        assert answer.json["detail"] == f"3 connections from your address are open (limit {LIMIT})."
        assert int(answer.headers["retry-after"]) > 0
        assert is_served(bounded, BOB)
        assert is_served(bounded, PROXY)
    wait_until(lambda: is_served(bounded, MALLORY), "their places are free again")


def test_a_websocket_keeps_its_place_until_it_ends(bounded: Service) -> None:
    """It is the same connection, whichever protocol it speaks."""
    for _ in range(2):
        with ExitStack() as held:
            for _ in range(LIMIT):
                connection = held.enter_context(connect(bounded, MALLORY))
                ask(connection, bounded, "/ws", UPGRADE)
                assert began(connection) == 101
            assert not is_served(bounded, MALLORY)
        wait_until(lambda: is_served(bounded, MALLORY), "their places are free again")


def test_behind_a_proxy_the_client_counts(bounded: Service) -> None:
    """Requests that are being answered, by the address that the proxy names; not the proxy's
    own connections, which may wait in its pool."""
    mallory, bob = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    with ExitStack() as held:
        for at in range(LIMIT * 2):
            connection = held.enter_context(connect(bounded, PROXY))
            if at < LIMIT:
                ask(connection, bounded, f"/upload/{new_id()}/progress", mallory)
                assert began(connection) == 200
        refused = answer_to(bounded, PROXY, mallory)
        assert refused.status == 429
        assert refused.json["code"] == "rate_limited"
        assert is_served(bounded, PROXY, bob)
        assert is_served(bounded, PROXY)
    wait_until(lambda: is_served(bounded, PROXY, mallory), "their places are free again")


def test_a_proxy_that_is_not_known_is_told_of(bounded: Service) -> None:
    """Once, by the log: whose X-Forwarded-For is not believed, and who sends none."""
    untrusted = "x-forwarded-for of a peer that is not trusted"
    silent = "a trusted proxy does not name its clients"
    assert untrusted not in bounded.log
    assert silent not in bounded.log
    for _ in range(2):
        assert is_served(bounded, BOB, {"X-Forwarded-For": "203.0.113.3"})
        assert is_served(bounded, PROXY, {"X-Forwarded-Proto": "https"})
    lines = bounded.log.splitlines()
    (said,) = [line for line in lines if untrusted in line]
    assert BOB in said
    assert "SSE_PROGRESS_TRUSTED_PROXIES" in said
    (said,) = [line for line in lines if silent in line]
    assert PROXY in said
