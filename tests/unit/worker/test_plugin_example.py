"""The worked example of docs/write-a-stage.md, in the real service with a real HTTP service."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.helpers.asgi_server import AsgiServer
from tests.helpers.service import ROOT, Service

EXAMPLE = ROOT / "tests" / "plugin_example"
TEXT = b"one two three four five six\n" * 200


class Moderation:
    """A small moderation service: what it does is the first part of the upload's id."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: dict[str, bytes] = {}

    async def check(self, request: Request) -> Response:
        upload_id = request.headers["x-upload-id"]
        self.asked.append(upload_id)
        try:
            self.bodies[upload_id] = await request.body()
        except ClientDisconnect:
            return Response()
        match upload_id.partition("-")[0]:
            case "shaky" if self.asked.count(upload_id) <= 2:
                return JSONResponse({"error": "busy"}, 503)
            case "hang":
                await anyio.sleep_forever()
            case "refuse":
                return JSONResponse({"verdict": "refused", "reason": "Not on our paper."})
            case "wrong":
                return JSONResponse({"error": "your request is wrong"}, 400)
        return JSONResponse({"verdict": "approved"})


@pytest.fixture(scope="module")
def moderation() -> Iterator[tuple[Moderation, str]]:
    service = Moderation()
    app = Starlette(routes=[Route("/check", service.check, methods=["POST"])])
    with AsgiServer(app) as server:
        yield service, f"{server.url}/check"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with the package and its metadata, as an installer would leave them."""
    place = tmp_path / "site"
    shutil.copytree(EXAMPLE / "paper_rules", place / "paper_rules")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = place / "paper_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture
def running(
    service: Callable[..., Service], installed: Path, moderation: tuple[Moderation, str]
) -> Callable[..., Service]:
    """A maker of services with the plug-in installed."""

    def start(**env: str) -> Service:
        return service(
            {
                "PYTHONPATH": f"{ROOT}:{installed}",
                "PAPER_RULES_URL": moderation[1],
                "PAPER_RULES_TIMEOUT_S": "0.3",
                "PAPER_RULES_PATIENCE_S": "3",
                **env,
            }
        )

    return start


def send(service: Service, upload_id: str, content: bytes = TEXT) -> httpx.Response:
    return httpx.post(
        f"{service.url}/upload",
        files={"file": ("letter.txt", content, "text/plain")},
        headers={"X-Upload-ID": upload_id},
        timeout=60,
    )


def media_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    media: dict[str, Any] = answer.json()["data"]["media"]
    return media


def test_a_pipeline_of_ones_own(
    running: Callable[..., Service], moderation: tuple[Moderation, str]
) -> None:
    """Named by SSE_PROGRESS_PIPELINE: these stages alone. A shaky service is asked again, its
    refusal refuses, what is our fault is not repeated, and silence refuses the file."""
    served, _ = moderation
    one = running(SSE_PROGRESS_PIPELINE="paper_rules.pipeline:pipeline")

    media = media_of(send(one, "good-1"))
    assert media["analysis"] == {"words": 1200, "readingMinutes": 5.0}
    assert media["moderation"] == {"verdict": "approved", "checks": ["paper rules"]}
    assert served.bodies["good-1"] == TEXT

    assert media_of(send(one, "shaky-1"))["moderation"]["verdict"] == "approved"
    assert served.asked.count("shaky-1") == 3
    assert served.bodies["shaky-1"] == TEXT

    refused = send(one, "refuse-1")
    assert (refused.status_code, refused.json()["code"]) == (422, "moderation_refused")
    assert refused.json()["detail"] == "Not on our paper."
    assert served.asked.count("refuse-1") == 1

    wrong = send(one, "wrong-1")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "not_moderated")
    assert served.asked.count("wrong-1") == 1

    silent = send(one, "hang-1")
    assert (silent.status_code, silent.json()["code"]) == (422, "not_moderated")
    assert 2 <= served.asked.count("hang-1") <= 4

    long = send(one, "good-2", b"word " * (240 * 601))
    assert (long.status_code, long.json()["code"]) == (422, "too_long_to_read")
    assert "good-2" not in served.asked
    assert sorted({name.split("/")[0] for name in one.files()}) == [
        "objects",
        "owners",
        "storage-id",
    ]


def test_installed_stages_follow_the_built_in_ones(
    running: Callable[..., Service], moderation: tuple[Moderation, str]
) -> None:
    """By its entry points: what they find stands beside what the service finds itself, and an open
    fail mode marks for review what could not be checked."""
    one = running(PAPER_RULES_FAIL="open")
    media = media_of(send(one, "good-3"))
    assert media["contentType"] == "text/plain"
    assert (media["analysis"]["words"], media["analysis"]["readingMinutes"]) == (1200, 5.0)
    assert set(media["analysis"]) > {"words", "readingMinutes"}
    assert media["moderation"]["verdict"] == "approved"
    assert "paper rules" in media["moderation"]["checks"]
    assert len(media["moderation"]["checks"]) > 1

    media = media_of(send(one, "hang-2"))
    assert media["moderation"]["verdict"] == "review"
    assert "paper rules (the service does not answer)" in media["moderation"]["notChecked"]


def test_the_document_shows_the_example_as_it_is() -> None:
    """Every piece of Python and TOML in docs/write-a-stage.md stands in the package, to the
    letter."""
    code = [path.read_text() for path in [*EXAMPLE.rglob("*.py"), EXAMPLE / "pyproject.toml"]]
    text = (ROOT / "docs" / "write-a-stage.md").read_text()
    blocks = re.findall(r"^```(?:python|toml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        assert any(block in file for file in code), block
