"""`<upload-panel>` by itself: where it is, what it says, who may use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FloatRect, Page, expect

from tests.browser.gates import Gates
from tests.browser.looking import card, entry, phase, send, show_panel
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until


@pytest.fixture
def page(page: Page) -> Page:
    show_panel(page)
    return page


def panel_box(page: Page) -> FloatRect:
    box = page.locator("upload-panel").bounding_box()
    assert box is not None
    return box


def test_it_floats_in_each_of_four_corners(page: Page, gates: Gates) -> None:
    """The attribute `position` puts it into that corner, within the window."""
    page.evaluate("document.querySelector('link[rel=stylesheet]').remove()")
    send(page, gates.file("a.txt"))
    expect(entry(page, "a.txt")).to_be_visible()
    for position in ("bottom-right", "bottom-left", "top-right", "top-left"):
        page.locator("upload-panel").evaluate(
            "(panel, at) => panel.setAttribute('position', at)", position
        )
        box, size = panel_box(page), page.viewport_size
        assert size is not None
        assert (box["y"] < 40) == position.startswith("top")
        assert (box["y"] + box["height"] > size["height"] - 40) == position.startswith("bottom")
        assert (box["x"] < 40) == position.endswith("left")
        assert (box["x"] + box["width"] > size["width"] - 40) == position.endswith("right")
    gates.open_all()


def test_minimize_and_dismiss_by_keyboard(page: Page, gates: Gates) -> None:
    """Everything works without a mouse; a dismissed panel comes back with the next upload."""
    send(page, gates.file("a.txt"))
    minimize = page.get_by_role("button", name="Minimize")
    minimize.focus()
    page.keyboard.press("Enter")
    expect(entry(page, "a.txt")).to_be_hidden()
    show = page.get_by_role("button", name="Show", exact=True)
    expect(show).to_be_focused()
    expect(show).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Space")
    expect(entry(page, "a.txt")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("upload-panel")).to_be_hidden()
    phase(card(page, "a.txt"), "working")
    send(page, gates.file("b.txt"))
    expect(entry(page, "b.txt")).to_be_visible()
    expect(entry(page, "a.txt")).to_be_visible()
    gates.open_all()


def test_what_runs_stands_above_what_has_ended(page: Page, gates: Gates, tmp_path: Path) -> None:
    """Whatever ends goes below; what is sent later stands above it."""
    other = Gates(tmp_path / "other")
    other.open_all()
    send(page, other.file("first.txt"))
    phase(entry(page, "first.txt"), "done")
    send(page, gates.file("second.txt"), other.file("third.txt"))
    phase(entry(page, "third.txt"), "done")
    names = page.locator("upload-panel .name")
    expect(names).to_have_text(["second.txt", "third.txt", "first.txt"])
    gates.open_all()
    phase(entry(page, "second.txt"), "done")
    expect(names).to_have_text(["second.txt", "third.txt", "first.txt"])


def test_finished_entries_clear_and_problems_stay(page: Page, gates: Gates) -> None:
    """What went well goes after a while; what did not stays until it is dismissed."""
    page.locator("upload-panel").evaluate("(panel) => panel.setAttribute('clear-after', '1')")
    gates.open_all()
    gates.open("validating-refuse")
    send(page, gates.file("bad.txt"))
    phase(entry(page, "bad.txt"), "refused")
    (gates.directory / "validating-refuse").unlink()
    send(page, gates.file("good.txt"))
    phase(entry(page, "good.txt"), "done")
    expect(entry(page, "good.txt")).to_have_count(0)
    expect(entry(page, "bad.txt")).to_be_visible()
    entry(page, "bad.txt").get_by_role("button", name="Dismiss bad.txt").click()
    expect(page.locator("upload-panel")).to_be_hidden()


def test_bars_tell_assistive_technology_the_same(page: Page, gates: Gates) -> None:
    """Each bar is a progressbar with the file's name, a value, and the stage in words."""
    send(page, gates.file("a.txt"))
    gates.open("validating-half", "validating", "analyzing-half")
    bar = page.get_by_role("progressbar", name="a.txt")
    expect(bar).to_have_attribute("aria-valuetext", "Analyzing, 50 percent")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    expect(page.get_by_role("progressbar", name="All uploads")).to_have_attribute(
        "aria-valuenow", "50"
    )
    gates.open_all()


def test_the_live_region_speaks_of_stages_and_does_not_chatter(page: Page, gates: Gates) -> None:
    """While eight files pass all their stages it speaks a few times, and of the end."""
    region = page.locator("upload-panel [aria-live=polite]")
    region.evaluate(
        """(region) => {
          window.spoken = [];
          new MutationObserver(() => window.spoken.push(region.textContent))
            .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    gates.open_all()
    names = [f"file-{n}.txt" for n in range(8)]
    send(page, *[gates.file(name) for name in names])
    for name in names:
        phase(card(page, name), "done")
    ends = re.compile("8 finished|Done")
    wait_until(lambda: ends.search((page.evaluate("window.spoken") or [""])[-1]), "it spoke")
    assert len(page.evaluate("window.spoken")) <= 4
    assert not any("percent" in words for words in page.evaluate("window.spoken"))


def test_every_word_can_be_replaced(page: Page, gates: Gates) -> None:
    """`texts` by code replaces stages, errors and plural forms; the rest stays."""
    page.locator("upload-panel").evaluate(
        """(panel) => (panel.texts = {
          lang: "de",
          active: { one: "{n} Datei wird gesendet", other: "{n} Dateien werden gesendet" },
          working: { one: "{n} Datei wird bearbeitet", other: "{n} Dateien werden bearbeitet" },
          stage: { validating: "Wird geprüft" },
          phase: { refused: "Abgelehnt" },
          error: { rejected_type: "Das nehmen wir nicht." },
        })"""
    )
    send(page, gates.file("a.txt"), gates.file("b.txt"))
    expect(page.locator("upload-panel .headline")).to_contain_text("2 Dateien werden bearbeitet")
    expect(entry(page, "a.txt")).to_contain_text("Wird geprüft")
    gates.open("validating-refuse", "validating-half", "validating")
    expect(entry(page, "a.txt")).to_contain_text("Abgelehnt")
    expect(entry(page, "a.txt")).to_contain_text("Das nehmen wir nicht.")


def test_colours_are_custom_properties(page: Page, gates: Gates) -> None:
    """A page sets `--upload-panel-…`, and a fixed colour scheme, from outside."""
    page.locator("upload-panel").evaluate(
        "(panel) => panel.style.setProperty('--upload-panel-working', 'rgb(1, 2, 3)')"
    )
    send(page, gates.file("a.txt"))
    expect(entry(page, "a.txt")).to_contain_text("Validating")
    bar = entry(page, "a.txt").locator(".bar i")
    expect(bar).to_have_css("background-color", "rgb(1, 2, 3)")
    frame = page.locator("upload-panel .panel")
    light = frame.evaluate("(panel) => getComputedStyle(panel).backgroundColor")
    page.locator("upload-panel").evaluate("(panel) => (panel.style.colorScheme = 'dark')")
    assert frame.evaluate("(panel) => getComputedStyle(panel).backgroundColor") != light
    gates.open_all()


def test_reduced_motion_is_respected(page: Page, gates: Gates) -> None:
    """Who asks for less motion gets none: no sheen, no sliding bars."""
    page.emulate_media(reduced_motion="reduce")
    send(page, gates.file("a.txt"))
    bar = entry(page, "a.txt").locator(".bar i")
    expect(bar).to_have_css("animation-name", "none")
    expect(bar).to_have_css("transition-duration", "0s")
    gates.open_all()


def test_with_watch_it_shows_what_was_sent_elsewhere(
    page: Page, context: BrowserContext, paced: Service, gates: Gates
) -> None:
    """A panel with the attribute `watch` takes in uploads of other tabs, one without does not."""
    send(page, gates.file("elsewhere.txt"))
    expect(card(page, "elsewhere.txt")).to_contain_text("validating has begun")
    other = context.new_page()
    other.goto(paced.url + "/api")
    embed = """(watch) => import("./client/panel.js").then(() => {
      document.querySelector("upload-panel")?.remove();
      const panel = document.createElement("upload-panel");
      panel.toggleAttribute("watch", watch);
      document.body.append(panel);
    })"""
    other.evaluate(embed, False)
    expect(other.locator("upload-panel")).to_be_hidden()
    other.evaluate(embed, True)
    expect(entry(other, "elsewhere.txt")).to_contain_text("Validating")
    gates.open_all()
    phase(entry(other, "elsewhere.txt"), "done")
