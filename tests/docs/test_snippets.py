"""Commands and programs of the documentation, run as they are printed against a real service."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sse_progress.model.stage_table import DEFAULT_TABLE
from tests.docs.pages import (
    DOCS,
    INTEGRATE,
    MODULES,
    TIMEOUT_S,
    blocks,
    commands,
    environment,
    here,
    node,
)
from tests.helpers.media import jpeg
from tests.helpers.redis_server import RedisServer
from tests.helpers.service import ROOT, Service

# ---- shells


SHELLS = [
    "integrate/batches",
    "integrate/jobs",
    "integrate/resumable",
    "integrate/servers",
]


@pytest.mark.parametrize("page", SHELLS)
def test_what_is_typed_works(page: str, service: Service, place: Path) -> None:
    """Each command of a page, one after the other; streams that go on are left open."""
    following: list[subprocess.Popen[str]] = []
    typed = [
        line
        for block in blocks(DOCS / f"{page}.md", "console")
        if not block.skipped
        for line in commands(block)
        if line != "scripts/serve"
    ]
    assert typed
    try:
        for line in typed:
            process = subprocess.Popen(
                here(line, service), shell=True, cwd=place, env=environment(service), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            if line.startswith("curl -N"):
                following.append(process)
                continue
            told, _ = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == 0, f"{line}\n{told}"
            assert '"success":false' not in told, f"{line}\n{told}"
    finally:
        for process in following:
            process.kill()
            process.communicate()


def test_the_quick_start_works(service: Service, place: Path) -> None:
    """Its commands, typed one after the other, do what it says; those of the command line end
    well."""
    typed = [
        here(line, service)
        for block in blocks(DOCS / "quick-start.md", "console")
        for line in commands(block)
        if line != "scripts/serve"
    ]
    watching, *rest = typed
    how: Any = {"shell": True, "cwd": place, "env": environment(service), "text": True}
    with subprocess.Popen(watching, stdout=subprocess.PIPE, **how) as watched:
        told = [
            subprocess.run(line, capture_output=True, check=True, **how).stdout for line in rest
        ]
        assert watched.stdout is not None
        seen = watched.stdout.read()
    assert not [answer for answer in told if '"success":false' in answer]
    answers = [
        answer for line, answer in zip(rest, told, strict=True) if "sse-progress " not in line
    ]
    assert len(answers) >= 5
    assert '"success":true' in answers[0]
    assert '"status":"processing"' in answers[1]
    assert '"status":"complete"' in answers[2]
    assert '"uploads":[' in answers[3]
    assert answers[4] == ""
    assert [f'"stage":"{name}"' in seen for name in list(DEFAULT_TABLE)[:8]] == [True] * 8


# ---- Python

PREAMBLES = {
    "jobs": "TOKEN = None; frames = range(3); render = print\n",
}


@pytest.mark.parametrize(
    ("page", "number"),
    [("python", 0), ("batches", 0), ("jobs", 1), ("resumable", 0), ("websocket", 0)],
)
def test_python_works(page: str, number: int, service: Service, place: Path) -> None:
    """A block of Python as a program of its own."""
    block = [one for one in blocks(INTEGRATE / f"{page}.md", "python") if not one.skipped][number]
    id_of_its_own = block.text.replace("nightly-42", f"from-python-{page}")
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLES.get(page, "") + here(id_of_its_own, service)],
        cwd=place, env=environment(service), capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert page != "python" or "100 " in done.stdout


def test_every_block_of_python_is_run_or_says_why_not() -> None:
    """So that no new one is forgotten."""
    run = {
        **{"python": 1, "batches": 1, "jobs": 6, "resumable": 1},
        **{"webhooks": 1, "tus": 1, "websocket": 1},
    }
    for page in (*INTEGRATE.glob("*.md"), *(DOCS / "migrate").glob("*.md")):
        found = [one for one in blocks(page, "python") if not one.skipped]
        assert len(found) == run.get(page.stem, 0), page


# ---- task queues

SHARED = """
import os
from sse_progress.client import AsyncClient, Client
client = Client({url!r})
load = lambda course: ["one", "two", "three"]
import_lesson = print
async def chained(open, use):
    return await use(await open())
"""
QUEUES = {
    "celery": (
        "from celery import Celery\napp = Celery('tasks', broker={redis!r})\n",
        "print(tasks.import_course.delay('c1', None).id)",
        ["celery", "-A", "tasks", "worker", "--pool", "solo"],
    ),
    "arq": (
        "client = AsyncClient(client.url)\n",
        "import asyncio, arq;"
        "sent = lambda pool: pool.enqueue_job('import_course', 'c1', None);"
        "go = lambda: arq.create_pool(tasks.WorkerSettings.redis_settings);"
        "print(asyncio.run(tasks.chained(go, sent)).job_id)",
        ["arq", "tasks.WorkerSettings"],
    ),
    "dramatiq": (
        "import dramatiq\nfrom dramatiq.brokers.redis import RedisBroker\n"
        "dramatiq.set_broker(RedisBroker(url={redis!r}))\n",
        "print(tasks.import_course.send('c1', None).message_id)",
        ["dramatiq", "tasks", "--processes", "1", "--threads", "1"],
    ),
    "rq": (
        "import redis, rq\nqueue = rq.Queue(connection=redis.Redis.from_url({redis!r}))\n",
        "print(tasks.queue.enqueue(tasks.import_course, 'c1', None).id)",
        ["rq.cli", "worker", "--url", "{redis}"],
    ),
}
"""What is around a task: set-up, a line that sends it and prints its id, a worker."""


@pytest.mark.parametrize("name", list(QUEUES))
def test_a_task_of_a_queue_reports(
    name: str, service: Service, place: Path, own_redis: RedisServer
) -> None:
    """The task of docs/integrate/jobs.md in a real worker over a real broker."""
    redis = own_redis.url
    if name == "celery":
        redis = redis.replace("unix://", "redis+socket://")
    imported = re.compile(rf"^(from|import) {name}\b", re.MULTILINE)
    texts = [one.text for one in blocks(INTEGRATE / "jobs.md", "python")]
    [task] = [text for text in texts if imported.search(text)]
    task = task.replace("redis://127.0.0.1:6379/1", redis)
    set_up, send, worker = QUEUES[name]
    shared = SHARED.format(url=service.url)
    (place / "tasks.py").write_text(shared + set_up.format(redis=redis) + task)
    settings = environment(service)
    working = subprocess.Popen(
        [sys.executable, "-m", *(word.format(redis=redis) for word in worker)],
        cwd=place, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        sent = subprocess.run(
            [sys.executable, "-c", f"import tasks; {send}"], cwd=place, env=settings,
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        upload_id = sent.stdout.split()[-1]
        address = f"{service.url}/upload/{upload_id}/progress"
        with httpx.stream("GET", address, timeout=TIMEOUT_S) as stream:
            told = stream.read().decode()
    finally:
        working.terminate()
        said, _ = working.communicate(timeout=TIMEOUT_S)
    assert '"stage":"complete"' in told, said
    assert '"courseId":"c1"' in told


# ---- webhooks


async def test_the_receiver_of_webhooks_takes_what_is_signed() -> None:
    """docs/integrate/webhooks.md: a message is remembered once its signature is right."""
    remembered: list[tuple[str, object]] = []

    async def remember(key: str, message: object) -> None:
        remembered.append((key, message))

    secret = "whsec_" + base64.b64encode(b"x" * 32).decode()
    names: dict[str, Any] = {"SECRET": secret, "remember": remember}
    exec(blocks(INTEGRATE / "webhooks.md", "python")[0].text, names)
    body, now = '{"type":"upload.complete"}', datetime.now(UTC)
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("m-1", now, body),
    }
    transport = httpx.ASGITransport(names["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.post("/hooks/uploads", content=body, headers=headers)
        assert answer.status_code == 204
        with pytest.raises(WebhookVerificationError):
            await client.post("/hooks/uploads", content=body + " ", headers=headers)
    assert remembered == [("m-1", {"type": "upload.complete"})]


# ---- JavaScript


def test_a_server_action_and_a_reader_of_lines(service: Service, place: Path) -> None:
    """docs/integrate/servers.md: the file is sent on with its token; frames may come in pieces."""
    action, reader = (one.text for one in blocks(INTEGRATE / "servers.md", "js"))
    told = node(
        place,
        f"""{action}\n{reader}
process.env.UPLOADS_URL = {service.url!r};
process.env.UPLOADS_TOKEN = "t-1";
const real = fetch;
let asked;
globalThis.fetch = async (address, options = {{}}) => {{
  asked = options.headers;
  const answer = await real(address, options);
  if (!String(address).endsWith("/progress")) return answer;
  const pieces = new TransformStream({{
    transform(bytes, out) {{
      for (let at = 0; at < bytes.length; at += 7) out.enqueue(bytes.slice(at, at + 7));
    }},
  }});
  return new Response(answer.body.pipeThrough(pieces), {{ status: answer.status }});
}};
await sendOn(new File(["some words"], "words.txt"), "from-next");
console.log(asked.Authorization);
const last = await lastEvent({service.url!r}, "from-next", "t-1");
console.log(last.stage, last.media.filename);
const again = sendOn(new File(["some words"], "words.txt"), "from-next");
await again.catch((error) => console.log(error.message));
""",
    )
    first, second, third = told.splitlines()
    assert (first, second) == ("Bearer t-1", "complete words.txt")
    assert third.startswith("upload_id_in_use: ")


def test_react_native_follows_and_stops(place: Path) -> None:
    """docs/integrate/mobile.md under an XMLHttpRequest from a script: see react_native.mjs."""
    code = blocks(INTEGRATE / "mobile.md", "js")[-1].text
    driver = (ROOT / "tests" / "docs" / "react_native.mjs").read_text()
    assert node(place, code + driver).splitlines()[-1] == "all"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_vites_proxy_passes_uploads_and_streams(host: str, service: Service, place: Path) -> None:
    """The config of docs/integrate/browser.md: a page on Vite's origin sends and follows."""
    [config] = [one.text for one in blocks(INTEGRATE / "browser.md", "js") if "proxy" in one.text]
    (place / "node_modules").symlink_to(MODULES)
    (place / "vite.config.js").write_text(here(config, service))
    (place / "index.html").write_text("<p>The page</p>")
    (place / "package.json").write_text('{"type": "module"}')
    vite = subprocess.Popen(
        ["node_modules/.bin/vite", "--host", "127.0.0.1", "--port", "0"],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    try:
        assert vite.stdout is not None
        line = next(line for line in vite.stdout if "http://" in line)
        port = line.rstrip("/\n ").rpartition(":")[2]
        page = f"http://{host}:{port}"
        from_page = {"Host": f"{host}:{port}", "Origin": page, "Sec-Fetch-Site": "same-origin"}
        sent = {**from_page, "X-Upload-ID": f"by-vite-{host}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S) as client:
            answer = client.post("/upload", files={"file": ("a.jpg", jpeg())}, headers=sent)
            assert answer.status_code == 200, answer.text
            stream = client.get(f"/upload/by-vite-{host}/progress", headers=from_page)
            assert '"stage":"complete"' in stream.text
            assert "upload" in client.get("/client/index.js", headers=from_page).text
    finally:
        vite.terminate()
        vite.communicate(timeout=TIMEOUT_S)
