"""Connections to a real Redis: what an outage, a time-out and a wait do to a caller."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import math
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import create_task_group
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sse_progress.runtime.redis import client as module
from sse_progress.runtime.redis.client import connect, dedicated
from tests.helpers.redis_proxy import RedisProxy
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually


async def clients_in(redis: Redis, command: str) -> list[dict[str, str]]:
    """Connections to the server whose last command was this."""
    return [client for client in await redis.client_list() if client["cmd"] == command]


@asynccontextmanager
async def tcp_in_front_of(
    server: RedisServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A TCP port, with TLS if wanted, that leads to the server's unix socket."""
    open_writers: list[asyncio.StreamWriter] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(str(server.socket_path))
        open_writers.extend((writer, outer))
        async with create_task_group() as group:
            group.start_soon(pump, reader, outer)
            group.start_soon(pump, inner, writer)

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with front:
        yield front.sockets[0].getsockname()[1]
        for writer in open_writers:
            writer.close()
            await writer.wait_closed()


async def test_replies_are_bytes(redis_url: str) -> None:
    """A client answers raw bytes and speaks RESP 2."""
    async with connect(redis_url) as redis:
        await redis.set("a", "1")
        assert await redis.get("a") == b"1"
        assert await redis.eval("return {1, 'x'}", 0) == [1, b"x"]
        assert all(client["resp"] == "2" for client in await redis.client_list())


@pytest.mark.parametrize("lost", [0, 3])
@pytest.mark.parametrize("how", ["command", "pipeline"])
async def test_every_command_has_a_deadline(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, how: str, lost: int
) -> None:
    """It holds where the server never answers and where a library loses cancellations."""
    monkeypatch.setattr(module, "COMMAND_LIMIT_S", 0.2)
    swallowed = 0

    async def never(*_: object, **__: object) -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > lost:
                    raise

    async with connect(redis_url) as redis:
        await redis.ping()
        monkeypatch.setattr(AbstractConnection, "read_response", never)
        pipe = redis.pipeline(transaction=False)
        ask = redis.get("a") if how == "command" else pipe.get("a").execute()
        with pytest.raises(RedisTimeoutError, match="within"):
            await asyncio.wait_for(ask, 60)
        assert swallowed > lost
        monkeypatch.undo()
        assert await redis.ping()


async def test_an_outage_between_commands_costs_no_error(own_redis: RedisServer) -> None:
    """Connections that a restart closed are replaced unnoticed."""
    async with connect(own_redis.url) as redis:
        await asyncio.gather(*(redis.ping() for _ in range(8)))
        own_redis.restart()
        assert all(await asyncio.gather(*(redis.ping() for _ in range(8))))


async def test_a_command_whose_connection_breaks_is_sent_again(redis_url: str) -> None:
    """A command waiting for its answer when its connection is cut is answered on a new one."""
    async with connect(redis_url) as redis, create_task_group() as group:
        answers = []

        async def wait() -> None:
            answers.append(await redis.blpop(["list"], timeout=0))

        group.start_soon(wait)
        waiting = await eventually(lambda: clients_in(redis, "blpop"), "BLPOP waits")
        await redis.client_kill_filter(_id=waiting[0]["id"])

        async def again() -> bool:
            found = await clients_in(redis, "blpop")
            return bool(found) and found[0]["id"] != waiting[0]["id"]

        await eventually(again, "BLPOP waits again")
        await redis.rpush("list", "x")
        await eventually(lambda: answers, "it is answered")
        assert answers == [(b"list", b"x")]


async def test_a_command_that_timed_out_is_not_sent_again(own_redis: RedisServer) -> None:
    """A silent server gets a command once: what it does later, it does once."""
    async with connect(f"{own_redis.url}?socket_timeout=0.2") as redis:
        await redis.set("n", 0)
        own_redis.stop()
        with pytest.raises(RedisTimeoutError):
            await redis.incr("n")
        own_redis.cont()
        assert await redis.get("n") == b"1"


async def test_no_server_is_an_error(own_redis: RedisServer) -> None:
    """With nobody there a command raises redis' ConnectionError; once there is, it is answered."""
    own_redis.kill()
    async with connect(own_redis.url) as redis:
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        own_redis.start()
        assert await redis.ping()


async def test_the_pool_waits_where_it_is_empty(redis_url: str) -> None:
    """With one connection, a second caller waits for the first instead of failing."""
    async with (
        connect(redis_url, max_connections=1) as redis,
        connect(redis_url) as other,
        create_task_group() as group,
    ):
        answers = []

        async def first() -> None:
            answers.append(await redis.blpop(["list"], timeout=0))

        async def second() -> None:
            answers.append(await redis.ping())

        group.start_soon(first)
        await eventually(lambda: clients_in(other, "blpop"), "BLPOP has the connection")
        group.start_soon(second)
        await asyncio.sleep(0.05)
        assert answers == []
        await other.rpush("list", "x")
        await eventually(lambda: len(answers) == 2, "both are answered")
        assert answers == [(b"list", b"x"), True]


async def test_a_cancelled_command_leaves_no_answer_behind(redis_url: str) -> None:
    """The caller after a cancelled one gets its own answer, on one and the same pool place."""
    async with connect(redis_url, max_connections=1) as redis, connect(redis_url) as other:
        async with create_task_group() as group:
            group.start_soon(redis.blpop, ["list"], 0)
            await eventually(lambda: clients_in(other, "blpop"), "BLPOP waits")
            group.cancel_scope.cancel()
        await other.rpush("list", "x")
        assert await redis.echo("mine") == b"mine"


async def test_a_dedicated_connection_waits_without_end(redis_url: str) -> None:
    """Pub/sub on a raw connection: a wait outlasts the socket's time-out; a bounded one is None."""
    connection = dedicated(f"{redis_url}?socket_timeout=0.1")
    assert not connection.is_connected
    await connection.connect()
    try:
        await connection.send_command("SUBSCRIBE", "news")
        assert await connection.read_response(timeout=math.inf) == [b"subscribe", b"news", 1]
        assert await connection.read_response(timeout=0.05) is None
        waiting = asyncio.ensure_future(connection.read_response(timeout=math.inf))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with connect(redis_url) as redis:
            await redis.publish("news", "hello")
        assert await waiting == [b"message", b"news", b"hello"]
    finally:
        await connection.disconnect()


async def test_a_dedicated_connection_says_when_it_is_lost(own_redis: RedisServer) -> None:
    """The end of the server ends a wait with an error; nothing reconnects behind the back."""
    connection = dedicated(own_redis.url)
    await connection.connect()
    await connection.send_command("SUBSCRIBE", "news")
    await connection.read_response()
    own_redis.restart()
    with pytest.raises(RedisConnectionError):
        await connection.read_response(timeout=math.inf)
    assert not connection.is_connected


async def test_all_connections_leave_a_demoted_master(
    redis_url: str, redis_server: RedisServer, own_redis: RedisServer
) -> None:
    """One refused write is enough: those that write nothing, the subscription among them, lead to
    the new master next."""
    with RedisProxy(own_redis.socket_path) as proxy:
        async with connect(proxy.url) as redis:
            idle = dedicated(proxy.url, of=redis)
            await idle.connect()
            await idle.send_command("SUBSCRIBE", "news")
            await idle.read_response(timeout=math.inf)
            await asyncio.gather(*(redis.blpop(["none"], timeout=0.05) for _ in range(3)))
            assert proxy.connections() >= 3
            own_redis.command("REPLICAOF", "127.0.0.1", "1")
            proxy.target = redis_server.socket_path
            assert await redis.set("where", "on the new one")
            with pytest.raises(RedisConnectionError):
                await idle.read_response(timeout=60)
            async with connect(redis_url) as there:
                assert await there.get("where") == b"on the new one"
            await asyncio.gather(*(redis.get("where") for _ in range(3)))
            left = own_redis.command("CLIENT", "LIST").decode()
            assert left.count("\nid=") == 1, left  # the one that asks


async def test_tcp_has_keepalive(redis_server: RedisServer) -> None:
    """`redis://` connections notice a dead peer: keepalive after 30 s, 3 probes 5 s apart."""
    async with tcp_in_front_of(redis_server) as port:
        connection = dedicated(f"redis://127.0.0.1:{port}/0")
        await connection.connect()
        writer = connection._writer
        assert writer is not None
        peer = writer.get_extra_info("socket")
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert [peer.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [30, 5, 3]
        await connection.disconnect()


async def test_tls_is_checked(redis_server: RedisServer, tmp_path: Path) -> None:
    """`rediss://` refuses a certificate that nobody vouches for and takes one that is trusted."""
    certificate, key = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with tcp_in_front_of(redis_server, tls) as port:
        async with connect(f"rediss://127.0.0.1:{port}") as redis:
            with pytest.raises(RedisConnectionError, match="certificate"):
                await redis.ping()
        async with connect(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}") as redis:
            assert await redis.ping()


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Paths of a fresh certificate for 127.0.0.1 and of its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis of a test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", ""])
def test_other_urls_are_refused(url: str) -> None:
    """Only redis, rediss and unix URLs are taken."""
    with pytest.raises(ValueError, match="redis://"):
        connect(url)
    with pytest.raises(ValueError, match="redis://"):
        dedicated(url)
