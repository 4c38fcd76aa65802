"""Notifications: asked for by a click, and told only while no tab can be seen."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import live_page
from tests.browser.gates import Gates
from tests.browser.looking import card, phase, send
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

RECORD = """
window.told = [];
window.asked = 0;
window.Notification = class {
  static permission = "default";
  static async requestPermission() {
    window.asked += navigator.userActivation.isActive ? 1 : 100;
    return (this.permission = "granted");
  }
  constructor(title) { window.told.push(title); }
  close() {}
};
window.heard = [];
new BroadcastChannel("sse-progress visible").onmessage = ({ data }) => window.heard.push(data);
Object.defineProperty(document, "hidden", { get: () => window.unseen === true });
"""


def told(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.told")
    return found


def test_ends_are_told_while_no_tab_is_visible(
    context: BrowserContext, paced: Service, gates: Gates, tmp_path: Path
) -> None:
    """Not before the click nor while a tab is seen; several ends are one sentence."""
    context.add_init_script(RECORD)
    page, other = live_page(context, paced.url), live_page(context, paced.url)
    later = Gates(tmp_path / "later")
    send(page, *[gates.file(f"{n}.txt") for n in range(3)], later.file("late.txt"))
    expect(card(page, "late.txt")).to_contain_text("validating has begun")
    page.get_by_role("button", name="Notify me").click()
    expect(page.get_by_role("button", name="Notify me")).to_be_hidden()
    expect(page.locator("#choose")).to_be_focused()
    assert page.evaluate("window.asked") == 1
    page.evaluate("window.unseen = true")
    other.evaluate("window.unseen = true")
    gates.open_all()
    for n in range(3):
        phase(card(page, f"{n}.txt"), "done")
    wait_until(lambda: told(page), "it tells")
    other.evaluate("window.unseen = false")
    later.open_all()
    phase(card(page, "late.txt"), "done")
    wait_until(lambda: page.evaluate("window.heard.includes('visible')"), "the other tab answers")
    assert told(page)[-1] in ("3 uploads finished", "2 uploads finished", "2.txt: Done")
    assert not any("late.txt" in sentence for sentence in told(page))
    assert told(other) == []
