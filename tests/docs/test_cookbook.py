"""The recipes of docs/cookbook together: one service with what each of them sets up."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.pages import DOCS, TIMEOUT_S, blocks, commands, environment, here
from tests.helpers.ports import free_port
from tests.helpers.processes import bound
from tests.helpers.redis_server import RedisServer
from tests.helpers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until
from tests.helpers.webhook_receiver import Receipt, receiver
from tests.unit.stages.clamd_server import Clamd

COOKBOOK = DOCS / "cookbook"
SECRET = "whsec_" + base64.b64encode(b"a secret that only the tests have").decode()


def settings_of(page: str) -> dict[str, str]:
    """The variables that a recipe sets, as it prints them."""
    lines = [one for block in blocks(COOKBOOK / f"{page}.md", "console") for one in commands(block)]
    named = re.compile(r"((?:SSE_PROGRESS|AWS)_\w+)='?([^\s']+)")
    found = [named.findall(line) for line in lines if "docker" not in line]
    return {name: value for pairs in found for name, value in pairs}


@dataclass
class Model:
    """Both kinds of model: what they say, and what they were asked."""

    verdict: str = '{"verdict": "approved", "reason": "A photograph"}'
    status: int = 200
    chats: list[Any] = field(default_factory=list)

    def reply(self, path: str, receipt: Receipt) -> tuple[int, bytes]:
        if path.endswith("/moderations"):
            scores = {"categories": {"violence": False}, "category_scores": {"violence": 0.01}}
            return 200, json.dumps({"results": [{"flagged": False, **scores}]}).encode()
        self.chats.append(receipt.message)
        status, self.status = self.status, 200
        message = {"role": "assistant", "content": self.verdict}
        return status, json.dumps({"choices": [{"message": message}]}).encode()


@dataclass(frozen=True)
class Kitchen:
    service: Service
    model: Model
    programs: Path
    """What the programs beside the service have said."""


@contextlib.contextmanager
def running(*command: str, cwd: Path, env: dict[str, str]) -> Iterator[None]:
    with (cwd / "programs.log").open("ab") as log:
        process = subprocess.Popen(
            bound([sys.executable, "-m", *command]),
            cwd=cwd, env=env, start_new_session=True,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def kitchen(s3_server: S3Server) -> Iterator[Kitchen]:
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sp-")))
        for page in ("llm-moderation", "celery"):
            for block in blocks(COOKBOOK / f"{page}.md", "python"):
                (place / block.text.partition("\n")[0].removeprefix("# ")).write_text(block.text)
        model = Model()
        asked = stack.enter_context(receiver())
        asked.reply = model.reply
        model_url = asked.url.partition("/hook")[0] + "/v1"
        clamd = Clamd(place)
        stack.callback(clamd.close)
        clamd.start()
        redis = RedisServer(place)
        stack.callback(redis.close)
        redis.start()
        llm, hooks, own = free_port(), free_port(), free_port()
        s3_server.bucket("media")
        recipes = ("clamav", "llm-moderation", "s3", "celery")
        settings = {k: v for page in recipes for k, v in settings_of(page).items()}
        in_bucket = settings["SSE_PROGRESS_STORAGE"]
        places = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "SSE_PROGRESS_STORAGE": in_bucket.replace("http://127.0.0.1:9000", s3_server.endpoint),
            "SSE_PROGRESS_CLAMD": clamd.address,
            "SSE_PROGRESS_MODERATION_API_URL": model_url,
            "SSE_PROGRESS_MODERATION_API_KEY": "sk-of-tests",
            "SSE_PROGRESS_MODERATION_HOOK_URL": f"http://127.0.0.1:{llm}/check",
            "SSE_PROGRESS_MODERATION_HOOK_SECRET": SECRET,
            "SSE_PROGRESS_WEBHOOK_URL": f"http://127.0.0.1:{hooks}/hooks/uploads",
            "SSE_PROGRESS_WEBHOOK_SECRET": SECRET,
        }
        assert set(places) <= set(settings), "a recipe does not name what the test sets"
        settings |= {**places, "SSE_PROGRESS_PORT": str(own)}
        env = {
            **os.environ,
            **settings,
            "PYTHONPATH": f"{ROOT}:{place}",
            "BROKER": redis.url.replace("unix://", "redis+socket://"),
            "UPLOADS_URL": f"http://127.0.0.1:{own}",
            "LLM_URL": model_url,
        }
        for app, port in (("llm_hook:app", llm), ("hooks:app", hooks)):
            uvicorn = ("uvicorn", app, "--port", str(port))
            stack.enter_context(running(*uvicorn, cwd=place, env=env))
        for port in (llm, hooks):
            wait_until(partial(listening, port), "the programs beside the service listen")
        worker = ("celery", "-A", "tasks", "worker", "--pool", "solo")
        stack.enter_context(running(*worker, cwd=place, env=env))
        service = Service(place, {**settings, "PYTHONPATH": env["PYTHONPATH"]})
        yield Kitchen(stack.enter_context(service), model, place / "programs.log")


def typed(page: str, kitchen: Kitchen, place: Path) -> list[str]:
    """Type a recipe's commands, but those that start something; what each prints."""
    lines = [
        line
        for block in blocks(COOKBOOK / f"{page}.md", "console")
        if not block.skipped
        for line in commands(block)
        if not line.startswith(("export ", "sse-progress serve"))
    ]
    printed = []
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", here(line, kitchen.service)], cwd=place, text=True, capture_output=True,
            env=environment(kitchen.service), timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}\n{kitchen.service.log}"
        printed.append(done.stdout)
    assert printed
    return printed


def test_clamav(kitchen: Kitchen, place: Path) -> None:
    """The EICAR file is refused; a photo has been scanned."""
    _, refused, scanned = typed("clamav", kitchen, place)
    assert (place / "eicar.txt").stat().st_size == 68
    assert json.loads(refused)["code"] == "malware"
    assert scanned == "malware scan by clamd\n"
    assert "unchecked" not in kitchen.service.log


def test_a_moderation_model(kitchen: Kitchen, place: Path) -> None:
    """Its scores are in the result."""
    [scores] = typed("llm-moderation", kitchen, place)
    assert '"violence":0.01' in scores


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('{"verdict": "review", "reason": "A knife"}', ("review", "A knife")),
        ("I think that it is fine!", ("review", "The model gave no verdict.")),
        ('{"verdict": "refused", "reason": "A knife"}', ("moderation_refused", "A knife")),
    ],
)
def test_a_chat_model(answer: str, verdict: tuple[str, str], kitchen: Kitchen, place: Path) -> None:
    """It sees picture and fields with the rules; its verdict counts, and nothing else does."""
    kitchen.model.verdict = answer
    kitchen.model.status = 500  # once: it is asked again
    file = {"file": ("a.jpg", (place / "photo.jpg").read_bytes())}
    address = f"{kitchen.service.url}/upload"
    done = httpx.post(address, files=file, data={"caption": "At the sea"}, timeout=60).json()
    if "data" in done:
        moderation = done["data"]["media"]["moderation"]
        assert (moderation["verdict"], moderation["reasons"][0]["detail"]) == verdict
    else:
        assert (done["code"], done["detail"]) == verdict
    rules, shown = kitchen.model.chats[-1]["messages"]
    assert rules["role"] == "system"
    assert "At the sea" in shown["content"][0]["text"]
    assert shown["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    kitchen.model.verdict = Model.verdict


def test_s3(kitchen: Kitchen, place: Path) -> None:
    """A file goes to the bucket and comes back; none is left in the data directory."""
    typed("s3", kitchen, place)
    left = [path for path in kitchen.service.data_dir.rglob("*.jpg") if path.is_file()]
    assert left == []


@pytest.mark.parametrize("owner", ["anonymous", "ann"])
def test_celery(owner: str, kitchen: Kitchen, place: Path) -> None:
    """The video's webhook starts a task, whose job ends with its result, for the video's owner."""
    line, again = [
        line
        for block in blocks(COOKBOOK / "celery.md", "console")
        if not block.skipped
        for line in commands(block)
    ]
    job = here(again.split()[-1], kitchen.service)
    mine = {}
    if owner != "anonymous":
        mine = {"X-Upload-Owner": owner}
        line = line.replace("lesson-1", "lesson-2").replace(
            "http://127.0.0.1:8000/upload",
            f"-H 'X-Upload-Owner: {owner}' 'http://127.0.0.1:8000/upload?context.user={owner}'",
        )
        job = job.replace("lesson-1", "lesson-2")
    run = ["bash", "-c", here(line, kitchen.service)]
    subprocess.run(run, cwd=place, check=True, timeout=TIMEOUT_S)
    try:
        wait_until(
            lambda: httpx.get(job, headers=mine).json().get("status") == "complete", "the task ends"
        )
    finally:
        print(kitchen.programs.read_text(), httpx.get(job, headers=mine).text)
    state = httpx.get(job, headers=mine).json()
    size = (place / "lesson.mp4").stat().st_size
    assert (state["kind"], state["result"]) == ("subtitles", {"cues": size // 1000})
