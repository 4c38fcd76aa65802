"""Sends commands to the masters of a Redis Cluster that have their keys, redirections and all.

It owns which node a command goes to, and when it is sent again. The map of slots is a `Topology`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeAlias

from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sse_progress.runtime.redis.keys import MOVING
from sse_progress.runtime.redis.topology import SLOTS, Place, Topology

__all__ = ["Command", "Routing", "slot_of"]

ROUNDS = 12
PAUSE_S = 0.05
"""Before a command is sent again whose keys are split between two nodes."""

Command: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_KEYLESS = frozenset({"PING", "TIME", "INFO"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"})
_WRITING_SCRIPTS = frozenset({"EVAL", "EVALSHA"})


def slot_of(key: str | bytes) -> int:
    return key_slot(key.encode() if isinstance(key, str) else key)


class _Sent:
    """Commands under way: the slot of each, and its result or exception."""

    def __init__(self, commands: Sequence[Command], slots: Sequence[int]) -> None:
        self.commands, self.slots = commands, slots
        self.results: list[Any] = [None] * len(commands)

    def failed(self, indexes: Iterable[int]) -> list[int]:
        return [index for index in indexes if isinstance(self.results[index], Exception)]


class Routing:
    """Channels are sharded: PUBLISH becomes SPUBLISH, so that what is published stays on the shard
    that has the channel's slot."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """A result or an exception for each, in order.

        What is redirected is sent again; so is, once, what a master did not take that has been
        replaced meanwhile. Raises RedisError where no node can be asked for the map.
        """
        await self.ready()
        sent = _Sent([_as_sent(command) for command in commands], self._slots(commands))
        left: list[int] = list(range(len(commands)))
        may_be_replaced = True
        for _ in range(ROUNDS):
            parts: dict[Place | None, list[int]] = {}
            for index in left:
                parts.setdefault(self.topology.owner(sent.slots[index]), []).append(index)
            await _all([self._part(place, part, sent) for place, part in parts.items()])
            left = sent.failed(left)
            if not left:
                break
            again = await self._redirected(left, sent, patient=len(commands) == 1)
            if may_be_replaced and (away := [i for i in left if _is_away(sent.results[i])]):
                may_be_replaced = False
                again += await self._replaced(away, sent)
            left = sorted(again)
        return sent.results

    async def send_as_one(self, commands: Sequence[Command]) -> list[Any]:
        """A transaction, whose keys are of one slot. Raises what stopped it."""
        await self.ready()
        sent = _Sent([_as_sent(command) for command in commands], self._slots(commands))
        if len(set(sent.slots)) > 1:
            raise ValueError("the keys of a transaction are of several slots")
        for _ in range(ROUNDS):
            place = self.topology.owner(sent.slots[0])
            try:
                return await self._transaction(place, sent)
            except MovedError as error:
                why: RedisError = error
            except (AskError, TryAgainError) as error:
                why = error
                await asyncio.sleep(PAUSE_S)
            except (RedisConnectionError, ClusterDownError):
                if not await self._replaced([0], sent):
                    raise
        raise why

    async def ready(self) -> None:
        """Have a map. Raises RedisError where no node tells it."""
        if not self.topology.known:
            await self.topology.refresh()

    # ---- one round

    def _slots(self, commands: Sequence[Command]) -> list[int]:
        """Commands without a key go where the first key is; without any, to some master."""
        slots = [_slot(args) for args, _ in commands]
        some = next((slot for slot in slots if slot is not None), None)
        if some is None:
            some = next((i for i in range(SLOTS) if self.topology.owner(i) is not None), 0)
        return [some if slot is None else slot for slot in slots]

    async def _part(self, place: Place | None, part: list[int], sent: _Sent) -> None:
        """Send what is for one node; what stops all of it is the result of each."""
        try:
            found = await self._at(place, [sent.commands[index] for index in part])
        except (RedisError, OSError) as error:
            if place is not None and _is_away(error):
                self.topology.failed(place)
            found = [error] * len(part)
        for index, result in zip(part, found, strict=True):
            sent.results[index] = result

    async def _at(self, place: Place | None, commands: list[Command]) -> list[Any]:
        client = self.topology.client(_served(place))
        if len(commands) == 1:
            [(args, options)] = commands
            result: Any = await client.execute_command(*args, **options)  # type: ignore[no-untyped-call]
            return [result]
        async with client.pipeline(transaction=False) as pipe:
            return await _queued(pipe, commands).execute(raise_on_error=False)

    async def _transaction(self, place: Place | None, sent: _Sent) -> list[Any]:
        async with self.topology.client(_served(place)).pipeline(transaction=True) as pipe:
            return await _queued(pipe, sent.commands).execute(raise_on_error=False)

    async def _redirected(self, failed: list[int], sent: _Sent, *, patient: bool) -> list[int]:
        """Follow what nodes have answered; which commands are to be sent again.

        `patient`: also one whose keys are split between two nodes, after a pause.
        """
        again, split = [], False
        for index in failed:
            error = sent.results[index]
            if isinstance(error, AskError) and not isinstance(error, MovedError):
                error = sent.results[index] = await self._asked(error, sent.commands[index])
            if isinstance(error, TryAgainError):
                split = patient
            if isinstance(error, MovedError) or (patient and isinstance(error, TryAgainError)):
                again.append(index)
        if split:
            await asyncio.sleep(PAUSE_S)
        return again

    async def _asked(self, error: AskError, command: Command) -> Any:
        """Send a command to the node that its key has moved to ahead of its slot.

        Who follows that key's journal listens on the node that still has the slot: a notice, on
        all nodes, tells them to look.
        """
        client = self.topology.client((error.host, error.port))
        try:
            async with client.pipeline(transaction=False) as pipe:
                _queued(pipe, [(("ASKING",), {}), command])
                _, result = await pipe.execute(raise_on_error=False)
            args = command[0]
            if args[0] in _WRITING_SCRIPTS and not isinstance(result, Exception):
                await client.publish(MOVING, args[3])
        except (RedisError, OSError) as failed:
            return failed
        return result

    async def _replaced(self, away: list[int], sent: _Sent) -> list[int]:
        """Which of the commands have another master by now."""
        before = {index: self.topology.owner(sent.slots[index]) for index in away}
        try:
            await self.topology.refresh()
        except RedisError:
            return []
        return [i for i in away if self.topology.owner(sent.slots[i]) not in (before[i], None)]


def _slot(args: Sequence[Any]) -> int | None:
    """Of a command's first key; None if it has none."""
    if args[0] in _KEYLESS:
        return None
    return slot_of(args[3] if args[0] in _SCRIPTS else args[1])


def _as_sent(command: Command) -> Command:
    args, options = command
    return (("SPUBLISH", *args[1:]), options) if args[0] == "PUBLISH" else command


def _queued(pipe: Pipeline, commands: Iterable[Command]) -> Pipeline:
    for args, options in commands:
        pipe.execute_command(*args, **options)
    return pipe


def _served(place: Place | None) -> Place:
    if place is None:
        raise ClusterDownError("no master has this slot")
    return place


def _is_away(error: Any) -> bool:
    return isinstance(error, RedisConnectionError | ClusterDownError | RedisTimeoutError)


async def _all(parts: list[Awaitable[None]]) -> None:
    if len(parts) == 1:
        await parts[0]
    else:
        await asyncio.gather(*parts)
