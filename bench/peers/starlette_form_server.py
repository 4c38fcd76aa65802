"""The usual way to take a file: `request.form()`, then a copy to its place, hashed on the way."""

from __future__ import annotations

import hashlib
import itertools
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PLACE = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
numbers = itertools.count()


async def upload(request: Request) -> Response:
    async with request.form() as form:
        file = next(value for value in form.values() if isinstance(value, UploadFile))
        await run_in_threadpool(_keep, file)
    return Response(status_code=204)


def _keep(file: UploadFile) -> None:
    sum_ = hashlib.sha256()
    with (PLACE / f"kept-{next(numbers)}").open("wb") as out:
        while chunk := file.file.read(1024 * 1024):
            sum_.update(chunk)
            out.write(chunk)


app = Starlette(routes=[Route("/upload", upload, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, backlog=2048)
