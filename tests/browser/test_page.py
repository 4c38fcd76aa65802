"""The page against the real service: what a person sees while an upload lives."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.gates import Gates
from tests.browser.line import Line
from tests.browser.looking import card, entry, link, percent, phase, send, show_panel
from tests.browser.paced import STAGES
from tests.browser.users import User
from tests.helpers import media
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

LABELS = {
    "validating": "Validating",
    "analyzing": "Analyzing",
    "moderating": "Moderating",
    "processing": "Processing",
}


def test_every_stage_is_seen_as_it_passes(page: Page, gates: Gates) -> None:
    """Card and panel show each stage while it is worked on, its sentence, and a rising percent."""
    send(page, gates.file("report.txt"))
    mine = card(page, "report.txt")
    seen = []
    for stage in STAGES:
        expect(mine.locator("li[data-now]")).to_contain_text(LABELS[stage])
        expect(mine).to_contain_text(f"{stage} has begun")
        seen.append(percent(mine))
        gates.open(f"{stage}-half")
        expect(mine).to_contain_text(f"{stage} is half done")
        expect(entry(page, "report.txt")).to_contain_text(LABELS[stage])
        seen.append(percent(mine))
        gates.open(stage)
    phase(mine, "done")
    phase(entry(page, "report.txt"), "done")
    assert seen == sorted(set(seen)), seen
    assert seen[0] >= 20
    expect(mine.locator("li[data-passed]")).to_have_count(7)


def test_eight_files_do_not_block_each_other(page: Page, gates: Gates) -> None:
    """On HTTP/1.1 with its six connections, eight uploads are worked on side by side."""
    names = [f"file-{n}.bin" for n in range(8)]
    send(page, *[gates.file(name, 200_000) for name in names])
    for name in names:
        expect(card(page, name)).to_contain_text("validating has begun")
    protocol = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert protocol == "http/1.1"
    gates.open_all()
    for name in names:
        phase(card(page, name), "done")


def test_a_reload_in_the_middle_loses_nothing(page: Page, gates: Gates) -> None:
    """After a reload the upload is there with its name and stage, and goes on to its end."""
    send(page, gates.file("report.txt"))
    gates.open("validating-half", "validating")
    expect(card(page, "report.txt")).to_contain_text("analyzing has begun")
    page.reload()
    mine = card(page, "report.txt")
    expect(mine.locator("li[data-now]")).to_contain_text("Analyzing")
    expect(entry(page, "report.txt")).to_contain_text("Analyzing")
    gates.open_all()
    phase(mine, "done")
    page.reload()
    expect(card(page, "report.txt")).to_contain_text("Everything that was found")


def _spoken(ms: int) -> str:
    """As English pages write it: `340 ms`, `2.1 s`, `12 sec`, `3 min`; halves go up."""
    if ms < 1000:
        return f"{ms} ms"
    seconds = Decimal(ms / 1000)
    if ms < 10_000:
        return f"{seconds.quantize(Decimal('0.1'), ROUND_HALF_UP)} s"
    amount, unit = (seconds, "sec") if ms < 60_000 else (seconds / 60, "min")
    return f"{amount.quantize(Decimal(1), ROUND_HALF_UP)} {unit}"


def times_of(page: Page) -> list[str]:
    """The duration of each stage by the journal of the latest upload, as a card would write it."""
    events = page.evaluate("""async () => {
        const { uploads } = await (await fetch("uploads?limit=1")).json();
        const path = `upload/${uploads[0].uploadId}/history`;
        return (await (await fetch(path)).json()).events;
    }""")
    firsts = [
        datetime.fromisoformat(event["timestamp"])
        for event, before in pairwise([*events[::-1], {"stage": None}])
        if event["stage"] != before["stage"]
    ][::-1]
    return [_spoken(round((to - at) / timedelta(milliseconds=1))) for at, to in pairwise(firsts)]


def test_stage_times_are_the_journals_after_a_gap_and_a_reload(
    faulty_page: Page, gates: Gates, line: Line
) -> None:
    """Stages that passed unseen have the journal's times, and so have all after a reload."""
    page = faulty_page
    send(page, gates.file("report.txt"))
    expect(card(page, "report.txt")).to_contain_text("validating has begun")
    page.context.set_offline(True)
    line.cut()
    link(page, "reconnecting")
    gates.open_all()
    line.mend()
    page.context.set_offline(False)
    phase(card(page, "report.txt"), "done")
    times = times_of(page)
    assert len(times) == 7
    expect(card(page, "report.txt").locator(".stages i")).to_have_text(times)
    page.reload()
    expect(card(page, "report.txt").locator(".stages i")).to_have_text(times)


def test_cards_stand_newest_first_also_after_a_reload(page: Page, gates: Gates) -> None:
    """The order is that of sending, whatever order the service tells of them in."""
    names = [f"file-{n}.txt" for n in range(6)]
    gates.open_all()
    for name in names:
        send(page, gates.file(name))
        phase(card(page, name), "done")
    headings = page.locator(".card h3")
    expect(headings).to_have_text(names[::-1])
    page.reload()
    expect(headings).to_have_text(names[::-1])
    expect(page.locator(".card.folded")).to_have_count(3)
    last = card(page, names[0])
    expect(last.locator(".outcome")).to_be_hidden()
    last.get_by_role("button", name=f"Show {names[0]}").click()
    expect(last.locator(".outcome")).to_be_visible()


def test_what_is_finished_folds_and_is_cleared_for_good(page: Page, gates: Gates) -> None:
    """A finished card folds and unfolds; cleared ones stay away, also after a reload."""
    gates.open_all()
    send(page, gates.file("old.txt"))
    mine = card(page, "old.txt")
    phase(mine, "done")
    mine.get_by_role("button", name="Hide old.txt").click()
    expect(mine.locator(".outcome")).to_be_hidden()
    mine.get_by_role("button", name="Show old.txt").click()
    expect(mine.locator(".outcome")).to_be_visible()
    page.get_by_role("button", name="Clear finished").click()
    expect(mine).to_have_count(0)
    page.reload()
    send(page, gates.file("new.txt"))
    phase(card(page, "new.txt"), "done")
    expect(page.locator(".card")).to_have_count(1)


def test_the_focus_stays_where_a_cancelled_upload_is(page: Page, gates: Gates) -> None:
    """By keyboard: Cancel on a card leads to Retry of the same card, in the panel it stays."""
    send(page, gates.file("a.txt"), gates.file("b.txt"))
    for name in ("a.txt", "b.txt"):
        expect(card(page, name)).to_contain_text("validating has begun")
    card(page, "a.txt").get_by_role("button", name="Cancel a.txt").focus()
    page.keyboard.press("Enter")
    phase(card(page, "a.txt"), "cancelled")
    expect(card(page, "a.txt").get_by_role("button", name="Retry a.txt")).to_be_focused()
    show_panel(page)
    entry(page, "b.txt").get_by_role("button", name="Cancel b.txt").focus()
    page.keyboard.press("Enter")
    phase(entry(page, "b.txt"), "cancelled")
    expect(entry(page, "b.txt").get_by_role("button", name="Dismiss b.txt")).to_be_focused()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_panel_is_there_while_a_card_is_out_of_sight(
    page: Page, gates: Gates, width: int
) -> None:
    """Cards or panel: scrolled to the cards the page has no panel, unless the focus is in it."""
    page.set_viewport_size({"width": width, "height": 620})
    panel = page.locator("upload-panel .headline")
    send(page, *[gates.file(f"{n}.txt") for n in range(6)])
    expect(card(page, "0.txt")).to_contain_text("validating has begun")
    expect(panel).to_be_visible()
    expect(entry(page, "0.txt")).to_be_hidden()  # one line
    for n in range(5):
        card(page, f"{n}.txt").get_by_role("button", name="Cancel").click()
        phase(card(page, f"{n}.txt"), "cancelled")
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card").scroll_into_view_if_needed()
    expect(panel).to_be_hidden()
    page.set_viewport_size({"width": width, "height": 200})
    page.evaluate("scrollTo(0, 0)")
    expect(panel).to_be_visible()
    page.locator("upload-panel .toggle").focus()
    page.locator(".card h3").scroll_into_view_if_needed()
    expect(page.locator("upload-panel")).to_have_class("behind")
    expect(panel).to_be_visible()
    page.locator(".card").get_by_role("button", name="Cancel").focus()
    expect(panel).to_be_hidden()
    gates.open_all()


def test_a_wrong_token_is_said_to_be_wrong(
    contexts: Callable[..., BrowserContext], paced: Service, user: User
) -> None:
    """The form says so, and takes the right one; snippets then carry the header."""
    context = contexts(faulty=True, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(paced.url + "/")
    field = page.get_by_label("Access token")
    field.fill("wrong")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token is not accepted.")
    field.fill(user.token())
    field.press("Enter")
    link(page, "live")
    expect(page.locator("#session")).to_be_hidden()
    terminal = page.locator(".snippet", has_text="From a terminal")
    terminal.get_by_role("button", name="Copy").click()
    expect(terminal.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "Authorization: Bearer $TOKEN" in copied
    assert paced.url in copied


def test_a_second_tab_tells_the_same(
    page: Page, context: BrowserContext, paced: Service, gates: Gates
) -> None:
    """Another tab shows an upload that it did not send, and may cancel it for both."""
    send(page, gates.file("report.txt"), gates.file("other.txt"))
    gates.open("validating-half")
    second = context.new_page()
    second.goto(paced.url + "/")
    for name in ("report.txt", "other.txt"):
        for tab in (page, second):
            expect(card(tab, name)).to_contain_text("validating is half done")
        assert percent(card(page, name)) == percent(card(second, name))
    card(second, "report.txt").get_by_role("button", name="Cancel").click()
    for tab in (page, second):
        phase(card(tab, "report.txt"), "cancelled")
        phase(card(tab, "other.txt"), "working")
    gates.open_all()
    for tab in (page, second):
        phase(card(tab, "other.txt"), "done")


def test_the_service_restarts_in_the_middle(
    contexts: Callable[..., BrowserContext], service: Callable[..., Service], gates: Gates
) -> None:
    """The page says that it reconnects, does so by itself, and the upload goes on to its end."""
    running = service({"SSE_PROGRESS_PIPELINE": "tests.browser.paced:pipeline"})
    page = contexts(faulty=True).new_page()
    page.goto(running.url + "/")
    send(page, gates.file("report.txt"))
    expect(card(page, "report.txt")).to_contain_text("validating has begun")
    running.stop()
    link(page, "reconnecting")
    show_panel(page)
    expect(page.locator("upload-panel .link")).to_be_visible()
    expect(page.locator("upload-panel .link")).to_contain_text("Reconnecting")
    phase(card(page, "report.txt"), "working")
    running.start()
    gates.open_all()
    phase(card(page, "report.txt"), "done", timeout_s=60)
    link(page, "live")


def test_offline_and_back(faulty_page: Page, gates: Gates, line: Line) -> None:
    """What happened while the browser was offline is there as soon as it is back."""
    page = faulty_page
    send(page, gates.file("report.txt"))
    expect(card(page, "report.txt")).to_contain_text("validating has begun")
    page.context.set_offline(True)
    line.cut()
    link(page, "reconnecting")
    gates.open_all()
    line.mend()
    page.context.set_offline(False)
    phase(card(page, "report.txt"), "done")
    link(page, "live")


def test_a_body_that_broke_is_told_and_sent_again(
    faulty_page: Page, gates: Gates, line: Line
) -> None:
    """The network goes while a file is being sent: a failure in words, mended by retry."""
    page = faulty_page
    line.rate = 400_000
    send(page, gates.file("long.bin", 4_000_000))
    expect(card(page, "long.bin")).to_contain_text("kB of 4 MB")
    line.cut()
    expect(card(page, "long.bin")).to_contain_text("Checking what has arrived")
    line.rate = None
    line.mend()
    phase(card(page, "long.bin"), "failed")
    expect(entry(page, "long.bin")).to_contain_text("connection was lost")
    gates.open_all()
    show_panel(page)
    entry(page, "long.bin").get_by_role("button", name="Retry long.bin").click()
    expect(page.locator(".card")).to_have_count(2)
    phase(page.locator(".card").first, "done")
    phase(page.locator(".card").last, "failed")
    expect(entry(page, "long.bin")).to_have_count(1)


def test_a_slow_line_shows_bytes_speed_and_time(
    faulty_page: Page, gates: Gates, line: Line
) -> None:
    """The entry is there at once; bytes, speed and remaining time come before any answer."""
    page = faulty_page
    line.rate = 150_000
    send(page, gates.file("slow.bin", 3_000_000))
    numbers = entry(page, "slow.bin").locator(".numbers")
    expect(numbers).to_have_text(
        re.compile(r"[\d.]+ [kM]B of 3 MB · [\d.]+ [kM]B/s · \d+ sec left")
    )
    # The browser's own count may be at 100 at once: what it has handed to the network.
    wait_until(lambda: percent(card(page, "slow.bin")) < 90, "the service's count is shown")
    first = percent(card(page, "slow.bin"))
    wait_until(lambda: percent(card(page, "slow.bin")) > first, "the bar moves")
    phase(card(page, "slow.bin"), "sending")
    line.rate = None
    gates.open_all()
    phase(card(page, "slow.bin"), "done")


def test_a_refused_file_is_told_apart_from_a_failure(page: Page, gates: Gates) -> None:
    """A refusal has its own colour, its reason in words, and no retry; a failure may be retried."""
    gates.open("validating-refuse", "validating-half", "validating")
    send(page, gates.file("bad.txt"))
    phase(card(page, "bad.txt"), "refused")
    show_panel(page)
    for where in (card(page, "bad.txt"), entry(page, "bad.txt")):
        expect(where).to_contain_text("This kind of file is not accepted.")
        expect(where.get_by_role("button", name="Retry")).to_have_count(0)


def test_a_failure_is_retried_under_a_new_id(page: Page, gates: Gates) -> None:
    """Retry sends the same file again, and takes the old one's place in the panel."""
    gates.open("validating-break", "validating-half", "validating")
    send(page, gates.file("unlucky.txt"))
    phase(card(page, "unlucky.txt"), "failed")
    (gates.directory / "validating-break").unlink()
    gates.open_all()
    show_panel(page)
    entry(page, "unlucky.txt").get_by_role("button", name="Retry").click()
    phase(page.locator(".card").first, "done")
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("upload-panel li")).to_have_count(1)


def test_cancel_while_sending_and_while_working(
    faulty_page: Page, gates: Gates, line: Line
) -> None:
    """Cancelling stops a body, a stage and a file in the queue; the service says so itself."""
    page = faulty_page
    line.rate = 300_000
    names = ["a.bin", "b.bin", "c.bin", "queued.bin"]
    send(page, *[gates.file(name, 2_000_000) for name in names])
    expect(card(page, "a.bin")).to_contain_text("kB of 2 MB")
    phase(card(page, "queued.bin"), "waiting")
    show_panel(page)
    for name in ("queued.bin", "b.bin", "c.bin"):
        entry(page, name).get_by_role("button", name=f"Cancel {name}").click()
        phase(card(page, name), "cancelled")
    line.rate = None
    expect(card(page, "a.bin")).to_contain_text("validating has begun")
    card(page, "a.bin").get_by_role("button", name="Cancel").click()
    phase(card(page, "a.bin"), "cancelled")
    states = page.evaluate("fetch('uploads?limit=3').then((answer) => answer.json())")["uploads"]
    assert [state["status"] for state in states] == ["cancelled"] * 3


def test_a_hidden_page_gives_up_its_stream(page: Page, gates: Gates, paced: Service) -> None:
    """Out of sight for a minute with nothing of its own: no connection; in sight again: live."""
    page.clock.install()
    page.goto(paced.url + "/")
    link(page, "live")
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    page.clock.fast_forward(61_000)
    expect(page.locator("#link")).to_have_attribute("data-state", "idle")
    page.evaluate(hide, False)
    link(page, "live")
    send(page, gates.file("mine.txt"))
    expect(card(page, "mine.txt")).to_contain_text("validating has begun")
    page.evaluate(hide, True)
    page.clock.fast_forward(61_000)
    gates.open_all()
    phase(card(page, "mine.txt"), "done")


def test_what_came_out_is_shown(
    contexts: Callable[..., BrowserContext], service: Callable[..., Service], tmp_path: Path
) -> None:
    """Built-in stages, under a path prefix: a thumbnail, facts, a verdict, links that work."""
    picture = tmp_path / "harbour.jpg"
    picture.write_bytes(media.jpeg(800, 600))
    running = service({"SSE_PROGRESS_PREFIX": "/api/media"})
    page = contexts().new_page()
    page.goto(running.url + "/")
    send(page, picture)
    mine = card(page, "harbour.jpg")
    phase(mine, "done", timeout_s=60)
    expect(mine.locator(".facts")).to_contain_text("800 × 600")
    expect(mine.locator(".facts")).to_contain_text("image/jpeg")
    expect(mine.locator(".verdict")).to_contain_text("Approved")
    thumbnail = mine.locator(".thumbnail img")
    expect(thumbnail).to_be_visible()
    assert thumbnail.evaluate("(image) => image.naturalWidth") > 0
    with page.expect_download() as download:
        mine.get_by_role("link", name=re.compile("^Original")).click()
    assert download.value.path().read_bytes() == picture.read_bytes()
