"""Files that go in parts, in a browser: paused and resumed, and gone on with after a reload."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

SEND = """
async ({ id }) => {
  const { upload } = await import("./client/index.js");
  const words = "Some words, and more of them.\\n".repeat(100_000);
  const file = new File([words], "words.txt", { type: "text/plain", lastModified: 1000 });
  const fields = { album: "Sea" };
  window.sent = upload(file, { url: ".", ...(id && { id }), fields, resumable: true });
  window.states = [];
  window.sent.observe(({ state }) => window.states.push([state.paused, state.bytes]));
  return window.sent.id;
}
"""
SIZE = 30 * 100_000
DIGEST = hashlib.sha256(b"Some words, and more of them.\n" * 100_000).hexdigest()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("resuming")) as service:
        yield service


@pytest.fixture
def page(contexts: Callable[..., BrowserContext], running: Service) -> Page:
    page = contexts(faulty=True).new_page()
    page.goto(f"{running.url}/api")
    return page


def slow(page: Page, bytes_s: int) -> None:
    """What leaves the page goes at this rate; 0: at any."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_s or -1,
        },
    )


def arrived(running: Service, upload_id: str) -> int:
    answer = httpx.get(f"{running.url}/upload/{upload_id}")
    return int(answer.headers.get("upload-offset", 0))


def check_whole(running: Service, page: Page, upload_id: str) -> None:
    phase = "() => ['done', 'refused', 'failed'].includes(window.sent.state.phase)"
    page.wait_for_function(phase, timeout=60_000)
    assert page.evaluate("window.sent.state.error") is None
    media = httpx.get(f"{running.url}/upload/{upload_id}").json()["media"]
    assert (media["sha256"], media["size"]) == (DIGEST, SIZE)
    assert (media["filename"], media["fields"]) == ("words.txt", {"album": "Sea"})


def test_a_pause_keeps_what_arrived(running: Service, page: Page) -> None:
    """Nothing more leaves, the upload says that it is paused, and it goes on where it was."""
    slow(page, 400_000)
    upload_id = page.evaluate(SEND, {})
    wait_until(lambda: arrived(running, upload_id) > 0, "something has arrived")
    page.evaluate("window.sent.pause()")
    url = f"{running.url}/upload/{upload_id}"
    wait_until(lambda: httpx.get(url).json().get("paused") is True, "the service says so")
    kept = arrived(running, upload_id)
    assert 0 < kept < SIZE
    assert page.evaluate("[window.sent.state.paused, window.sent.canPause]") == [True, True]
    assert arrived(running, upload_id) == kept
    slow(page, 0)
    page.evaluate("window.sent.resume()")
    check_whole(running, page, upload_id)


def test_the_same_file_after_a_reload_goes_on(running: Service, page: Page) -> None:
    """Under the id that it had, from where it was; a third time it is another upload."""
    slow(page, 400_000)
    upload_id = page.evaluate(SEND, {})
    wait_until(lambda: arrived(running, upload_id) > 0, "something has arrived")
    page.reload()
    kept = arrived(running, upload_id)
    assert 0 < kept < SIZE
    slow(page, 0)
    bodies: list[str] = []
    page.on("request", lambda asked: bodies.append(f"{asked.method} {asked.url}"))
    assert page.evaluate(SEND, {}) == upload_id
    check_whole(running, page, upload_id)
    assert not [asked for asked in bodies if asked.startswith("POST")]
    assert page.evaluate(SEND, {}) != upload_id
    page.evaluate("window.sent.cancel()")
