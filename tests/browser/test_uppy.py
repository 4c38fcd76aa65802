"""Uppy with the plug-in for it, built from the documentation's own lines, in Chromium."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.gates import Gates
from tests.browser.uppy import bundled, started, wait_for_message
from tests.browser.users import User
from tests.cutting_uploads import CuttingUploads
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until


@pytest.fixture(scope="module", params=["Tus", "XHRUpload"])
def script(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return bundled(request.param, tmp_path_factory.mktemp("uppy"))


def upload_id(page: Page) -> str:
    found: str = page.evaluate(
        """() => {
          const { response, uploadURL } = uppy.getFile(fileId);
          return response.body.uploadId ?? uploadURL.split("/").at(-1);
        }"""
    )
    return found


def seen(page: Page, count: int) -> list[list[object]]:
    wait_until(lambda: len(page.evaluate("seen")) >= count, f"{count} events", timeout_s=60)
    found: list[list[object]] = page.evaluate("seen")
    return found


def test_a_file_is_in_post_processing_until_the_service_is_done(
    faulty: BrowserContext, paced: Service, user: User, gates: Gates, script: str
) -> None:
    """Sent over cuts where it is resumable: it arrives whole, in one journal with one end."""
    file = gates.file("words.txt", 1_000_000)
    cuts = [100_000, 250_000] if "Tus-Resumable" in script else []
    with CuttingUploads(paced.url, cuts=list(cuts)) as proxy:
        page = started(faulty, proxy.url, script, file)
        wait_for_message(page, "validating has begun")
        assert page.evaluate("seen") == []
        one = upload_id(page)
        gates.open_all()
        assert seen(page, 1) == [["complete", 1, 0]]
        assert proxy.made == len(cuts)
        media = page.evaluate("uppy.getFile(fileId).response.body")
        assert page.evaluate("uppy.getFile(fileId).progress.complete") is True
    assert (media["id"], media["filename"]) == (one, "words.txt")
    assert media["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    answer = httpx.get(f"{paced.url}/upload/{one}/progress", headers=user.headers, timeout=60).text
    assert answer.count('"stage":"complete"') == 1


def test_a_file_that_is_refused_is_uppys_error_and_can_be_retried(
    context: BrowserContext, paced: Service, gates: Gates, script: str
) -> None:
    """The service's sentence and code; the retry is another upload of the whole file."""
    gates.open("validating-half", "validating", "validating-refuse")
    page = started(context, paced.url, script, gates.file("words.txt", 1000))
    refused = ["error", "This kind of file is not accepted.", "rejected_type"]
    assert seen(page, 2) == [refused, ["complete", 0, 1]]
    (gates.directory / "validating-refuse").unlink()
    gates.open_all()
    page.evaluate("() => { uppy.retryUpload(fileId); }")
    wait_until(lambda: page.evaluate("uppy.getFile(fileId).progress.complete"), "complete")
    assert page.evaluate("uppy.getFile(fileId).response.body.size") == len(
        gates.file("words.txt", 1000).read_bytes()
    )


def test_errors_in_the_readers_language(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates, script: str
) -> None:
    """As the panel says them; the error's cause has what the service said."""
    gates.open("validating-half", "validating", "validating-refuse")
    context = contexts(locale="de-DE")
    user.sign_in(context, paced.url)
    page = started(context, paced.url, script, gates.file("words.txt", 1000))
    german = ["error", "Diese Art von Datei wird nicht angenommen.", "rejected_type"]
    assert seen(page, 2) == [german, ["complete", 0, 1]]


def test_a_file_that_is_removed_is_cancelled_on_the_service(
    context: BrowserContext, paced: Service, user: User, gates: Gates, script: str
) -> None:
    """While the stages go on; nothing is said of it to anybody who listens to Uppy."""
    page = started(context, paced.url, script, gates.file("words.txt"))
    wait_for_message(page, "validating has begun")
    one = upload_id(page)
    page.evaluate("() => uppy.removeFile(fileId)")
    url = f"{paced.url}/upload/{one}"
    wait_until(
        lambda: httpx.get(url, headers=user.headers).json()["status"] == "cancelled", "cancelled"
    )
    assert not [one for one in page.evaluate("seen") if one[0] == "error"]
