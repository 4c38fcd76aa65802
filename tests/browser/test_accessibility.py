"""axe-core finds nothing on the page in any of its states, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.gates import Gates
from tests.browser.looking import card, entry, link, phase, send, show_panel
from tests.browser.users import User
from tests.helpers.service import Service

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """
async (options) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => n.html).join(" ")}`);
}
"""  # noqa: E501
COLORS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""Of axe's category of colors all that it looks at by default. A scheme changes nothing else."""


def violations(page: Page, options: dict[str, Any] | None = None) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(
            AXE.read_text()
        )  # by evaluate, since the page's own policy forbids foreign scripts
    found: list[str] = page.evaluate(RUN, options or {})
    return found


def violations_in_both_schemes(page: Page) -> list[str]:
    """All of them where it is light, and those of colors where it is dark."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")  # no color on its way
    light = violations(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return light + violations(page, COLORS)


def test_no_violation_in_any_state(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """Working, waiting, refused, failed, done, and the panel with all of them."""
    context = contexts()
    user.sign_in(context, paced.url)
    page = context.new_page()
    page.goto(paced.url + "/")
    link(page, "live")
    send(page, gates.file("good.txt"))
    gates.open_all()
    phase(card(page, "good.txt"), "done")
    for gate in ("refuse", "break"):
        gates.open(f"validating-{gate}")
        send(page, gates.file(f"{gate}.txt"))
        phase(card(page, f"{gate}.txt"), "refused" if gate == "refuse" else "failed")
        (gates.directory / f"validating-{gate}").unlink()
    (gates.directory / "validating").unlink()
    names = [f"now-{n}.txt" for n in range(3)]
    send(page, *[gates.file(name) for name in names])
    expect(card(page, names[0])).to_contain_text("is half done")
    expect(card(page, names[-1])).to_contain_text("is half done")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        show_panel(page)
        expect(entry(page, "refuse.txt")).to_be_visible()
        assert violations_in_both_schemes(page) == []
    gates.open("validating")


def test_no_violation_on_the_api_page(
    contexts: Callable[..., BrowserContext], paced: Service
) -> None:
    """The API page shows every operation of the service's own document, accessibly."""
    page = contexts().new_page()
    page.goto(paced.url + "/api")
    expect(page.locator("#document")).to_have_attribute("aria-busy", "false")
    document = page.evaluate("fetch('openapi.json').then((answer) => answer.json())")
    operations = sum(
        len(item.keys() & {"get", "head", "post", "put", "patch", "delete", "options"})
        for item in document["paths"].values()
    )
    expect(page.locator(".operation")).to_have_count(operations)
    expect(page.locator(".schema")).to_have_count(len(document["components"]["schemas"]))
    assert violations_in_both_schemes(page) == []
