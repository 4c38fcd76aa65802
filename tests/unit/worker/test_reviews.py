"""What moderation marks for review waits for a person: held, decided once, gone on with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sse_progress.model.errors import AlreadyFinished, UnknownUpload
from sse_progress.model.verdicts import Verdict
from sse_progress.queue.queue import Job
from sse_progress.runtime.redis.keys import journal_keys, review_lease_key
from sse_progress.uploads.components import Components
from sse_progress.uploads.review_leases import Reviewer
from sse_progress.uploads.reviews import Answered, Decision, Reviews
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


async def held(core: Components, upload_id: str = "up") -> tuple[Calls, Any]:
    """An upload that waits; the stages that were called, and its worker."""
    await stored(core, upload_id)
    calls = Calls()
    runner = runner_of(
        core,
        ("moderating", calls.stage("moderating", MARKED)),
        ("processing", calls.stage("processing", {})),
        hold_reviews=True,
    )
    assert await asyncio.wait_for(runner.run(Job(upload_id, 0)), 60) is None
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
        assert not await reviews._decided("up", looked_at, {"for": "review"})
        assert await core.journal.results("up") == kept


async def test_no_two_reviewers_get_the_same_upload(redis_url: str, tmp_path: Path) -> None:
    """Of two that wait, two who ask at once get one each, and a third none; asked again it is the
    same one; what is skipped or ran out goes to the next, what is decided to nobody."""
    async with components(redis_url, tmp_path) as core:
        for upload_id in ("up", "down"):
            await held(core, upload_id)
        reviews = Reviews(core, {})
        ann, bob = Reviewer("ann"), Reviewer("bob")

        async def given(reviewer: Reviewer, *skipped: str, lease_s: float = 60) -> str | None:
            found = await reviews.next(reviewer, lease_s=lease_s, skipped=skipped)
            return found and found["uploadId"]

        first = await asyncio.gather(*(given(Reviewer("ann", str(n))) for n in range(8)))
        assert sorted(one for one in first if one) == ["down", "up"]
        await core.redis.delete(*(review_lease_key(core.storage.id, one) for one in ("up", "down")))
        assert (await given(ann), await given(bob)) == ("up", "down")
        assert (await given(ann), await given(bob)) == ("up", "down")
        assert await given(Reviewer("ann", "other window")) is None
        assert await given(bob, "up") == "down"  # not his to let go
        assert await given(ann, "up") is None
        assert await given(Reviewer("eve"), lease_s=0.05) == "up"
        key = review_lease_key(core.storage.id, "up")
        while await core.redis.exists(key):
            await asyncio.sleep(0.01)
        assert await given(ann) == "up"
        await reviews.decide("up", APPROVE)
        assert await given(ann) is None
        found = await reviews.next(bob, lease_s=60)
        assert found is not None
        assert (found["reasons"], found["owner"]) == (MARKED["reasons"], "ann")


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


# ---- a moderation hook that answers later

PENDING = {"verdict": "approved", "waiting": "moderation"}


async def promised(core: Components) -> tuple[Calls, Any]:
    """An upload that waits for the hook, where persons decide about what it marks."""
    await stored(core)
    calls = Calls()
    runner = runner_of(
        core,
        ("moderating", calls.stage("moderating", PENDING)),
        ("processing", calls.stage("processing", {})),
        hold_reviews=True,
    )
    assert await run(runner) is None
    return calls, runner


async def test_the_hook_may_hand_over_to_a_person(redis_url: str, tmp_path: Path) -> None:
    """It waits for one after the other; neither can decide in the other's place, and the job that
    comes again between the two changes nothing."""
    async with components(redis_url, tmp_path) as core:
        calls, runner = await promised(core)
        assert (await events_of(core))[-1]["waiting"] == "moderation"
        reviews = Reviews(core, {})
        assert await reviews.waiting(limit=10) == []
        with pytest.raises(AlreadyFinished):
            await reviews.decide("up", APPROVE)
        reason = {"rule": "odd", "detail": "Odd."}
        verdict = msgspec.convert({"verdict": "review", "reasons": [reason]}, Verdict)
        await reviews.decide("up", Answered(verdict))
        assert await run(runner) is None
        assert await run(runner) is None
        assert (await events_of(core))[-1]["waiting"] == "review"
        (one,) = await reviews.waiting(limit=10)
        assert one["reasons"] == [reason]
        with pytest.raises(AlreadyFinished):
            await reviews.decide("up", Answered(verdict))
        await reviews.decide("up", APPROVE)
        await run(runner)
        moderation = (await events_of(core))[-1]["media"]["moderation"]
        assert moderation["reasons"] == [reason]
        assert moderation["review"]["by"] == "mod"
        assert calls == ["moderating", "processing"]


@pytest.mark.parametrize("fail", ["refuse", "review"])
async def test_the_hook_did_not_answer_in_time(redis_url: str, tmp_path: Path, fail: str) -> None:
    """Refused, or looked at by a person, as the setting says; never approved in silence."""
    async with components(redis_url, tmp_path) as core:
        await grow_old(core)
        _, runner = await promised(core)
        reconciler = reconciler_of(core, reviews=Reviews(core, {}), on_hook_timeout=fail)
        await reconciler.round()
        assert (await events_of(core))[-1]["waiting"] == "moderation"
        await core.redis.hincrby(journal_keys("up")[0], "ts", -3_600_001)
        await core.index.look_at("up")
        await reconciler.round()
        await run(runner)
        end = (await events_of(core))[-1]
        if fail == "refuse":
            assert end["error"]["code"] == "unavailable"
        else:
            assert end["waiting"] == "review"
            (one,) = await Reviews(core, {}).waiting(limit=10)
            assert one["notChecked"] == ["moderation by the hook (it did not answer in time)"]
