"""One connection for all commands of a process, on a real Redis, and what happens without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sse_progress.runtime.concurrency import beside
from sse_progress.runtime.redis import link as module
from sse_progress.runtime.redis.client import connect, linked, together
from sse_progress.runtime.redis.link import RedisLink
from tests.helpers.redis_proxy import RedisProxy
from tests.helpers.redis_server import RedisServer
from tests.helpers.waiting import eventually


@asynccontextmanager
async def a_linked_client(url: str) -> AsyncIterator[tuple[Redis, RedisLink]]:
    async with connect(url) as redis:
        link = linked(redis, url)
        assert link is not None
        async with beside(link.run()):
            await eventually(lambda: link.takes, "the link is connected")
            yield redis, link


async def commands_by_pool(redis: Redis) -> int:
    """How many connections the client's pool holds."""
    pool = redis.connection_pool
    return len(pool._available_connections) + len(pool._in_use_connections)


async def test_answers_are_those_of_the_pool(redis_url: str) -> None:
    """Commands, pipelines, scripts and errors come back the same, without a connection of the
    pool."""

    async def asked(redis: Redis) -> list[object]:
        await redis.delete("z", "h", "s")
        script = redis.register_script("return {KEYS[1], ARGV[1], 7}")
        found: list[object] = [
            await redis.zadd("z", {"a": 1, "b": 2.5}),
            await redis.zrange("z", 0, -1, withscores=True),
            await redis.hset("h", mapping={"x": 1, "y": b"\xff"}),
            await redis.hgetall("h"),
            await redis.hmget("h", "x", "none"),
            await redis.set("s", "v" * 100_000),
            await redis.get("s"),
            await redis.config_get("maxmemory-policy"),
            await script(keys=["z"], args=["é"]),
        ]
        async with redis.pipeline(transaction=False) as pipe:
            pipe.zscore("z", "b")
            pipe.hexists("h", "x")
            pipe.incr("h")
            pipe.get("none")
            found += await pipe.execute(raise_on_error=False)
        return [repr(answer) for answer in found]

    async with connect(redis_url) as plain, a_linked_client(redis_url) as (redis, link):
        await plain.script_flush()
        with pytest.raises(NoScriptError):
            await redis.evalsha("0" * 40, 0)
        assert await asked(redis) == await asked(plain)
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await redis.incr("h")
        async with redis.pipeline(transaction=False) as pipe:
            pipe.get("s")
            pipe.incr("h")
            with pytest.raises(ResponseError, match="Command # 2"):
                await pipe.execute()
        assert await commands_by_pool(redis) == 0
        assert link.takes


async def test_a_transaction_takes_the_pool(redis_url: str) -> None:
    """MULTI and what follows stay on a connection of their own."""
    async with a_linked_client(redis_url) as (redis, _):
        async with redis.pipeline(transaction=True) as pipe:
            pipe.set("a", 1)
            pipe.get("a")
            assert await pipe.execute() == [True, b"1"]
        assert await commands_by_pool(redis) == 1


async def test_who_leaves_leaves_no_answer_behind(redis_url: str) -> None:
    """The answer to a command whose caller was cancelled is nobody else's."""
    async with a_linked_client(redis_url) as (redis, _):
        await redis.set("other", "other")
        for number in range(50):
            left = asyncio.ensure_future(redis.get("other"))
            await asyncio.sleep(0)
            left.cancel()
            assert await redis.echo(f"{number}") == f"{number}".encode()


async def test_commands_under_way_are_sent_again_when_it_breaks(own_redis: RedisServer) -> None:
    """A reset costs no error: the pool takes over, and then there is a link again."""
    with RedisProxy(own_redis.socket_path) as proxy:
        async with a_linked_client(proxy.url) as (redis, link):
            own_redis.stop()
            waiting = [asyncio.ensure_future(redis.incr("n")) for _ in range(20)]
            await eventually(lambda: not link.idle, "commands are under way")
            proxy.reset_all()
            own_redis.cont()
            assert len(set(await asyncio.gather(*waiting))) == 20
            await eventually(lambda: link.takes, "there is a link again")
            assert await redis.ping()


async def test_a_silent_server_times_out_and_gets_a_command_once(own_redis: RedisServer) -> None:
    """Commands that met silence fail together and are not sent again; the link comes back."""
    async with a_linked_client(f"{own_redis.url}?socket_timeout=0.3") as (redis, link):
        await redis.set("n", 0)
        own_redis.stop()
        found = await asyncio.gather(*(redis.incr("n") for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in found] == [RedisTimeoutError] * 3
        own_redis.cont()
        await eventually(lambda: link.takes, "there is a link again")
        assert int(await redis.get("n") or 0) <= 3


async def test_without_a_server_errors_are_those_of_the_pool(own_redis: RedisServer) -> None:
    """While the server is away every command says so, and the link is made again afterwards."""
    async with a_linked_client(own_redis.url) as (redis, link):
        own_redis.kill()
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        own_redis.start()
        await eventually(lambda: link.takes, "there is a link again")
        assert await redis.ping()


async def test_what_is_over_its_bound_takes_the_pool(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than so many requests wait on one connection; the pool has its own queue."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    async with a_linked_client(own_redis.url) as (redis, _):
        assert await commands_by_pool(redis) == 0
        assert all(await asyncio.gather(*(redis.ping() for _ in range(5))))
        assert await commands_by_pool(redis) == 3


async def test_a_replica_is_left_for_the_pool(own_redis: RedisServer) -> None:
    """READONLY is answered as the pool does: all connections of the client are made anew."""
    async with a_linked_client(own_redis.url) as (redis, link):
        own_redis.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(RedisConnectionError, match="read-only"):
            await redis.set("a", 1)
        own_redis.command("REPLICAOF", "NO", "ONE")
        await eventually(lambda: link.takes, "there is a link again")
        assert await redis.set("a", 1)


async def test_a_replica_is_left_though_the_pool_has_left_it_before(
    own_redis: RedisServer, short_dir: Path
) -> None:
    """Where the pool leads to the new master already, nothing is read at the old one any more."""
    (short_dir / "b").mkdir()
    other = RedisServer(short_dir / "b")
    other.start()
    try:
        with RedisProxy(own_redis.socket_path) as proxy:
            async with a_linked_client(proxy.url) as (redis, link):
                await redis.set("a", "old")
                proxy.target = other.socket_path
                own_redis.command("REPLICAOF", "127.0.0.1", "1")
                assert await redis.set("a", "new")
                await eventually(lambda: link.takes, "there is a link again")
                assert await redis.get("a") == b"new"
    finally:
        other.close()


async def test_what_cannot_be_packed_is_refused_as_by_the_pool(redis_url: str) -> None:
    """A value that is no text or number is an error, and nothing was sent."""
    async with a_linked_client(redis_url) as (redis, _):
        with pytest.raises(Exception, match="Invalid input of type"):
            await redis.set("a", object())  # type: ignore[arg-type]
        assert await redis.ping()


async def test_commands_together_are_answered_alike(redis_url: str) -> None:
    """By the link, and by the pool where there is none: the same answers, and the same errors."""
    commands: list[tuple[object, ...]] = [
        ("ZADD", "z", "NX", 2, "a"),
        ("ZSCORE", "z", "a"),
        ("EXPIRE", "z", 100),
        ("HGET", "none", "x"),
        ("CONFIG GET", "maxmemory-policy"),
    ]
    wrong: list[tuple[object, ...]] = [("SET", "s", "x"), ("INCR", "s"), ("GET", "s")]

    async def asked(redis: Redis) -> list[str]:
        await redis.delete("z", "s")
        found = await together(redis, commands)
        found += await together(redis, wrong, raise_on_error=False)
        with pytest.raises(ResponseError, match="not an integer"):
            await together(redis, wrong)
        return [repr(answer).partition("Command #")[0] for answer in found]

    async with connect(redis_url) as plain, a_linked_client(redis_url) as (redis, _):
        assert await asked(redis) == await asked(plain)
        assert await commands_by_pool(redis) == 0
