"""The ES module in a page as an application has it: bundled, one script in place of 40 requests."""

from __future__ import annotations

import subprocess
from functools import cache

from playwright.sync_api import Page

from tests.docs.pages import MODULES
from tests.helpers.service import ROOT

__all__ = ["bundled", "start"]

START = """
async (options) => {
  const { Client } = SDK;
  window.client = new Client({ url: ".", GIVEN });
  window.events = [];
  window.links = [];
  window.client.observeLink((link) => window.links.push(link));
}
"""


def start(
    page: Page,
    options: dict[str, object] | None = None,
    *,
    given: str = "...options",
    module: str | None = None,
) -> None:
    """Make `window.client`, whose events are in `window.events` and its links in `window.links`.

    `given` is for options that are functions of the page's. With `module` the client is that of
    the module at this address.
    """
    sdk = bundled() if module is None else f'await import("{module}")'
    page.evaluate(START.replace("GIVEN", given).replace("SDK", sdk), options or {})


@cache
def bundled() -> str:
    """An expression: what the module exports."""
    entry = ROOT / "sse_progress" / "browser" / "client" / "index.js"
    made = subprocess.run(
        [MODULES / ".bin/esbuild", entry, "--bundle", "--format=iife", "--global-name=sdk",
         "--log-level=error"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return f"(() => {{ {made.stdout} return sdk; }})()"
