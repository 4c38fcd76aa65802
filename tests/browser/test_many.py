"""Many uploads at once: page and panel show some of them, and count the others."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import live_page
from tests.browser.looking import show_panel
from tests.browser.users import User
from tests.helpers.service import Service
from tests.wire.words import new_id

SHOWN = 50


@pytest.fixture
def client(paced: Service, user: User) -> Iterator[httpx.Client]:
    """Does work of the user's and reports it."""
    token = user.token(scope="upload:read upload:write progress:write")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=paced.url, headers=headers, timeout=60) as client:
        yield client


def begin(client: httpx.Client, count: int) -> list[dict[str, str]]:
    """Jobs of one batch, which are all at work."""
    batch = new_id()
    client.post("/batches", json={"id": batch, "total": count}).raise_for_status()
    job = {"batchId": batch, "leaseS": 600}
    return [client.post("/jobs", json=job).json() for _ in range(count)]


def report(client: httpx.Client, job: dict[str, str], stage: str) -> None:
    path, headers = f"/upload/{job['uploadId']}/progress", {"X-Writer": job["writer"]}
    client.post(path, json={"stage": stage}, headers=headers).raise_for_status()


def test_what_has_no_room_is_counted_and_moves_up(
    client: httpx.Client, context: BrowserContext, paced: Service
) -> None:
    """Page and panel have 50 of 70 that run; as some end, others take their places."""
    jobs = begin(client, 70)
    for job in jobs:
        report(client, job, "validating")
    page = live_page(context, paced.url)
    panel = page.locator("upload-panel")
    expect(page.locator(".card")).to_have_count(SHOWN)
    expect(page.locator("#rest")).to_have_text("20 more are in progress.")
    expect(panel.locator("li")).to_have_count(SHOWN)
    expect(panel.locator(".rest")).to_have_text("and 20 more")
    expect(panel.locator(".headline")).to_contain_text("Processing 70 files")
    page.get_by_role("button", name="Older uploads").click()
    expect(page.locator(".card")).to_have_count(70)
    expect(page.locator("#rest")).to_be_hidden()
    for job in jobs[:30]:
        report(client, job, "complete")
    expect(panel.locator(".headline")).to_contain_text("Processing 40 files")
    expect(panel.locator(".rest")).to_be_hidden()
    show_panel(page)
    for job in jobs[30:]:
        expect(panel.get_by_text(f"Upload {job['uploadId'][-8:]}", exact=True)).to_be_visible()


def test_headline_counts_more_than_a_stream_follows(
    client: httpx.Client, context: BrowserContext, paced: Service
) -> None:
    """Of 510 that run the stream follows 500: all are counted, and those that end are no more."""
    jobs = begin(client, 510)
    for job in jobs:
        report(client, job, "validating")
    headline = live_page(context, paced.url).locator("upload-panel .headline")
    expect(headline).to_contain_text("Processing 510 files")
    for job in jobs[:6]:  # the others had a later event, so these are not followed
        report(client, job, "complete")
    expect(headline).to_contain_text("Processing 504 files")


COUNT_WRITES = """
const write = Storage.prototype.setItem;
window.writes = 0;
Storage.prototype.setItem = function (...given) {
  window.writes += 1;
  return write.apply(this, given);
};"""

CHOOSE = """(names) => {
  const files = new DataTransfer();
  for (const name of names) files.items.add(new File([name], name, { type: "text/plain" }));
  const picker = document.getElementById("files");
  picker.files = files.files;
  picker.dispatchEvent(new Event("change"));
}"""


def test_files_chosen_together_are_remembered_with_one_write(
    faulty: BrowserContext, paced: Service
) -> None:
    """A write for each file would keep the page busy for seconds where there are thousands."""
    faulty.add_init_script(COUNT_WRITES)  # faulty, since so many at once are told to wait, by 429
    page = live_page(faulty, paced.url)
    names = [f"file-{n:03}.txt" for n in range(150)]
    before = page.evaluate("window.writes")
    page.evaluate(CHOOSE, names)
    remembered = page.evaluate("JSON.parse(localStorage.getItem('sse-progress:names'))")
    assert page.evaluate("window.writes") == before + 1
    assert {known["filename"] for known in remembered.values()} == set(names)
