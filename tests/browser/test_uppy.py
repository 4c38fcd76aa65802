"""Uppy with the plug-in for it, built from the documentation's own lines, in Chromium."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.gates import Gates
from tests.browser.users import User
from tests.cutting_uploads import CuttingUploads
from tests.docs.pages import INTEGRATE, MODULES, blocks
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until

UPPY = ROOT / "tests" / "js" / "uppy" / "node_modules"
WATCHED = """
globalThis.uppy = uppy;
globalThis.seen = [];
uppy.setOptions({ logger: { debug() {}, warn() {}, error() {} } });
uppy.on("upload-error", (_, error) => seen.push(["error", error.message, error.cause?.code]));
uppy.on("complete", ({ successful, failed }) =>
  seen.push(["complete", successful.length, failed.length]));
"""
ADD = "(text) => { window.fileId = uppy.addFile({ name: 'words.txt', data: new Blob([text]) }); }"
START = "() => { uppy.upload(); }"

Pages = Callable[[str, str], Page]


@pytest.fixture(scope="module", params=["Tus", "XHRUpload"])
def script(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One of the programs of docs/integrate/resumable.md, bundled as an app's."""
    place = tmp_path_factory.mktemp("uppy")
    page = blocks(INTEGRATE / "resumable.md", "js")
    [program] = [one.text for one in page if f"use({request.param}," in one.text]
    (place / "app.js").write_text(program + WATCHED)
    paths = [place / "node_modules", UPPY, MODULES]
    paths[0].mkdir()
    (paths[0] / "sse-progress-client").symlink_to(ROOT / "sse_progress" / "browser")
    subprocess.run(
        [MODULES / ".bin/esbuild", "app.js", "--bundle", "--format=iife", "--outfile=bundle.js",
         "--log-level=error"],
        cwd=place, check=True, env={**os.environ, "NODE_PATH": os.pathsep.join(map(str, paths))},
    )  # fmt: skip
    return (place / "bundle.js").read_text()


def started(context: BrowserContext, url: str, script: str, file: Path) -> Page:
    """A page of the service at `url` that sends `file` by the program `script`."""
    page = context.new_page()
    page.goto(url + "/api")
    page.evaluate(script)
    page.evaluate(ADD, file.read_text())
    page.evaluate(START)
    return page


def wait_for_message(page: Page, message: str) -> None:
    """Uppy shows the file in its post-processing, with a sentence and a share of the service's."""
    shown = "() => { const p = uppy.getFile(fileId)?.progress.postprocess; return p?.message; }"
    wait_until(lambda: page.evaluate(shown) == message, message, timeout_s=60)


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
