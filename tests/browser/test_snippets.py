"""Code of the documentation in a browser: docs/integrate/browser.md, the README, Next."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.users import User
from tests.docs.pages import INTEGRATE, MODULES, blocks, here
from tests.helpers.media import jpeg
from tests.helpers.service import ROOT, Service
from tests.wire.words import new_id

APP = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";

function Shown({ id }) {
  const { data, fetchStatus } = useUploadQuery(id);
  return <p id="shown">{data?.status ?? "nothing"} {fetchStatus}</p>;
}

export function start(id) {
  const place = document.body.appendChild(document.createElement("div"));
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={new QueryClient()}><Shown id={id} /></QueryClientProvider>
    </StrictMode>,
  );
}
"""


def bundled(place: Path, code: str) -> str:
    """Code with what it imports, as `window.app`."""
    modules = place / "node_modules"
    modules.mkdir()
    for installed in MODULES.iterdir():
        (modules / installed.name).symlink_to(installed)
    (modules / "sse-progress-client").symlink_to(ROOT / "sse_progress" / "browser")
    (place / "app.jsx").write_text(code)
    built = ["--bundle", "--format=iife", "--global-name=app", "--outfile=app.js"]
    subprocess.run(
        [MODULES / ".bin/esbuild", "app.jsx", *built, "--jsx=automatic", "--log-level=error",
         "--preserve-symlinks", "--define:process.env.NEXT_PUBLIC_UPLOADS_URL=undefined",
         '--define:process.env.NODE_ENV="development"'],
        cwd=place, check=True, env={**os.environ, "NODE_PATH": str(modules)},
    )  # fmt: skip
    return (place / "app.js").read_text() + "; window.app = app;"


def choose(page: Page, place: Path) -> None:
    (place / "photo.jpg").write_bytes(jpeg())
    page.locator("input[type=file]").set_input_files(place / "photo.jpg")


def test_ten_lines_show_an_upload(context: BrowserContext, paced: Service, tmp_path: Path) -> None:
    """The page of the README, served by the service's origin."""
    [html] = [one.text for one in blocks(ROOT / "README.md", "html")]
    page = context.new_page()
    page.route("**/ten-lines", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{paced.url}/ten-lines")
    choose(page, tmp_path)
    expect(page.locator("#text")).to_have_text("Upload complete")
    expect(page.locator("#bar")).to_have_js_property("value", 100)


@pytest.mark.parametrize("document", ["README.md", "docs/cookbook/next.md"])
def test_a_component_shows_an_upload(
    document: str, context: BrowserContext, paced: Service, user: User, tmp_path: Path
) -> None:
    """The component for React, whose token is the one of a server action in Next."""
    code = next(one.text for one in blocks(ROOT / document, "jsx") if "useUploads" in one.text)
    (tmp_path / "actions.js").write_text(
        "export const uploadToken = async () =>"
        f" ({{ token: '{user.token()}', until: Date.now() + 60000 }});"
    )
    page = context.new_page()
    page.goto(paced.url + "/api")
    mounting = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
export const start = (place) => createRoot(place).render(<StrictMode><Uploads /></StrictMode>);
"""
    page.evaluate(bundled(tmp_path, here(code, paced) + mounting))
    page.evaluate("() => app.start(document.body.appendChild(document.createElement('div')))")
    choose(page, tmp_path)
    expect(page.locator("ul > li").filter(has_text="photo.jpg").first).to_contain_text("100 %")


def test_a_late_answer_does_not_undo_the_end(
    context: BrowserContext, paced: Service, user: User, tmp_path: Path
) -> None:
    """TanStack Query under Strict Mode: the GET is answered after `complete` has come."""
    page_of = INTEGRATE / "browser.md"
    follow = next(one.text for one in blocks(page_of, "js") if "function follow" in one.text)
    hook = next(one.text for one in blocks(page_of, "jsx") if "useUploadQuery" in one.text)
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "app.jsx").write_text(follow + hook + APP)
    built = ["--bundle", "--format=iife", "--global-name=app", "--outfile=app.js"]
    subprocess.run(
        [MODULES / ".bin/esbuild", "app.jsx", *built, "--jsx=automatic", "--log-level=error",
         '--define:process.env.NODE_ENV="development"'],
        cwd=tmp_path, check=True, env={**os.environ, "NODE_PATH": str(MODULES)},
    )  # fmt: skip
    upload_id, held = new_id(), list[Route]()
    page = context.new_page()

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(rf"/upload/{upload_id}$"), hold)
    page.goto(paced.url + "/api")
    page.evaluate((tmp_path / "app.js").read_text() + "; window.app = app;")
    page.evaluate("(id) => app.start(id)", upload_id)
    expect(page.locator("#shown")).to_have_text("nothing fetching")
    sent = {"X-Upload-ID": upload_id, **user.headers}
    httpx.post(f"{paced.url}/upload", files={"file": ("a.jpg", jpeg())}, headers=sent)
    expect(page.locator("#shown")).to_have_text("complete fetching")
    stale = {"uploadId": upload_id, "timestamp": "2026-01-01T00:00:00.000Z", "stage": "validating"}
    for route in held:
        route.fulfill(json={**stale, "status": "processing", "progress": 20})
    expect(page.locator("#shown")).to_have_text("complete idle")
