"""Programs with Uppy and the plug-in for it, as the documentation has them, in a page."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from tests.docs.pages import INTEGRATE, MODULES, blocks
from tests.helpers.service import ROOT
from tests.helpers.waiting import wait_until

__all__ = ["bundled", "started", "wait_for_message"]

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


def bundled(uploader: str, place: Path) -> str:
    """The program of docs/integrate/resumable.md with this uploader, bundled as an app's."""
    page = blocks(INTEGRATE / "resumable.md", "js")
    [program] = [one.text for one in page if f"use({uploader}," in one.text]
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
