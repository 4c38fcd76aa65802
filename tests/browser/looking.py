"""Where things are on the page, and what a person would do to them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def send(page: Page, *files: Path) -> None:
    page.set_input_files("#files", files)


def card(page: Page, name: str) -> Locator:
    """The upload on the page itself, with its stages."""
    return page.locator(".card", has=page.get_by_role("heading", name=name, exact=True))


def entry(page: Page, name: str) -> Locator:
    """The upload in the floating panel."""
    return page.locator("upload-panel li", has=page.get_by_text(name, exact=True))


def show_panel(page: Page) -> None:
    """As where no card is in sight, and its list open."""
    page.locator("upload-panel").evaluate(
        "(panel) => (panel.removeAttribute('minimized'), panel.style.visibility = 'visible')"
    )


def percent(where: Locator) -> int:
    """What a card's badge says; -1 if that is no percent."""
    text = where.locator(".badge").inner_text()
    return int(text.removesuffix("%")) if text.endswith("%") else -1


def phase(where: Locator, name: str, *, timeout_s: float = 15) -> None:
    expect(where).to_have_attribute("data-phase", name, timeout=timeout_s * 1000)


def link(page: Page, name: str) -> None:
    expect(page.locator("#link")).to_have_attribute("data-state", name)


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
