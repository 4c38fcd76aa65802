"""Files that go in parts, in a browser: paused and resumed, and gone on with after a reload."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.line import Line
from tests.browser.looking import card, entry, phase, send, slow
from tests.browser.sdk import bundled
from tests.browser.users import User
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

SEND = """
async () => {
  const { upload } = SDK;
  const words = "Some words, and more of them.\\n".repeat(100_000);
  const file = new File([words], "words.txt", { type: "text/plain", lastModified: 1000 });
  const fields = { album: "Sea" };
  window.sent = upload(file, { url: ".", fields, resumable: true });
  window.states = [];
  window.sent.observe(({ state }) => window.states.push([state.paused, state.bytes]));
  return window.sent.id;
}
"""
SIZE = 30 * 100_000
DIGEST = hashlib.sha256(b"Some words, and more of them.\n" * 100_000).hexdigest()


@pytest.fixture
def page(faulty: BrowserContext, paced: Service) -> Page:
    page = faulty.new_page()
    page.goto(f"{paced.url}/api")
    return page


def told(service: Service, user: User, upload_id: str) -> httpx.Response:
    """What the service says of an upload."""
    return httpx.get(f"{service.url}/upload/{upload_id}", headers=user.headers)


def arrived(service: Service, user: User, upload_id: str) -> int:
    return int(told(service, user, upload_id).headers.get("upload-offset", 0))


def send_words(page: Page) -> str:
    upload_id: str = page.evaluate(SEND.replace("SDK", bundled()))
    return upload_id


def check_whole(paced: Service, user: User, page: Page, upload_id: str) -> None:
    phase = "['done', 'refused', 'failed'].includes(window.sent.state.phase)"
    wait_until(lambda: page.evaluate(phase), "it has ended")
    assert page.evaluate("window.sent.state.error") is None
    media = told(paced, user, upload_id).json()["media"]
    assert (media["sha256"], media["size"]) == (DIGEST, SIZE)
    assert (media["filename"], media["fields"]) == ("words.txt", {"album": "Sea"})


def test_a_pause_keeps_what_arrived(paced: Service, user: User, page: Page) -> None:
    """Nothing more leaves, the upload says that it is paused, and it goes on where it was."""
    slow(page, 400_000)
    upload_id = send_words(page)
    wait_until(lambda: arrived(paced, user, upload_id) > 0, "something has arrived")
    page.evaluate("window.sent.pause()")
    wait_until(
        lambda: told(paced, user, upload_id).json().get("paused") is True, "the service says so"
    )
    kept = arrived(paced, user, upload_id)
    assert 0 < kept < SIZE
    assert page.evaluate("[window.sent.state.paused, window.sent.canPause]") == [True, True]
    assert arrived(paced, user, upload_id) == kept
    slow(page, 0)
    page.evaluate("window.sent.resume()")
    check_whole(paced, user, page, upload_id)


def test_the_same_file_after_a_reload_goes_on(paced: Service, user: User, page: Page) -> None:
    """Under the id that it had, from where it was; a third time it is another upload."""
    slow(page, 400_000)
    upload_id = send_words(page)
    wait_until(lambda: arrived(paced, user, upload_id) > 0, "something has arrived")
    page.reload()
    kept = arrived(paced, user, upload_id)
    assert 0 < kept < SIZE
    slow(page, 0)
    bodies: list[str] = []
    page.on("request", lambda asked: bodies.append(f"{asked.method} {asked.url}"))
    assert send_words(page) == upload_id
    check_whole(paced, user, page, upload_id)
    assert not [asked for asked in bodies if asked.startswith("POST")]
    other_id = send_words(page)
    assert other_id != upload_id
    wait_until(lambda: arrived(paced, user, other_id) > 0, "the service knows it")
    page.evaluate("window.sent.cancel()")


def test_page_and_panel_pause_resume_and_say_how_to_go_on(
    faulty_page: Page, line: Line, tmp_path: Path
) -> None:
    """Both have a button, wait for the network, and after a reload ask for the file."""
    page = faulty_page
    line.rate = 600_000
    big, small = tmp_path / "big.txt", tmp_path / "small.txt"
    big.write_text("Some words, and more of them.\n" * 300_000)
    small.write_text("A few words.\n")
    send(page, big, small)
    together = re.compile(r"1 of 2 · [\d.,]+ MB of 9(\.0)? MB · \d+ (sec|min) left")
    expect(page.locator("upload-panel .headline")).to_contain_text(together)
    line.rate = 50_000  # no hurry: what follows has to come before its end
    page.get_by_role("button", name="Pause big.txt").last.click()
    expect(entry(page, "big.txt").locator(".stage")).to_have_text("Paused")
    expect(card(page, "big.txt").locator(".badge")).to_have_text("Paused")
    card(page, "big.txt").get_by_role("button", name="Resume big.txt").click()
    expect(entry(page, "big.txt").locator(".stage")).to_have_text("Uploading")
    line.cut()
    expect(entry(page, "big.txt").locator(".stage")).to_have_text("Waiting for the network")
    line.mend()
    expect(entry(page, "big.txt").locator(".stage")).to_have_text("Uploading")
    page.get_by_role("button", name="Pause big.txt").last.click()
    expect(entry(page, "big.txt").locator(".stage")).to_have_text("Paused")
    line.cut()  # whatever is in the line's buffers would still arrive
    line.mend()
    page.reload()
    again = re.compile(r"Choose big.txt again to go on at \d+%")
    expect(card(page, "big.txt")).to_contain_text(again)
    expect(entry(page, "big.txt")).to_contain_text(again)
    line.rate = None
    send(page, big)
    for place in (card(page, "big.txt"), entry(page, "big.txt")):
        phase(place, "done", timeout_s=60)
    expect(card(page, "big.txt")).to_have_count(1)
