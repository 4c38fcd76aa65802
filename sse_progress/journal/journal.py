"""One append-only log per upload, on Redis: the only truth about it.

Owns claims, fences, reading, and the operations that change who may write. A writer's own events
go through `JournalWriter`. Both are single Lua scripts, so each is one step, also across processes.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from redis.asyncio import Redis

from sse_progress.journal.append_batcher import Answer, AppendBatcher, Operation, Queued
from sse_progress.journal.event_arguments import event_arguments
from sse_progress.journal.frames import Foreign, Page, page_of
from sse_progress.journal.read_batcher import ReadBatcher
from sse_progress.journal.scripts import READ, SHORTEN, Script
from sse_progress.journal.upload_index import Listing
from sse_progress.model.events import Draft
from sse_progress.model.ids import Position
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable
from sse_progress.runtime.redis.keys import journal_channel, journal_keys

__all__ = ["Journal", "new_epoch"]

TTL_OPEN_S = 7 * 24 * 3600
"""Keys of an open upload; appends (events once an hour) and the reconciler renew it."""


def new_epoch() -> str:
    """Not a secret, and made for each append: the system's random source would cost more."""
    return f"{random.getrandbits(32):08x}"


class Journal:
    """Journals of all uploads. `epoch` makes names for new tellings (random, by default).

    After its end one is kept for `journal_ttl_s`, after an error for `refused_ttl_s` (None: the
    same). `observe_append` receives how many seconds each append took. `enqueue` is the Lua
    function of that name, for operations that put a job into the queue.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        journal_ttl_s: int = 24 * 3600,
        refused_ttl_s: int | None = None,
        claim_ttl_s: int = 600,
        epoch: Callable[[], str] = new_epoch,
        observe_append: Callable[[float], object] = lambda _: None,
        enqueue: str = "",
    ) -> None:
        self.redis = redis
        self.appends = AppendBatcher(redis, observe=observe_append, library=enqueue)
        self._read = Script("read", READ)
        self._shorten = Script("shorten", SHORTEN)
        self._reads = ReadBatcher(redis, self._read)
        self._ttl_done, self._claim_ttl = journal_ttl_s, claim_ttl_s
        self._ttl_refused = journal_ttl_s if refused_ttl_s is None else refused_ttl_s
        self._epoch = epoch

    # ---- reading

    async def read(
        self,
        upload_id: str,
        *,
        owner: str = "",
        claim: bool = False,
        after: Position | None = None,
        limit: int = 0,
        about: bool = False,
    ) -> Page | Foreign | None:
        """The head, and up to `limit` frames after a position (None: from the beginning); of a
        journal that was shortened, the last one alone.

        `claim` gives an unused id to `owner`, as a pending upload. An empty `owner`
        reads without an ownership check. `about` also reads the description of the file. None:
        there is no such journal. Raises `redis.RedisError`.
        """
        values: dict[str, Any] = {
            "owner": owner,
            "claim": int(claim),
            "epoch": self._epoch() if claim else "",
            "claim_ttl_s": self._claim_ttl,
            "after_epoch": after.epoch or "?" if after else "",
            "after_seq": after.seq if after else 0,
            "limit": limit,
            "about": int(about),
        }
        reply = await self._reads.read(
            journal_keys(upload_id), self._read.arguments(values), writes=claim
        )
        return page_of(reply)

    async def head(self, upload_id: str) -> Page | None:
        """Only the head, without an ownership check. Raises `redis.RedisError`."""
        page = await self.read(upload_id)
        assert not isinstance(page, Foreign), "read without an owner"
        return page

    async def results(self, upload_id: str) -> dict[str, bytes]:
        """JSON results of the finished stages, by stage name."""
        fields: dict[Any, Any] = await self.redis.hgetall(journal_keys(upload_id)[0])
        return {
            key.decode().removeprefix("r:"): value
            for key, value in fields.items()
            if key.startswith(b"r:")
        }

    async def restore(self, upload_id: str, results: dict[str, bytes], *, about: bytes) -> None:
        """Put stage results and the description of the file back that Redis has lost."""
        fields = {"about": about, **{f"r:{k}": v for k, v in results.items()}}
        await self.redis.hset(journal_keys(upload_id)[0], mapping=fields)  # type: ignore[arg-type]

    async def keep_claim(self, upload_id: str) -> None:
        """A stream still waits on a pending id; never shortens a longer life."""
        await self.redis.expire(journal_keys(upload_id)[0], self._claim_ttl, gt=True)

    async def keep_open(self, upload_ids: Iterable[str]) -> None:
        async with self.redis.pipeline(transaction=False) as pipe:
            for upload_id in upload_ids:
                for key in journal_keys(upload_id):
                    pipe.expire(key, TTL_OPEN_S, gt=True)
            await pipe.execute()

    async def shorten(self, upload_ids: Iterable[str]) -> None:
        """Keep of these journals, as far as they have ended, the last event alone."""
        for upload_id in upload_ids:
            await self._reads.call(self._shorten, journal_keys(upload_id), [])

    # ---- changing who may write: each raises the fence, so that older writers are refused

    def operation(
        self,
        op: str,
        upload_id: str,
        *,
        owner: str,
        fence: int = 0,
        numbers: Iterable[int] | None = None,
        lease_s: float = 0,
        seen: Position | None = None,
        draft: Draft | None = None,
        then: Draft | None = None,
        first: bool = False,
        result: tuple[str, bytes] | None = None,
        about: bytes = b"",
        tags: bytes = b"",
        table: StageTable = DEFAULT_TABLE,
        nonce: str | None = None,
        producer: str = "",
        rate: int = 0,
        listing: Listing | None = None,
        queued: Queued | None = None,
    ) -> asyncio.Future[Answer]:
        """Submit one call of append.lua; its future is answered once Redis has.

        `draft` is of a stage of `table`; so is `then`, which follows in the same step and ends
        nothing. `about` describes the file, for states (`state_about`).
        `tags` are put into every event from this one on; empty: those of the journal stay. A second
        operation in a row with the same `nonce` is answered `dup`; None makes a new one.
        `listing`, of `begin`, and `queued`, of `next`: what it is put into in the same step.
        """
        if nonce is None:
            nonce = "" if op in ("next", "renew", "note") else secrets.token_hex(8)
        refused = draft is not None and draft.stage == "error"
        values: dict[str, Any] = {
            "op": op,
            "fence": fence,
            "n": 0,
            "epoch": self._epoch(),
            "owner": owner,
            "channel": journal_channel(upload_id),
            "lease_ms": int(lease_s * 1000),
            "ttl_open_s": TTL_OPEN_S,
            "ttl_done_s": self._ttl_refused if refused else self._ttl_done,
        }
        if draft is not None:
            values |= event_arguments(
                upload_id, draft, first=first, table=table, tags=tags, then=then
            )
        if tags:
            values["tags"] = tags
        if nonce:
            values["nonce"] = nonce
        if producer:
            values["producer"] = producer
        if rate:
            values["rate"] = rate
        if seen is not None:
            values |= {"seen_epoch": seen.epoch, "seen_seq": seen.seq}
        if about:
            values["about"] = about
        if result is not None:
            values["result_field"], values["result"] = f"r:{result[0]}", result[1]
        keys: tuple[str, ...] = journal_keys(upload_id)
        if listing is not None:
            values |= listing.arguments
            keys += listing.keys
        return self.appends.submit(Operation(keys, values, numbers=numbers, queued=queued))

    async def begin(
        self,
        upload_id: str,
        *,
        owner: str,
        draft: Draft,
        lease_s: float,
        tags: bytes = b"",
        table: StageTable = DEFAULT_TABLE,
        listing: Listing | None = None,
    ) -> Answer:
        """pending → its first stage, once: status `ok`, `forbidden` or `in_use`.

        `listing`: if it is `ok`, it is listed and announced in the same step.
        """
        return await self.operation(
            "begin",
            upload_id,
            owner=owner,
            draft=draft,
            first=True,
            lease_s=lease_s,
            tags=tags,
            table=table,
            listing=listing,
        )

    async def resume(
        self, upload_id: str, *, owner: str, lease_s: float, draft: Draft | None = None
    ) -> Answer:
        """A further request sends the body on: the earlier one may not write any more.

        The new fence is published on `turn_channel(upload_id)`. Without `draft` no event says so.
        The lease may be as long as the upload may rest. A `JournalWriter` that goes on from the
        answer has `written` 1 with a draft, else 0. Status `ok` (or `skip`: the draft told nothing
        new; `paused`: there is none, and the latest event says that the body rests; `dup`: this was
        answered before), `stored` (it is past receiving), `ended`, `forbidden` or `unknown`.
        """
        return await self.operation("resume", upload_id, owner=owner, draft=draft, lease_s=lease_s)

    async def tell(
        self,
        upload_id: str,
        *,
        fence: int,
        nonce: str,
        draft: Draft,
        lease_s: float = 0,
        first: bool = False,
        producer: str = "",
        rate: int = 0,
        after: int = 0,
        table: StageTable = DEFAULT_TABLE,
    ) -> Answer:
        """One event by a writer that keeps nothing between two of them.

        Merged here as a `JournalWriter` would: `merged` says that it came too early after the last
        one and was left out. A repeated `nonce` is answered `dup`, an older fence `stale`. Further:
        `ok`, `skip` (a stage that was passed), `ended`, `unknown`. `wait_ms` says when the next
        one may be told.

        Without `lease_s` the lease is as long as it was made for. With `producer` it has to be that
        one's (else `forbidden`), with `rate` more than that in a second are answered `fast`. With
        `after` it is said only if that is still the latest event's seq, else `skip`.
        """
        return await self.operation(
            "tell",
            upload_id,
            owner="",
            fence=fence,
            nonce=nonce,
            draft=draft,
            first=first,
            lease_s=lease_s,
            producer=producer,
            rate=rate,
            seen=Position("", after),
            table=table,
        )

    async def job(
        self,
        upload_id: str,
        *,
        owner: str,
        producer: str,
        lease_s: float,
        tags: bytes = b"",
        about: bytes = b"",
    ) -> Answer:
        """Work that another service reports: announced by `producer`, or taken over by it again.

        The answer's fence is the writer's. Without a report for `lease_s` it may be swept. Tags and
        description of the first announcement stay. Status `new`, `ok` (taken over), `ended`,
        `in_use` (an upload, or another producer's) or `forbidden`.
        """
        return await self.operation(
            "job",
            upload_id,
            owner=owner,
            producer=producer,
            lease_s=lease_s,
            tags=tags,
            about=about,
        )

    async def take(
        self, upload_id: str, *, owner: str, above: int = 0, seen: Position | None = None
    ) -> Answer:
        """A worker takes the job; `seen` is the highest position known to have been acknowledged.

        Its fence is above all that Redis knows, and above `above`. Status `ok`, `ended`, or `new`:
        Redis lost something, so a new epoch begins with the next event.
        """
        return await self.operation("take", upload_id, owner=owner, fence=above, seen=seen)

    async def cancel(self, upload_id: str, *, owner: str, draft: Draft) -> Answer:
        """End it for its owner: status `ok`, `ended`, `forbidden` or `unknown`."""
        return await self.operation("cancel", upload_id, owner=owner, draft=draft)

    async def sweep(
        self, upload_id: str, *, fence: int, draft: Draft, lease_s: float = 0
    ) -> Answer:
        """End it if there was no write since `fence` and its lease expired; else `busy`.

        With `lease_s` a lease that runs for ten times as long beyond its own length does not count:
        Redis' clock was set back.
        """
        return await self.operation(
            "sweep", upload_id, owner="", fence=fence, draft=draft, lease_s=lease_s
        )

    async def revive(
        self, upload_id: str, *, owner: str, draft: Draft, tags: bytes = b""
    ) -> Answer:
        """Write the end of a finished upload again, whose journal Redis no longer has."""
        return await self.operation("revive", upload_id, owner=owner, draft=draft, tags=tags)
