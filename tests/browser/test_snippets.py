"""The code of docs/integrate/browser.md in a browser."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import BrowserContext, Route, expect

from tests.docs.pages import INTEGRATE, MODULES, blocks
from tests.helpers.media import jpeg
from tests.helpers.service import Service
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


def test_a_late_answer_does_not_undo_the_end(
    contexts: Callable[..., BrowserContext], service: Callable[..., Service], tmp_path: Path
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
    running = service()
    page = contexts().new_page()

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(rf"/upload/{upload_id}$"), hold)
    page.goto(running.url + "/api")
    page.evaluate((tmp_path / "app.js").read_text() + "; window.app = app;")
    page.evaluate("(id) => app.start(id)", upload_id)
    expect(page.locator("#shown")).to_have_text("nothing fetching")
    sent = {"X-Upload-ID": upload_id}
    httpx.post(f"{running.url}/upload", files={"file": ("a.jpg", jpeg())}, headers=sent)
    expect(page.locator("#shown")).to_have_text("complete fetching")
    stale = {"uploadId": upload_id, "timestamp": "2026-01-01T00:00:00.000Z", "stage": "validating"}
    for route in held:
        route.fulfill(json={**stale, "status": "processing", "progress": 20})
    expect(page.locator("#shown")).to_have_text("complete idle")
