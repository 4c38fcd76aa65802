"""Many uploads at once: page and panel show some of them, and count the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import live_page
from tests.helpers.service import Service

SHOWN = 50


@pytest.fixture
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("busy")) as service:
        yield service


def begin(client: httpx.Client, count: int) -> list[dict[str, str]]:
    """Jobs of one batch, which are all at work."""
    client.post("/batches", json={"id": "b1", "total": count}).raise_for_status()
    return [client.post("/jobs", json={"batchId": "b1"}).json() for _ in range(count)]


def report(client: httpx.Client, job: dict[str, str], stage: str) -> None:
    path, headers = f"/upload/{job['uploadId']}/progress", {"X-Writer": job["writer"]}
    client.post(path, json={"stage": stage}, headers=headers).raise_for_status()


def test_what_has_no_room_is_counted_and_moves_up(
    contexts: Callable[..., BrowserContext], busy: Service
) -> None:
    """Page and panel have 50 of 70 that run; as some end, others take their places."""
    with httpx.Client(base_url=busy.url, timeout=60) as client:
        jobs = begin(client, 70)
        for job in jobs:
            report(client, job, "validating")
        page = live_page(contexts(), busy.url)
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
        for job in jobs[30:]:
            expect(panel.get_by_text(f"Upload {job['uploadId'][-8:]}", exact=True)).to_be_visible()
