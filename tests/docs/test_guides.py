"""The functions of the guides, against a real service."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from sse_progress.settings import load_settings
from sse_progress.stages import pipeline as built_in
from sse_progress.worker.pipeline_loader import load_pipeline
from tests.docs.pages import DOCS, TIMEOUT_S, blocks, environment, here, node
from tests.helpers.service import Service

MIGRATE = DOCS / "migrate"
EVENT_SOURCE = (
    'import { EventSource } from "eventsource"; Object.assign(globalThis, { EventSource });'
)
FILES = """
import { readFileSync } from "node:fs";
const photo = new File([readFileSync("photo.jpg")], "photo.jpg", { type: "image/jpeg" });
const clip = new File([readFileSync("lesson.mp4")], "lesson.mp4", { type: "video/mp4" });
const broken = new File([readFileSync("photo.jpg").subarray(0, 900)], "photo.jpg");
const told = [];
const tell = () => console.log(JSON.stringify(told));
"""


def functions(page: str) -> str:
    """Each block of JavaScript that is run: functions that the page exports."""
    found = [one.text for one in blocks(MIGRATE / f"{page}.md", "js") if not one.skipped]
    return "\n".join([EVENT_SOURCE, *found, FILES])


def program(place: Path, code: str) -> list[Any]:
    told: list[Any] = json.loads(node(place, code).splitlines()[-1])
    return told


@pytest.mark.parametrize("step", ["poll", "longPoll", "stream"])
def test_each_step_from_polling_sees_the_end(step: str, service: Service, place: Path) -> None:
    """Begun before the file is sent, it reports states and returns the last one."""
    code = f"""{functions("polling")}
const [base, id] = [{service.url!r}, "from-{step}"];
const percents = [];
const ended = {step}(base, id, ({{ progress }}) => percents.push(progress ?? 0));
await send(base, id, photo);
const {{ stage, media }} = await ended;
const rising = percents.every((one, at) => at === 0 || one >= percents[at - 1]);
told.push(stage, media.filename, percents.at(-1), rising);
const refused = {step}(base, id + "-2", () => {{}});
await send(base, id + "-2", broken);
told.push((await refused).error.code);
tell();
"""
    assert program(place, code) == ["complete", "photo.jpg", 100, True, "corrupt_file"]


def test_simulated_progress_is_replaced(service: Service, place: Path) -> None:
    """With 200, 202 and a refusal after 202; the record has what the table says."""
    code = f"""{functions("simulated-progress").replace("/api/media", service.url)}
const percents = [];
told.push(toRecord(await upload(photo, (percent) => percents.push(percent))));
told.push(percents.length > 2 && percents.at(-1) === 100);
const real = fetch;
const answers = [];
globalThis.fetch = async (address, options) => {{
  if (options.method !== "POST") return real(address, options);
  options.headers.Prefer = "respond-async";
  const answer = await real(address, options);
  answers.push(answer.status);
  return answer;
}};
told.push(toRecord(await upload(clip, () => {{}})));
told.push(await upload(broken, () => {{}}).catch(({{ message }}) => message), answers);
const no = {{ success: false, error: "Too large" }};
globalThis.fetch = async (address, options) =>
  options.method === "POST" ? Response.json(no) : real(address, options);
told.push(await upload(photo, () => {{}}).catch(({{ message }}) => message));
tell();
"""
    picture, followed, clip, refused, answers, at_once = program(place, code)
    assert followed is True
    assert (picture["mime_type"], picture["width"], picture["height"]) == ("image/jpeg", 640, 480)
    assert picture["thumbnail_url"].endswith("/files/thumbnail.webp")
    assert (clip["mime_type"], clip["duration"]) == ("video/mp4", 1.2)
    assert clip["thumbnail_url"].endswith("/files/poster.webp")
    assert answers == [202, 202]
    assert refused == "This JPEG picture is damaged and cannot be opened."
    assert at_once == "Too large"


def test_a_tus_client_is_followed_to_the_end(service: Service, place: Path) -> None:
    """The promise is kept when the stages are done, and broken with the code of a refusal."""
    code = f"""{functions("tus")}
const stages = new Set();
const onEvent = ({{ stage }}) => stages.add(stage);
const metadata = {{ filename: "a.jpg", album: "Sea" }};
const send = (file, id) => sendAndFollow({service.url!r}, file, {{ id, onEvent, metadata }});
const media = await send(readFileSync("photo.jpg"), "from-tus");
told.push(media.filename, media.fields, stages.has("moderating"));
const refused = readFileSync("photo.jpg").subarray(0, 900);
told.push(await send(refused, "from-tus-2").catch(({{ code }}) => code));
tell();
"""
    assert program(place, code) == ["a.jpg", {"album": "Sea"}, True, "corrupt_file"]


def test_finished_files_of_tusd_are_sent(service: Service, place: Path) -> None:
    """Under their ids and original names; a second run sends nothing twice and is no failure."""
    data = place / "tusd-data"
    data.mkdir()
    (data / "9f6c").write_bytes((place / "photo.jpg").read_bytes())
    info = {"ID": "9f6c", "Size": 1, "MetaData": {"filename": "Straße 1.jpg"}}
    (data / "9f6c.info").write_text(json.dumps(info))
    [code] = [one.text for one in blocks(MIGRATE / "tus.md", "python")]
    said = [
        subprocess.run(
            [sys.executable, "-c", here(code, service)], cwd=place, env=environment(service),
            capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert said[0] == ""
    assert said[1].startswith("9f6c Straße 1.jpg")
    state = httpx.get(f"{service.url}/upload/9f6c").json()
    assert (state["status"], state["filename"]) == ("complete", "Straße 1.jpg")


def test_own_stages_beside_the_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/write-a-stage.md: all built-in functions in their order, and the new one."""
    found = [one.text for one in blocks(DOCS / "write-a-stage.md", "python")]
    [code] = [text for text in found if "sorted(" in text]
    (tmp_path / "both_of_them.py").write_text(f"def reading_time(upload, report): ...\n{code}")
    monkeypatch.syspath_prepend(tmp_path)
    rows = load_pipeline(load_settings(pipeline="both_of_them:pipeline"))
    assert [row for row in rows if row[1].__name__ != "reading_time"] == list(built_in)
    names = [function.__name__ for stage, function in rows if stage == "analyzing"]
    assert names == ["analyze", "reading_time"]


def test_the_token_of_the_server_action(place: Path) -> None:
    """docs/cookbook/next.md: of the signed-in user, good for as long as the page keeps it."""
    [action] = [one.text for one in blocks(DOCS / "cookbook" / "next.md", "js")]
    code = f"""{action}
process.env.SSE_PROGRESS_JWT_SECRET = "{"s" * 32}";
console.log(JSON.stringify(await uploadToken()));
"""
    made = json.loads(node(place, code))
    claims = jwt.decode(made["token"], "s" * 32, algorithms=["HS256"], options={"require": ["exp"]})
    assert claims["sub"] == "ann"
    assert time.time() * 1000 < made["until"] < claims["exp"] * 1000
