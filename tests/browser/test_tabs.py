"""Many tabs of one browser and one stream, against the real service over HTTP/1.1."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.gates import Gates
from tests.browser.looking import card, link, phase, send
from tests.browser.sdk import bundled
from tests.browser.users import User
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

LISTEN = """
() => {
  const { Client } = SDK;
  window.heard = [];
  const client = new Client({ url: "." });
  client.observe(({ state }, event) => {
    const { timestamp, stage, stageProgress } = state;
    if (timestamp) window.heard.push(event ?? { type: "state", timestamp, stage, stageProgress });
  });
  return client.watch().then(() => undefined);
}
"""


def streams(service: Service) -> int:
    """Progress streams that the service holds open."""
    metrics = httpx.get(f"{service.url}/metrics").text
    found = re.search(r"^sse_progress_streams ([\d.]+)$", metrics, re.MULTILINE)
    assert found is not None
    return int(float(found.group(1)))


class Tabs:
    """Tabs at the page of `url`, and which of them asked for the stream."""

    def __init__(self, context: BrowserContext, url: str, count: int) -> None:
        self.asked: list[Page] = []
        self.pages = [self._open(context, url) for _ in range(count)]

    def _open(self, context: BrowserContext, url: str) -> Page:
        page = context.new_page()

        def note(address: str) -> None:
            if "/uploads/progress" in address:
                self.asked.append(page)

        page.on("request", lambda request: note(request.url))
        page.goto(f"{url}/")
        link(page, "live")
        return page

    @property
    def leader(self) -> Page:
        return self.asked[-1]


def test_eight_tabs_have_one_stream_and_outlive_the_tab_that_had_it(
    context: BrowserContext, paced: Service, gates: Gates, user: User
) -> None:
    """HTTP/1.1 has six connections; every tab shows every stage, at the journal's times."""
    wait_until(lambda: streams(paced) == 0, "streams of other tests have ended")
    tabs = Tabs(context, paced.url, 8)
    assert tabs.asked == [tabs.pages[0]]
    assert streams(paced) == 1
    for page in tabs.pages:
        page.evaluate(LISTEN.replace("SDK", bundled()))
    gates.open("validating-half")
    send(tabs.pages[5], gates.file("one.txt"))
    for page in tabs.pages:
        expect(card(page, "one.txt")).to_contain_text("validating is half done")
    tabs.leader.close()
    left = tabs.pages[1:]
    gates.open("validating", "analyzing-half")
    for page in left:
        expect(card(page, "one.txt")).to_contain_text("analyzing is half done")
        link(page, "live")
    wait_until(lambda: streams(paced) == 1, "one of them has the stream")
    gates.open_all()
    for page in left:
        phase(card(page, "one.txt"), "done")
    check_journal(paced, user, left)


def check_journal(service: Service, user: User, pages: list[Page]) -> None:
    """Each tab heard the journal, in order and nothing twice; what it missed, a state told."""
    [shown] = httpx.get(f"{service.url}/uploads", headers=user.headers).json()["uploads"]
    url = f"{service.url}/upload/{shown['uploadId']}/history"
    events = httpx.get(url, headers=user.headers).json()["events"]
    journal = [(one["timestamp"], one["stage"], one["stageProgress"]) for one in events]
    for page in pages:
        at = -1
        for one in page.evaluate("window.heard"):
            place = journal.index((one["timestamp"], one["stage"], one.get("stageProgress", 0)))
            assert place > at
            assert place == at + 1 or one["type"] != "progress", "a gap that nothing told of"
            at = place
        assert at == len(journal) - 1
        for time in page.locator(".card .stages li i").all():
            expect(time).to_have_text(re.compile(r"\d"))


HASTEN = """
const wait = setTimeout; // the answer of another tab is waited for 5 to 7.5 s
setTimeout = (act, ms, ...rest) => wait(act, ms >= 5000 && ms <= 7500 ? ms / 20 : ms, ...rest);
"""
FREEZE = """
() => void setTimeout(() => {
  const request = new XMLHttpRequest();
  request.open("GET", "/held", false); // synchronous: the tab does nothing until it is answered
  request.send();
})
"""


def test_a_tab_that_is_frozen_loses_the_stream(
    context: BrowserContext, paced: Service, gates: Gates
) -> None:
    """Who hears nothing and gets no answer takes it; the frozen one comes back as a reader."""
    frozen, reader = Tabs(context, paced.url, 1).pages[0], context.new_page()
    reader.add_init_script(HASTEN)
    reader.goto(f"{paced.url}/")
    link(reader, "live")
    held: list[Route] = []
    frozen.route("**/held", lambda route: held.append(route))  # noqa: PLW0108 (it marks its handler)
    frozen.evaluate(FREEZE)
    wait_until(lambda: reader.wait_for_timeout(20) or held, "the tab is frozen")
    with reader.expect_request("**/uploads/progress*", timeout=30_000):
        reader.evaluate("() => void dispatchEvent(new Event('online'))")
    held[0].fulfill(body="")
    link(reader, "live")
    send(reader, gates.file("one.txt"))
    for page in (reader, frozen):
        expect(card(page, "one.txt")).to_contain_text("validating has begun")
    gates.open_all()
    for page in (reader, frozen):
        phase(card(page, "one.txt"), "done")


def test_two_users_in_one_browser_do_not_hear_of_each_other(
    contexts: Callable[..., BrowserContext], paced: Service, gates: Gates
) -> None:
    """With tokens, the user in them tells tabs apart; with cookies, `caller` does."""
    alice, bob = User("tabs-alice"), User("tabs-bob")
    context = contexts(faulty=True)
    pages = [context.new_page() for _ in range(3)]
    watch = """
      async ({ token, caller }) => {
        const { Client } = SDK;
        window.client = new Client({ url: ".", token, caller });
        await window.client.watch();
      }
    """.replace("SDK", bundled())
    for page, who in zip(pages, (alice, bob, alice), strict=True):
        page.goto(f"{paced.url}/api")
        page.evaluate(watch, {"token": who.token()})
    wait_until(lambda: all(page.evaluate("client.link") == "live" for page in pages), "all live")
    text = gates.file("any.txt").read_text()
    pages[0].evaluate("(text) => void client.upload(new File([text], 'hers.txt'))", text)
    wait_until(lambda: pages[2].evaluate("client.uploads.size") == 1, "her other tab has it")
    assert pages[1].evaluate("client.uploads.size") == 0
    names = pages[1].evaluate("navigator.locks.query().then(({ held }) => held.map((l) => l.name))")
    assert len(set(names)) == 2
    assert not any(name in " ".join(names) for name in (alice.name, bob.name))
    pages[1].evaluate("(token) => { client.token = token }", alice.token())
    wait_until(lambda: pages[1].evaluate("client.uploads.size") == 1, "he signs in as her")
    gates.open_all()
