"""What people see of an upload that waits for a worker: its place, and when its turn comes."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import live_page
from tests.browser.gates import Gates
from tests.browser.looking import card, entry, phase, send, show_panel
from tests.browser.uppy import bundled, started, wait_for_message
from tests.browser.users import SECRET, User
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

_ids = itertools.count()
LISTEN = """() => {
  const region = document.querySelector("upload-panel").shadowRoot.querySelector(".spoken");
  window.spoken = [];
  const hear = new MutationObserver(() => window.spoken.push(region.textContent));
  hear.observe(region, { childList: true });
}"""


@pytest.fixture(scope="module")
def held(session_dir: Path) -> Iterator[Service]:
    """One worker that takes one upload at a time, whose stages wait at gates."""
    env = {
        "SSE_PROGRESS_PIPELINE": "tests.browser.paced:pipeline",
        "SSE_PROGRESS_WORKER_CONCURRENCY": "1",
        "SSE_PROGRESS_HEARTBEAT_S": "0.5",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
        "SSE_PROGRESS_JWT_SECRET": SECRET,
    }
    with Service(session_dir / "held", env) as service:
        yield service


@pytest.fixture
def before(held: Service, tmp_path: Path) -> Iterator[list[Gates]]:
    """Uploads of three other people: the first is worked on, the others wait."""
    gates = [Gates(tmp_path / f"gates-{n}") for n in range(3)]
    for n, one in enumerate(gates):
        someone = User(f"before-{n}")
        upload_id = f"before-{n}-{next(_ids)}"
        sent = httpx.put(
            f"{held.url}/upload/{upload_id}?filename={n}.txt",
            content=one.file(f"{n}.txt").read_bytes(),
            headers={**someone.headers, "Prefer": "respond-async"},
        )
        assert sent.status_code == 202, sent.text
        if n == 0:
            _wait_for_work(held, someone, upload_id)
    yield gates
    for one in gates:
        one.open_all()


def _wait_for_work(service: Service, user: User, upload_id: str) -> None:
    def stage() -> str:
        answer = httpx.get(f"{service.url}/upload/{upload_id}", headers=user.headers)
        return str(answer.json().get("stage"))

    wait_until(lambda: stage() == "validating", "it is worked on")


def test_the_place_in_the_queue(
    contexts: Callable[..., BrowserContext],
    held: Service,
    user: User,
    before: list[Gates],
    gates: Gates,
) -> None:
    """Card and panel tell it with an estimate, or that there is none, in the reader's language, as
    heartbeats bring it, until work begins; a screen reader hears once that it waits."""
    pages = []
    for locale in ("en-US", "de-DE"):
        context = contexts(locale=locale)
        user.sign_in(context, held.url)
        pages.append(live_page(context, held.url))
    page, german = pages
    page.evaluate(LISTEN)
    show_panel(page)
    send(page, gates.file("c.txt"))
    mine, row = card(page, "c.txt"), entry(page, "c.txt")
    expect(mine).to_contain_text(" · Waiting, 3rd in line · no estimate yet")
    phase(mine, "waiting")
    expect(row.locator(".stage")).to_have_text("Waiting, 3rd in line")
    expect(row.locator(".numbers")).to_contain_text("no estimate yet")
    expect(card(german, "c.txt")).to_contain_text("Wartet, an 3. Stelle · noch keine Schätzung")
    expect(page.locator("upload-panel .spoken")).to_have_text("c.txt: Waiting, 3rd in line")
    before[0].open_all()
    expect(mine).to_contain_text("Waiting, 2nd in line · starts within a minute")
    expect(row.locator(".numbers")).to_contain_text("starts within a minute")
    send(
        page, gates.file("later.txt")
    )  # what is said of it would be said together with what is due of the other
    expect(page.locator("upload-panel .spoken")).to_contain_text("later.txt: ")
    before[1].open_all()
    expect(mine).to_contain_text("Waiting, next in line")
    expect(card(german, "c.txt")).to_contain_text("Wartet, kommt als Nächstes an die Reihe")
    before[2].open_all()
    expect(mine).to_contain_text("validating has begun")
    phase(mine, "working")
    assert "in line" not in mine.inner_text() + row.inner_text()
    gates.open_all()
    phase(mine, "done")
    spoken = " ".join(page.evaluate("window.spoken"))
    assert re.findall(r"c\.txt: Waiting, \w+", spoken) == ["c.txt: Waiting, 3rd"]


def test_the_place_in_the_queue_in_uppy(
    contexts: Callable[..., BrowserContext],
    held: Service,
    user: User,
    before: list[Gates],
    gates: Gates,
    tmp_path: Path,
) -> None:
    """The plug-in for Uppy says it in the reader's language, until work begins."""
    context = contexts(locale="de-DE")
    user.sign_in(context, held.url)
    page = started(context, held.url, bundled("XHRUpload", tmp_path), gates.file("words.txt"))
    wait_for_message(page, "Wartet, an 3. Stelle · noch keine Schätzung")
    for one in before:
        one.open_all()
    wait_for_message(page, "validating has begun")
    gates.open_all()
    wait_until(lambda: page.evaluate("seen") == [["complete", 1, 0]], "complete", timeout_s=60)


def test_the_place_in_the_queue_in_a_terminal(
    held: Service, user: User, before: list[Gates], tmp_path: Path
) -> None:
    """`upload` says it in the reader's language, and again when it has halved; then the stages."""
    file = tmp_path / "d.txt"
    file.write_text("passes at once")
    process = subprocess.Popen(
        [sys.executable, "-m", "sse_progress", "upload", "--url", held.url, file],
        env={**os.environ, "LC_ALL": "de_DE.UTF-8", "SSE_PROGRESS_TOKEN": user.token()},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            lines = process.stdout
            said = next(line for line in lines if "wartet, " in line)
            assert said == "d.txt: wartet, an 3. Stelle, Dauer offen\n"
            for gates in before[:2]:
                gates.open_all()
            said = next(line for line in lines if "als Nächstes dran" in line)
            assert said == "d.txt: wartet, als Nächstes dran, unter 1 Min.\n"
            before[2].open_all()
            rest = lines.read()
        finally:
            process.kill()
    assert "Wird geprüft" in rest
    assert "wartet" not in rest
    assert "d.txt: fertig" in rest
