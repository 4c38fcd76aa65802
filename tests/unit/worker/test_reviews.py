"""What moderation marks for review waits for a person: held, decided once, gone on with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sse_progress.model.errors import AlreadyFinished, UnknownUpload
from sse_progress.runtime.redis_keys import journal_keys
from sse_progress.uploads.components import Components
from sse_progress.uploads.reviews import Decision, Reviews
from tests.helpers.components import components, events_of, left_over, stored, story_of
from tests.unit.worker.test_reconciler import grow_old, reconciler_of
from tests.unit.worker.test_runner import Calls, run, runner_of

MARKED = {
    "verdict": "review",
    "reasons": [{"code": "nsfw", "detail": "One frame looks explicit."}],
    "scores": {"nsfw": 0.7},
    "notChecked": [],
}
APPROVE = Decision("approve", by="mod", reason="A statue")


async def held(core: Components) -> tuple[Calls, Any]:
    """An upload that waits; the stages that were called, and its worker."""
    await stored(core)
    calls = Calls()
    runner = runner_of(
        core,
        ("moderating", calls.stage("moderating", MARKED)),
        ("processing", calls.stage("processing", {})),
        hold_reviews=True,
    )
    assert await run(runner) is None
    return calls, runner


async def queued(core: Components) -> int:
    return int(await core.redis.zcard(f"sp:q:{{{core.storage.id}}}:waiting"))


async def test_what_is_marked_waits_and_holds_no_worker(redis_url: str, tmp_path: Path) -> None:
    """Its job is over, its latest event says so, it is listed with why; nobody queues it again."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        await held(core)
        latest = (await events_of(core))[-1]
        assert (latest["stage"], latest["waiting"]) == ("moderating", "review")
        assert latest["message"] == "Waiting for a person to look at it"
        await reconciler_of(core, reviews=Reviews(core, {})).round()
        assert await queued(core) == 0
        (one,) = await Reviews(core, {}).waiting(limit=10)
        assert (one["uploadId"], one["owner"], one["stage"]) == ("up", "ann", "moderating")
        assert (one["reasons"], one["scores"]) == (MARKED["reasons"], MARKED["scores"])


async def test_an_approved_upload_goes_on_from_there(redis_url: str, tmp_path: Path) -> None:
    """No stage runs twice; who decided, when and why stands in the result."""
    async with components(redis_url, tmp_path) as core:
        calls, runner = await held(core)
        await Reviews(core, {}).decide("up", APPROVE)
        assert await queued(core) == 1
        await run(runner)
        assert calls == ["moderating", "processing"]
        end = (await events_of(core))[-1]
        assert end["stage"] == "complete"
        moderation = end["media"]["moderation"]
        assert moderation["verdict"] == "approved"
        review = moderation["review"]
        assert (review["decision"], review["by"], review["reason"]) == (
            "approve",
            "mod",
            "A statue",
        )
        story = await story_of(core)
        assert story.count(("moderating", 0)) == story.count(("moderating", 100)) == 1
        assert await Reviews(core, {}).waiting(limit=10) == []
        with pytest.raises(AlreadyFinished):
            await Reviews(core, {}).decide("up", APPROVE)
        with pytest.raises(UnknownUpload):
            await Reviews(core, {}).decide("other", APPROVE)


async def test_a_refused_upload_ends_and_leaves_nothing(redis_url: str, tmp_path: Path) -> None:
    """With `moderation_refused`, and the reviewer's reason for the uploader to read."""
    async with components(redis_url, tmp_path) as core:
        _, runner = await held(core)
        await Reviews(core, {}).decide("up", Decision("refuse", by="mod", reason="Not allowed."))
        await run(runner)
        end = (await events_of(core))[-1]
        assert end["error"] == {
            "code": "moderation_refused",
            "detail": "Not allowed.",
            "stage": "moderating",
        }
        assert left_over(core) == []


async def test_two_reviewers_cannot_decide_differently(redis_url: str, tmp_path: Path) -> None:
    """Of two decisions at once one holds, and the other person learns that it was too late."""
    async with components(redis_url, tmp_path) as core:
        await held(core)
        reviews = Reviews(core, {})
        looked_at = await core.journal.head("up")
        assert looked_at is not None
        outcomes = await asyncio.gather(
            reviews.decide("up", APPROVE),
            reviews.decide("up", Decision("refuse", by="other")),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in outcomes) == ["AlreadyFinished", "NoneType"]
        await core.redis.hincrby(journal_keys("up")[0], "ts", -10_000)
        kept = await core.journal.results("up")
        assert not await reviews._decided("up", looked_at, b"{}")
        assert await core.journal.results("up") == kept


async def test_a_decision_survives_a_lost_queue_and_a_repeated_job(
    redis_url: str, tmp_path: Path
) -> None:
    """A job that comes again before the decision waits again; where the job was lost after it,
    the reconciler queues it."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        calls, runner = await held(core)
        assert await run(runner) is None
        assert calls == ["moderating"]
        await Reviews(core, {}).decide("up", APPROVE)
        await core.redis.delete(f"sp:q:{{{core.storage.id}}}:waiting")
        await core.redis.delete(f"sp:q:{{{core.storage.id}}}:jobs")
        await reconciler_of(core).round()
        assert await queued(core) == 1


@pytest.mark.parametrize("what", ["approve", "refuse"])
async def test_nobody_looked_in_time(redis_url: str, tmp_path: Path, what: str) -> None:
    """After its days the setting decides, and the result says that no person did."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        _, runner = await held(core)
        await core.redis.hincrby(journal_keys("up")[0], "ts", -8 * 86_400_000)
        reconciler = reconciler_of(core, reviews=Reviews(core, {}), on_review_timeout=what)
        await reconciler.round()
        await run(runner)
        end = (await events_of(core))[-1]
        assert end["stage"] == ("complete" if what == "approve" else "error")
        if what == "approve":
            assert "by" not in end["media"]["moderation"]["review"]
