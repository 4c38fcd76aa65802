"""Results that wait for an answer from outside: a person's review, or the moderation hook's.

The result is kept in the journal and the job ends; another job goes on when there is a decision.
"""

from __future__ import annotations

from typing import Any, NoReturn

from sse_progress.journal.writer import JournalWriter
from sse_progress.model.errors import Rejected
from sse_progress.model.events import Draft, decode_json, encode_json
from sse_progress.model.media import merged
from sse_progress.model.messages import WAITING
from sse_progress.uploads.reviews import DECISION, HELD, Reviews, WaitsFor
from sse_progress.worker.subject import Subject

__all__ = ["Holding", "Waits"]

REFUSED = "moderation_refused"


class Waits(Exception):
    """The upload waits for an answer; its job is done until then."""


class Holding:
    """`hold_reviews`: what is marked for review waits for a person."""

    def __init__(
        self, subject: Subject, writer: JournalWriter, reviews: Reviews, *, hold_reviews: bool
    ) -> None:
        self._subject, self._writer, self._reviews = subject, writer, reviews
        self._hold_reviews = hold_reviews

    def held(self, stage: str) -> tuple[dict[str, Any], WaitsFor] | None:
        """The result of the stage, and whose answer it waits for, if it is held."""
        held, result, *waits_for = decode_json(self._subject.results.get(HELD, b'["",{}]'))
        return (result, waits_for[0] if waits_for else "review") if held == stage else None

    async def agreed(self, stage: str, result: dict[str, Any]) -> dict[str, Any]:
        """A stage's result, unless it is held. Raises Waits."""
        if result.pop("waiting", None) == "moderation":
            await self._hold(stage, result, "moderation")
        if self._hold_reviews and result.get("verdict") == "review":
            await self._hold(stage, result, "review")
        return result

    async def decided(
        self, stage: str, result: dict[str, Any], waits_for: WaitsFor
    ) -> dict[str, Any]:
        """A held stage's result with what was decided. Raises Waits, or Rejected."""
        decision = decode_json(self._subject.results.get(DECISION, b"{}"))
        if decision.pop("for", "review") != waits_for or not decision:
            await self._wait(stage, waits_for)
        if decision["decision"] == "refuse":
            raise Rejected(decision.get("code", REFUSED), decision.get("reason") or None)
        if waits_for == "moderation":
            return await self.agreed(stage, merged(result, decision["result"]))
        return {**result, "verdict": "approved", "review": decision}

    async def _hold(self, stage: str, result: dict[str, Any], waits_for: WaitsFor) -> NoReturn:
        self._subject.results[HELD] = encode_json([stage, result, waits_for])
        await self._writer.note(HELD, self._subject.results[HELD])
        await self._wait(stage, waits_for)

    async def _wait(self, stage: str, waits_for: WaitsFor) -> NoReturn:
        if waits_for == "review":
            await self._reviews.held(self._subject.id)
        await self._writer.last(
            Draft(
                stage=stage,
                stage_progress=99,
                message=WAITING[waits_for],
                waiting=waits_for,
            )
        )
        raise Waits
