"""Which master of a Redis Cluster has which slot, by what its nodes say.

It owns the map, and a client for each node that it names. What to do with a command whose node has
moved or is away is decided by the cluster client.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import anyio
import structlog
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError, ResponseError

__all__ = ["SLOTS", "Place", "Topology"]

log = structlog.get_logger(__name__)

SLOTS = 16384
ASK_S = 2.0
"""How long one node has to tell the map."""
ASK_EVERY_S = 0.2

Place: TypeAlias = tuple[str, int]
"""Host and port."""


class Topology:
    """`seeds` are asked until one has told the others; `make` makes the client of a node."""

    def __init__(self, seeds: Iterable[Place], make: Callable[[Place], Redis]) -> None:
        self._seeds, self._make = tuple(seeds), make
        self._clients: dict[Place, Redis] = {}
        self._owners: list[Place | None] = [None] * SLOTS
        self._suspects: set[Place] = set()
        self._listeners: set[Callable[[set[int]], None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = -math.inf
        self.known = False
        """The map has been read once."""

    def owner(self, slot: int) -> Place | None:
        """The master that has a slot, as far as is known."""
        return self._owners[slot]

    def client(self, place: Place) -> Redis:
        if place not in self._clients:
            self._clients[place] = self._make(place)
        return self._clients[place]

    def masters(self) -> list[Place]:
        """Those that have slots, in the order of their first slot."""
        return [place for place in dict.fromkeys(self._owners) if place is not None]

    def tag(self, place: Place) -> str:
        """A hash tag whose keys that master has; the same in every process with the same map."""
        return next(
            text
            for text in map(str, range(1 << 20))
            if self.owner(key_slot(text.encode())) == place
        )

    def listen(self, callback: Callable[[set[int]], None]) -> Callable[[], None]:
        """Call back with the slots whose master has changed; the answer ends that."""
        self._listeners.add(callback)
        return lambda: self._listeners.discard(callback)

    # ---- what is learned

    def moved(self, error: MovedError, asked: str) -> None:
        """A node (of the host `asked`) has said where a slot is."""
        place = (error.host or asked, error.port)
        self._suspects.discard(place)
        if self._owners[error.slot_id] != place:
            self._owners[error.slot_id] = place
            self._tell({error.slot_id})
            self.refresh_soon()  # others are likely to have moved with it

    def failed(self, place: Place) -> None:
        """It did not answer, or knows itself that it is cut off: it is asked last."""
        self._suspects.add(place)
        self.refresh_soon()

    def refresh_soon(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
            self._asking.add_done_callback(_retrieve)

    async def refresh(self) -> None:
        """Read the map again; callers at the same time share one reading. Raises RedisError."""
        self.refresh_soon()
        assert self._asking is not None
        await asyncio.shield(self._asking)

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        for client in self._clients.values():
            await client.aclose()

    async def _ask(self) -> None:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(max(self._asked_at + ASK_EVERY_S - now(), 0))
        self._asked_at = now()
        why: Exception | None = None
        for place in self._candidates():
            try:
                with anyio.fail_after(ASK_S):
                    rows: Any = await self.client(place).execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            except ResponseError as error:
                why = error  # no Cluster, or no right to ask
            except (RedisError, OSError, TimeoutError) as error:
                why = error
                self._suspects.add(place)
            else:
                self._suspects.discard(place)
                self._set(rows, place[0])
                return
        log.warning("no node of the Redis Cluster tells its slots", error=str(why))
        raise RedisConnectionError(f"no node of the Redis Cluster tells its slots: {why}") from why

    def _candidates(self) -> list[Place]:
        places = [*self.masters(), *self._clients, *self._seeds]
        random.shuffle(places)
        return sorted(dict.fromkeys(places), key=lambda place: place in self._suspects)

    def _set(self, rows: list[Any], asked: str) -> None:
        owners: list[Place | None] = [None] * SLOTS
        for first, last, (host, port, *_), *_ in rows:
            place = (host.decode() or asked, int(port))
            owners[first : last + 1] = [place] * (last + 1 - first)
        changed = {slot for slot in range(SLOTS) if owners[slot] != self._owners[slot]}
        self._owners, self.known = owners, True
        if changed:
            self._tell(changed)

    def _tell(self, slots: set[int]) -> None:
        for callback in tuple(self._listeners):
            callback(slots)


def _retrieve(task: asyncio.Task[None]) -> None:
    """What it raised is raised in those who wait for it, and logged; nobody may be waiting."""
    if not task.cancelled():
        task.exception()
