"""Webhooks: one delivery of each end, sent until it is taken, whatever receivers do."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sse_progress.model.events import tags_of
from sse_progress.model.webhooks import RETRIES_S, secrets_of
from sse_progress.uploads import ends
from sse_progress.uploads.batches import Batches
from sse_progress.uploads.components import Components
from sse_progress.uploads.deliveries import Deliveries, Delivery
from sse_progress.uploads.ends import make_deliveries
from sse_progress.uploads.queries import Uploads
from sse_progress.uploads.reviews import Reviews
from sse_progress.worker.webhooks import Webhooks
from tests.helpers.components import begin, components, draft, store, stored
from tests.helpers.redis_server import RedisServer
from tests.helpers.webhook_receiver import Receiver, receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def parts(
    redis_url: str, directory: Path, told: Receiver, clock: Callable[[], float] = time.time
) -> AsyncIterator[Components]:
    """Parts that tell `told`; deliveries go by `clock`."""
    secrets = f"{SECRET}, {OTHER}"
    given = {"webhook_url": told.url, "webhook_secret": secrets}
    async with components(redis_url, directory, **given) as core:
        deliveries = Deliveries(core.redis, storage_id=core.storage.id, now=clock)
        yield replace(core, deliveries=deliveries)


async def end(core: Components, upload_id: str = "up", term: str = "error", **more: Any) -> None:
    await begin(core, upload_id)
    given = draft(term, **more)
    assert (await core.journal.cancel(upload_id, owner="ann", draft=given)).status == "ok"
    await core.index.closed(upload_id)


async def look(core: Components, told: Receiver, **options: Any) -> None:
    """One round of a worker."""
    hooks = Webhooks(core, url=told.url, keys=secrets_of(f"{SECRET},{OTHER}"), **options)
    async with hooks.client() as client:
        await hooks.round(client)


async def only(core: Components) -> Delivery:
    (found,), _ = await core.deliveries.latest(limit=9, before_us=None)
    return found


# ---- what is sent


async def test_the_reference_library_verifies_each_secret(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """The message of an end has its type, time and state; either secret proves it, no other does,
    and not for another body."""
    async with parts(redis_url, tmp_path, told) as core:
        await end(core)
        await look(core, told)
        (receipt,) = told.receipts
        for secret in (SECRET, OTHER):
            message = Webhook(secret).verify(receipt.body, receipt.headers)
        assert message == receipt.message
        assert (message["type"], message["data"]["status"]) == ("upload.error", "error")
        assert message["timestamp"] == message["data"]["timestamp"]
        assert receipt.headers["content-type"] == "application/json"
        foreign = "whsec_" + base64.b64encode(b"f" * 32).decode()
        for secret, body in ((foreign, receipt.body), (SECRET, receipt.body + b" ")):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, receipt.headers)
        delivery = await only(core)
        assert (delivery.state, delivery.attempts, delivery.due_at) == ("delivered", 1, None)


async def test_each_end_is_one_delivery(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """Though it is noted twice, and four workers look at the same time, and one looks later."""
    async with parts(redis_url, tmp_path, told) as core:
        names = [f"up{n}" for n in range(20)]
        for name in names:
            await end(core, name)
        await asyncio.gather(*(look(core, told) for _ in range(4)))
        for name in names:
            await core.index.closed(name)
        for _ in range(4):
            await look(core, told)
        assert sorted(one.message["data"]["uploadId"] for one in told.receipts) == sorted(names)
        assert len({one.id for one in told.receipts}) == 20
        assert await core.index.ended("webhooks", limit=9) == []


async def test_what_is_stored_is_told_at_once_and_once(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """With the state of that moment; where its note was lost, before the end."""
    async with parts(redis_url, tmp_path, told) as core:
        for name, is_noted in (("noted", True), ("lost", False)):
            answer = await stored(core, name)
            if is_noted:
                for _ in range(2):
                    await core.index.note("stored", name, consumer="webhooks")
                    await look(core, told)
                assert [one.message["type"] for one in told.receipts] == ["upload.stored"]
            await core.journal.cancel(name, owner="ann", draft=draft("cancelled"))
            await core.index.closed(name)
            await look(core, told)
            first, last = sorted(told.receipts, key=lambda one: one.id)  # sent side by side
            assert first.id == f"{name}.{answer.epoch}-3"
            message = first.message
            assert message["type"] == "upload.stored"
            assert (message["data"]["stage"], message["data"]["status"]) == (
                "file_received",
                "processing",
            )
            assert last.message["type"] == "upload.cancelled"
            told.receipts.clear()


async def test_what_waits_for_a_person_is_told(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """Once, and only while it waits."""
    async with parts(redis_url, tmp_path, told) as core:
        reviews = Reviews(core, {})
        for name, waits in (("waits", True), ("decided", False)):
            answer = await begin(core, name)
            event = draft("moderating", waiting="review" if waits else None)
            await core.journal.operation(
                "next", name, owner="ann", fence=answer.fence, numbers=count(2), draft=event
            )
            for _ in range(2):
                await reviews.held(name)
                await look(core, told)
        (only_one,) = told.receipts
        assert only_one.message["type"] == "review.waiting"
        assert only_one.message["data"]["waiting"] == "review"


@pytest.mark.parametrize("is_noted", [False, True])
@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_deletion_is_told_when_it_is_done(
    redis_url: str, tmp_path: Path, told: Receiver, is_forgotten: bool, is_noted: bool
) -> None:
    """Not while the files are there, though another noted that they go; once, also of an upload
    whose journal is gone."""
    async with parts(redis_url, tmp_path, told) as core:
        store(core)
        core.storage.objects.publish("up", b'{"id":"up","files":[]}')
        if is_noted:
            await core.index.note("deleted", "up", consumer="webhooks")
        await look(core, told)
        assert told.receipts == []
        await Uploads(core).delete_files("up", owner="ann")
        if is_forgotten:
            await core.redis.delete("sp:{up}:meta", "sp:{up}:log")
        for _ in range(2):
            await look(core, told)
        await Uploads(core).delete_files("up", owner="ann") if not is_forgotten else None
        await look(core, told)
        (only_one,) = told.receipts
        message = only_one.message
        assert message["type"] == "upload.deleted"
        assert (message["data"]["status"], message["data"]["deleted"]) == ("complete", True)
        assert message["data"]["uploadId"] == "up"


async def test_a_batchs_end_is_told(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """With its counts, under its own id, by whoever notes its last item."""
    async with parts(redis_url, tmp_path, told) as core:
        batches = Batches(core, most=9)
        await batches.bulk("b1", owner="ann", work="cancel", ids=["nothing"])
        await batches.work_off("b1")
        await look(core, told)
        await batches.repair()
        await look(core, told)
        (only_one,) = told.receipts
        message = only_one.message
        assert (message["type"], message["data"]["batchId"]) == ("batch.complete", "b1")
        assert message["data"]["items"]["error"] == 1
        assert only_one.id.startswith("b1.")


async def test_a_jobs_end_is_told_as_a_jobs(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """Its type begins with `job.`."""
    async with parts(redis_url, tmp_path, told) as core:
        await core.journal.job("render", owner="ann", producer="farm", lease_s=60)
        cancel = draft("cancelled")
        assert (await core.journal.cancel("render", owner="ann", draft=cancel)).status == "ok"
        await core.index.closed("render")
        await look(core, told)
        assert [one.message["type"] for one in told.receipts] == ["job.cancelled"]


async def test_a_large_state_is_left_out(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """Above 20 KiB a message names the upload and its status, to be asked for."""
    async with parts(redis_url, tmp_path, told) as core:
        await end(core, term="complete", media={"analysis": {"text": "x" * 21_000}})
        await look(core, told)
        (receipt,) = told.receipts
        assert set(receipt.message["data"]) == {"status", "uploadId", "timestamp"}
        assert receipt.message["data"]["status"] == "complete"


async def test_what_never_began_or_is_forgotten_is_left_out(
    redis_url: str, tmp_path: Path, told: Receiver, redis_server: RedisServer
) -> None:
    """A claim without an upload, and an end of which neither Redis nor the storage knows."""
    async with parts(redis_url, tmp_path, told) as core:
        await core.journal.read("claimed", owner="ann", claim=True)
        await core.index.closed("claimed")
        await core.index.closed("unknown")
        await stored(core, "open")
        await core.index.closed("open")
        await look(core, told)
        assert [one.message["type"] for one in told.receipts] == ["upload.stored"]
        assert await core.index.ended("webhooks", limit=9) == []


async def test_no_endpoint_leaves_no_list(redis_url: str, tmp_path: Path) -> None:
    """Without a URL ends are noted nowhere."""
    async with components(redis_url, tmp_path) as core:
        await end(core)
        assert await core.redis.keys("sp:s:*ended:webhooks") == []


# ---- receivers that do not take it


async def test_failures_are_tried_again_by_the_schedule(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """5 s to 24 h and a little, each with the same id and a new signature; not before its time;
    after the last it has failed, and `again` begins anew."""
    clock = Clock()
    told.answers = [(500, {})] * 20
    async with parts(redis_url, tmp_path, told, clock) as core:
        await end(core)
        for delay_s in RETRIES_S:
            await look(core, told, now=clock)
            delivery = await only(core)
            assert delivery.due_at is not None
            assert delay_s - 0.01 <= delivery.due_at - clock.now <= delay_s * 1.2 + 0.01
            before = len(told.receipts)
            clock.now = delivery.due_at - 1
            await look(core, told, now=clock)
            assert len(told.receipts) == before
            clock.now = delivery.due_at + 0.01
        await look(core, told, now=clock)
        delivery = await only(core)
        assert (delivery.state, delivery.attempts, delivery.due_at) == ("failed", 10, None)
        assert delivery.answer == "status 500"
        assert len({one.id for one in told.receipts}) == 1
        assert len({one.headers["webhook-timestamp"] for one in told.receipts}) == 10
        told.answers = []
        assert await core.deliveries.again(delivery.id)
        await look(core, told, now=clock)
        assert (await only(core)).state == "delivered"
        assert len(told.receipts) == 11


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [
        ("3600", 3600, 3600),
        ("1", 5, 6),
        ("99999999", 86_400, 86_400),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 5, 6),
        ("soon", 5, 6),
        ("-5", 5, 6),
        ("1e9", 5, 6),
    ],
)
async def test_an_endpoint_may_ask_for_a_later_retry(
    asked: str, least_s: float, most_s: float, redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """`Retry-After` makes it later, never earlier, and by a day at most; nonsense is nothing."""
    clock = Clock()
    told.answers = [(503, {"Retry-After": asked})]
    async with parts(redis_url, tmp_path, told, clock) as core:
        await end(core)
        await look(core, told, now=clock)
        due_at = (await only(core)).due_at
        assert due_at is not None
        assert least_s - 0.01 <= due_at - clock.now <= most_s + 0.01


async def test_redirects_are_not_followed(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """They would lead signed states elsewhere: a failure like any other."""
    with receiver() as elsewhere:
        told.answers = [(307, {"Location": elsewhere.url})]
        async with parts(redis_url, tmp_path, told) as core:
            await end(core)
            await look(core, told)
            delivery = await only(core)
            assert (delivery.state, delivery.answer) == ("waiting", "status 307")
            assert elsewhere.receipts == []


async def test_gone_disables_the_endpoint(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """After a 410 nothing is sent to it, though it is noted; another endpoint is."""
    told.answers = [(410, {})]
    async with parts(redis_url, tmp_path, told) as core:
        await end(core, "first")
        await look(core, told)
        assert (await only(core)).state == "failed"
        await end(core, "second")
        await look(core, told)
        assert len(told.receipts) == 1
        with receiver() as another:
            await end(core, "third")
            await look(core, another)
            assert [one.message["data"]["uploadId"] for one in another.receipts] == ["third"]
        await core.deliveries.enable()
        await end(core, "fourth")
        await look(core, told)
        assert told.receipts[-1].message["data"]["uploadId"] == "fourth"


@pytest.mark.parametrize("drips", [False, True])
async def test_an_endpoint_that_hangs_holds_nothing(
    drips: bool, redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """After the time for an attempt it is tried again later, though a header comes now and then."""
    told.hang, told.drips = threading.Event(), drips
    async with parts(redis_url, tmp_path, told) as core:
        await end(core)
        with anyio.fail_after(60):
            await look(core, told, timeout_s=0.5)
        delivery = await only(core)
        assert (delivery.state, delivery.attempts) == ("waiting", 1)
        assert drips or delivery.answer in ("no answer within 0.5 s", "ReadTimeout")
        assert not drips or delivery.answer == "no answer within 0.5 s"


async def test_an_answer_without_end_is_not_read(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """Its status is all that counts."""
    told.endless = True
    async with parts(redis_url, tmp_path, told) as core:
        await end(core)
        await look(core, told)
        assert (await only(core)).state == "delivered"


async def test_nobody_there(redis_url: str, tmp_path: Path, told: Receiver) -> None:
    """It waits; what it was is told without the URL, which may have a secret."""
    gone = replace(told, url="http://127.0.0.1:1/hook?key=private")
    async with parts(redis_url, tmp_path, told) as core:
        await end(core)
        await look(core, gone)
        delivery = await only(core)
        assert (delivery.state, delivery.answer) == ("waiting", "ConnectError")


# ---- workers that die, and many ends


async def test_a_sender_that_dies_is_replaced(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """What it had taken is due again after its lease, and given to nobody before."""
    clock = Clock()
    async with parts(redis_url, tmp_path, told, clock) as core:
        await end(core)
        assert await make_deliveries(core) == 1
        assert len(await core.deliveries.take(limit=9, lease_s=60)) == 1
        assert await core.deliveries.take(limit=9, lease_s=60) == []
        clock.now += 61
        await look(core, told, now=clock)
        assert len(told.receipts) == 1


async def test_the_end_of_a_partial_upload_tells_nobody(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    async with parts(redis_url, tmp_path, told) as core:
        await begin(core, tags=tags_of(filename="", partial=True))
        await core.journal.cancel("up", owner="ann", draft=draft("cancelled"))
        await core.index.closed("up")
        await end(core, "other")
        while await make_deliveries(core):
            pass
        assert (await only(core)).upload_id == "other"


async def test_waiting_deliveries_are_bounded(
    redis_url: str, tmp_path: Path, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further ends stay in their list until there is room."""
    monkeypatch.setattr(ends, "MOST_WAITING", 2)
    async with parts(redis_url, tmp_path, told) as core:
        for n in range(3):
            await end(core, f"up{n}")
        assert [await make_deliveries(core) for _ in range(2)] == [2, 0]
        assert [name for name, _ in await core.index.ended("webhooks", limit=9)] == ["up2"]
        for _ in range(2):
            await look(core, told)
        assert len(told.receipts) == 3


async def test_what_is_over_is_forgotten_in_time(
    redis_url: str, tmp_path: Path, told: Receiver
) -> None:
    """After a week, with the next that is over; newest first in parts until then."""
    clock = Clock()
    async with parts(redis_url, tmp_path, told, clock) as core:
        for n in range(3):
            await end(core, f"up{n}")
            await look(core, told)
            clock.now += 1
        latest, more = await core.deliveries.latest(limit=2, before_us=None)
        rest, none = await core.deliveries.latest(limit=2, before_us=more)
        assert [one.upload_id for one in (*latest, *rest)] == ["up2", "up1", "up0"]
        assert none is None
        clock.now += 8 * 24 * 3600
        await end(core, "later")
        await look(core, told)
        assert (await only(core)).upload_id == "later"
        assert len(await core.redis.keys("sp:s:*hook:*")) == 1
