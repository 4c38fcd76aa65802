"""A small service that speaks the contract over real sockets, at a pace that a test chooses.

For what the real service cannot be asked to do: stages of a known length, streams that something in
between holds back, a service without the shared stream. Keeps everything in memory; no Redis, no
work. `python -m tests.browser.fake_server PORT` serves the page for looking at it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PAGE = Path(__file__).parents[2] / "sse_progress" / "page"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STAGES = (
    ("validating", 20, 29),
    ("analyzing", 30, 69),
    ("moderating", 70, 84),
    ("processing", 85, 94),
    ("finalizing", 95, 99),
)


@dataclass
class Journal:
    """Events of one upload, and whoever waits for the next one."""

    id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    body: bytes = b""
    content_type: str = ""

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1]["stage"] in ("complete", "error", "cancelled")


@dataclass
class Fake:
    """`tick_s` is the time between two events; `shared` and `streams` switch endpoints off."""

    tick_s: float = 0.02
    shared: bool = True
    streams: bool = True
    journals: dict[str, Journal] = field(default_factory=dict)
    anything: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, journal: Journal, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if journal.ended:
            return
        event = {"type": "progress", "uploadId": journal.id, "timestamp": now, **fields}
        journal.events.append(event)
        journal.changed.set()
        journal.changed = asyncio.Event()
        self.anything.set()
        self.anything = asyncio.Event()

    # ---- routes

    async def upload(self, request: Request) -> Response:
        upload_id = request.headers["x-upload-id"]
        if upload_id in self.journals:
            return problem(409, "upload_id_in_use")
        journal = self.journals.setdefault(upload_id, Journal(upload_id))
        total = int(request.headers["content-length"])
        body = bytearray()
        self.append(journal, stage="receiving", progress=0, stageProgress=0, message="Receiving")
        async for chunk in request.stream():
            body += chunk
            part = len(body) * 100 // total
            self.append(
                journal, stage="receiving", progress=min(9, part // 10), stageProgress=part,
                message="Receiving", bytes=len(body), total=total,
            )  # fmt: skip
            if journal.ended:
                return problem(409, "cancelled")
        form = await Request({**request.scope}, _once(bytes(body))).form()
        file = next(value for value in form.values() if not isinstance(value, str))
        journal.body, journal.content_type = await file.read(), file.content_type or ""
        self.append(
            journal, stage="file_received", progress=10, stageProgress=100, message="Received"
        )
        journal.task = asyncio.create_task(self.work(journal, file.filename or "file"))
        return JSONResponse(
            {"success": True, "uploadId": upload_id, "status": "processing"}, status_code=202
        )

    async def work(self, journal: Journal, filename: str) -> None:
        for stage, lo, hi in STAGES:
            for part in range(0, 101, 20):
                progress = min(hi, lo + part * (hi - lo + 1) // 100)
                text = f"{stage.capitalize()}, part {part // 20 + 1} of 6"
                self.append(
                    journal, stage=stage, progress=progress, stageProgress=part, message=text
                )
                await asyncio.sleep(self.tick_s)
            if stage == "validating" and "refuse" in filename:
                error = {"code": "rejected_type", "detail": "A .exe is not accepted here."}
                error["stage"] = stage
                self.append(
                    journal, stage="error", progress=0, stageProgress=0,
                    message=error["detail"], error=error,
                )  # fmt: skip
                return
            if stage == "analyzing" and "fail" in filename:
                error = {"code": "internal", "detail": "Something went wrong on our side."}
                error["stage"] = stage
                self.append(
                    journal, stage="error", progress=0, stageProgress=0,
                    message=error["detail"], error=error,
                )  # fmt: skip
                return
        url = f"/upload/{journal.id}/files/{filename}"
        image = journal.content_type.startswith("image/")
        thumbnail = {"name": "thumbnail.webp", "contentType": "image/webp", "size": 1, "url": url}
        media = {
            "id": journal.id, "filename": filename, "contentType": journal.content_type,
            "size": len(journal.body), "sha256": "ab" * 32, "fields": {}, "url": url,
            "files": [thumbnail] if image else [],
            "analysis": {"width": 1600, "height": 1067, "format": "JPEG"} if image else {},
            "moderation": {"verdict": "approved", "notChecked": []},
            "createdAt": journal.events[0]["timestamp"],
        }  # fmt: skip
        self.append(
            journal, stage="complete", progress=100, stageProgress=100, message="Done", media=media
        )

    async def progress(self, request: Request) -> Response:
        journal = self.journals.get(request.path_params["id"])
        if "application/json" in request.headers.get("accept", ""):
            return await self.state(request, journal)
        if not self.streams:
            return problem(503, "unavailable")
        journal = self.journals.setdefault(
            request.path_params["id"], journal or Journal(request.path_params["id"])
        )
        last = request.headers.get("last-event-id") or request.query_params.get("lastEventId", "")
        cursor = int(last.rpartition("-")[2]) if last else 0
        if journal.ended and cursor == len(journal.events):
            return Response(status_code=204)
        return events(self.follow(journal, cursor))

    async def follow(self, journal: Journal, cursor: int) -> AsyncIterator[str]:
        yield 'retry: 2000\n\ndata: {"type":"connected","uploadId":"%s"}\n\n' % journal.id
        while True:
            changed = journal.changed
            for event in journal.events[cursor:]:
                cursor += 1
                yield f"id: e-{cursor}\ndata: {json.dumps(event)}\n\n"
            if journal.ended:
                return
            await changed.wait()

    async def shared_progress(self, request: Request) -> Response:
        if not self.shared:
            return problem(404, "not_found")
        if not self.streams:
            return problem(503, "unavailable")
        return events(self.follow_all())

    async def follow_all(self) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        yield 'data: {"type":"connected","uploadId":"*"}\n\n'
        at: dict[str, int] = {}
        for journal in list(self.journals.values()):
            at[journal.id] = len(journal.events)
            if journal.events:
                yield f"data: {json.dumps({**journal.events[-1], 'type': 'reset'})}\n\n"
        while True:
            anything = self.anything
            for journal in list(self.journals.values()):
                seen = at.get(journal.id, 0)
                at[journal.id] = len(journal.events)
                for event in journal.events[seen : at[journal.id]]:
                    yield f"data: {json.dumps(event)}\n\n"
            await anything.wait()

    async def state(self, request: Request, journal: Journal | None = None) -> Response:
        journal = journal or self.journals.get(request.path_params["id"])
        if journal is None:
            return problem(404, "unknown_upload")
        etag = f'"e-{len(journal.events)}"'
        if request.headers.get("if-none-match") == etag and not journal.ended:
            try:
                await asyncio.wait_for(journal.changed.wait(), 2)
            except TimeoutError:
                return Response(status_code=304)
        etag = f'"e-{len(journal.events)}"'
        return JSONResponse(state_of(journal), headers={"ETag": etag, "Cache-Control": "no-cache"})

    async def cancel(self, request: Request) -> Response:
        journal = self.journals.get(request.path_params["id"])
        if journal is None:
            return problem(404, "unknown_upload")
        if journal.ended:
            return problem(409, "already_finished")
        if journal.task:
            journal.task.cancel()
        self.append(journal, stage="cancelled", progress=0, stageProgress=0, message="Cancelled")
        return Response(status_code=204)

    async def list(self, request: Request) -> Response:
        if not self.shared:
            return problem(404, "not_found")
        rows = [state_of(journal) for journal in reversed(self.journals.values()) if journal.events]
        return JSONResponse({"uploads": rows, "next": None})

    async def file(self, request: Request) -> Response:
        journal = self.journals[request.path_params["id"]]
        return Response(journal.body, media_type=journal.content_type)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/upload", self.upload, methods=["POST"]),
                Route("/upload/{id}/progress", self.progress),
                Route("/upload/{id}/files/{name}", self.file),
                Route("/upload/{id}", self.cancel, methods=["DELETE"]),
                Route("/upload/{id}", self.state),
                Route("/uploads", self.list),
                Route("/uploads/progress", self.shared_progress),
                Route("/", lambda request: asset("index.html")),
                Route("/api", lambda request: asset("api.html")),
                Route("/page/{name}", lambda request: asset(request.path_params["name"])),
                Route(
                    "/client/{name}", lambda request: asset("client/" + request.path_params["name"])
                ),
            ]
        )


def state_of(journal: Journal) -> dict[str, Any]:
    last = dict(journal.events[-1])
    del last["type"]
    stage = last["stage"]
    plain = ("receiving", "complete", "error", "cancelled")
    return {"status": stage if stage in plain else "processing", **last}


def problem(status: int, code: str) -> Response:
    body = {"success": False, "code": code, "status": status, "detail": code, "error": code}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def events(frames: AsyncIterator[str]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(frames, media_type="text/event-stream", headers=headers)


def asset(name: str) -> Response:
    headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache"}
    return FileResponse(PAGE / name, headers=headers)


def _once(body: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def main() -> None:
    fake = Fake(tick_s=0.3)
    uvicorn.run(fake.app(), port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=0)


if __name__ == "__main__":
    main()
