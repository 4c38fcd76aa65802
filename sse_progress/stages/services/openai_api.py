"""Asking an OpenAI-compatible moderation endpoint: `POST <base>/moderations`, one input at a time.

Text goes as a string, which older models and other makers' servers take as well, a picture as a
data URL in an `image_url` object.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sse_progress.model.errors import Rejected
from sse_progress.model.events import encode_json
from sse_progress.model.stage_api import Report, Upload
from sse_progress.model.text import clean_text
from sse_progress.runtime.concurrency import blocking
from sse_progress.stages.scans.word_lists import texts_of
from sse_progress.stages.services.asking import NoAnswer, Service
from sse_progress.stages.services.samples import TAKE, Samples, picture_bytes

__all__ = ["OpenAiModeration"]

CHUNK_CHARACTERS = 20_000
"""Of text in one request: about 5,000 tokens, within what the known models take."""


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


@dataclass(frozen=True)
class _Input:
    """What one request asks about; `where` in the upload it is."""

    where: str
    content: Any


class OpenAiModeration:
    """A function of `moderating`. `refuse_at`: a score that refuses the file; None: none does.

    What the service flags is marked for review.
    """

    sampler = TAKE

    def __init__(
        self, service: Service, *, base: str, key: str | None, model: str, refuse_at: float | None
    ) -> None:
        self._service, self._url = service, f"{base.rstrip('/')}/moderations"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._model, self._refuse_at = model, refuse_at

    async def __call__(self, upload: Upload, report: Report) -> dict[str, Any]:
        """Raises Rejected: `moderation_refused`, `unavailable`; NoAnswer to be tried again."""
        directory = Path(upload.scratch)
        samples = await blocking(Samples.load, directory)
        inputs = await blocking(lambda: list(_inputs(upload, samples, directory)))
        reasons: list[dict[str, Any]] = []
        scores: dict[str, float] = {}
        try:
            async with self._service.client() as client:
                for number, one in enumerate(inputs, 1):
                    share = (number - 1) / len(inputs)
                    report(share, f"Asking the moderation service, {number} of {len(inputs)}")
                    body = encode_json({"model": self._model, "input": one.content})
                    asked = await self._service.ask(client, self._url, body, lambda: self._headers)
                    self._weigh(one.where, asked.body, reasons, scores)
        except NoAnswer as no_answer:
            return self._service.unanswered(upload.id, str(no_answer))
        report(1.0, "The moderation service has answered")
        return {
            "verdict": "review" if reasons else "approved",
            "reasons": reasons,
            "scores": scores,
            "checks": [self._service.name],
            "notChecked": [f"{note}, by {self._service.name}" for note in samples.not_taken],
        }

    def _weigh(
        self, where: str, body: bytes, reasons: list[dict[str, Any]], scores: dict[str, float]
    ) -> None:
        try:
            results = msgspec.json.decode(body, type=_Answer).results
        except msgspec.DecodeError:
            raise NoAnswer("an answer that is no moderation") from None
        if not results:
            raise NoAnswer("an answer without a result")
        for result in results:
            for category, score in result.category_scores.items():
                if score is not None:
                    name = clean_text(category, 60)
                    scores[name] = round(max(scores.get(name, 0.0), score), 4)
                    if self._refuse_at is not None and score >= self._refuse_at:
                        raise Rejected("moderation_refused", f"Refused: {name} in {where}.")
            if result.flagged:
                reasons += _reasons(where, result)


def _reasons(where: str, result: _Result) -> Iterator[dict[str, Any]]:
    flagged = [name for name, is_so in result.categories.items() if is_so] or ["flagged"]
    for category in flagged[:20]:
        name, score = clean_text(category, 60), result.category_scores.get(category)
        yield {
            "rule": name,
            "where": where,
            "detail": f"The moderation service found {name}.",
            **({} if score is None else {"score": round(score, 4)}),
        }


def _inputs(upload: Upload, samples: Samples, directory: Path) -> Iterator[_Input]:
    said = "\n".join(text for _, text in texts_of(upload.filename, upload.fields))
    yield _Input("name and fields", said[:CHUNK_CHARACTERS])
    text = samples.text or ""
    for at in range(0, len(text), CHUNK_CHARACTERS):
        yield _Input(f"text from character {at + 1}", text[at : at + CHUNK_CHARACTERS])
    for picture in samples.pictures:
        data = base64.b64encode(picture_bytes(directory, picture)).decode()
        url = f"data:image/jpeg;base64,{data}"
        yield _Input(picture.where, [{"type": "image_url", "image_url": {"url": url}}])
