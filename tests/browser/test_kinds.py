"""A kind's own stages on page and panel: live, after a reload, cancelled, long after the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from redis import Redis

from sse_progress.runtime.redis.keys import journal_keys
from tests.browser.conftest import live_page
from tests.browser.film import STAGES
from tests.browser.gates import Gates
from tests.browser.looking import card, entry, phase
from tests.browser.test_notifications import RECORD, told
from tests.browser.test_page import times_of
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

LABELS = ["Uploading", "Stored", "Rating", "Making versions", "Subtitling", "Finalizing"]
GERMAN = ["Wird hochgeladen", "Gespeichert", "Rating", "Umwandeln", "Subtitling"]


@pytest.fixture(scope="module")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an archive, and with a kind of upload that has stages of its own."""
    env = {
        "SSE_PROGRESS_KINDS": "tests.browser.film:kinds",
        "SSE_PROGRESS_ARCHIVE_URL": "",
        "SSE_PROGRESS_JOURNAL_WHOLE_S": "1",
    }
    with Service(tmp_path_factory.mktemp("cinema"), env) as service:
        yield service


def send_film(page: Page, path: Path) -> Locator:
    """Send a file of the kind from this page, and its card."""
    page.evaluate(
        """async ([name, text]) => {
          const { Client } = await import("./client/index.js");
          new Client().upload(new File([text], name), { kind: "film" });
        }""",
        [path.name, path.read_text()],
    )
    return card(page, path.name)


def labels(mine: Locator) -> Locator:
    return mine.locator(".stages b")


def test_a_kind_has_its_own_stages_everywhere(
    contexts: Callable[..., BrowserContext], cinema: Service, gates: Gates
) -> None:
    """Their number and names, live and after a reload, and in the reader's language; to the end."""
    page = live_page(contexts(), cinema.url)
    mine = send_film(page, gates.file("film.txt"))
    other = live_page(contexts(locale="de-DE"), cinema.url)
    theirs = card(other, "film.txt")
    for stage, label, german in zip(STAGES, LABELS[2:], GERMAN[2:], strict=False):
        expect(mine).to_contain_text(f"{stage} has begun")
        for where in (mine, theirs):
            gates.open(f"{stage}-half")
            expect(where).to_contain_text(f"{stage} is half done")
        expect(mine.locator("li[data-now]")).to_contain_text(label)
        expect(entry(page, "film.txt").locator(".stage")).to_have_text(label)
        expect(theirs.locator("li[data-now]")).to_contain_text(german)
        expect(entry(other, "film.txt").locator(".stage")).to_have_text(german)
        if stage == "transcoding":
            page.reload()
            expect(mine.locator("li[data-now]")).to_contain_text(label)
            expect(mine.locator("li[data-passed]")).to_have_count(3)
            expect(labels(mine)).to_have_text(LABELS)
        gates.open(stage)
    phase(mine, "done")
    phase(theirs, "done")
    expect(mine.locator("li[data-passed]")).to_have_count(len(LABELS))
    times = times_of(page)
    assert len(times) == len(LABELS)
    expect(mine.locator(".stages i")).to_have_text(times)


def test_cancelled_in_the_middle_it_stays_in_that_stage(
    contexts: Callable[..., BrowserContext], cinema: Service, gates: Gates
) -> None:
    """Also after a reload: what was not begun is not shown as passed."""
    page = live_page(contexts(), cinema.url)
    mine = send_film(page, gates.file("draft.txt"))
    gates.open("moderating-half", "moderating", "transcoding-half")
    expect(mine).to_contain_text("transcoding is half done")
    mine.get_by_role("button", name="Cancel").click()
    gates.open("transcoding")
    for _ in range(2):
        phase(mine, "cancelled")
        expect(mine.locator("li[data-now]")).to_contain_text("Making versions")
        expect(mine.locator("li[data-passed]")).to_have_count(3)
        expect(labels(mine)).to_have_text(LABELS)
        page.reload()


def test_an_upload_of_long_ago_opens_with_its_stages_and_times(
    contexts: Callable[..., BrowserContext], cinema: Service, gates: Gates
) -> None:
    """What Redis has shortened, and then forgotten, is in the list, which goes on into the past."""
    page = live_page(contexts(), cinema.url)
    gates.open(*STAGES, *(f"{stage}-half" for stage in STAGES))
    film = send_film(page, gates.file("old film.txt"))
    phase(film, "done")
    times = times_of(page)
    expect(film.locator(".stages i")).to_have_text(times)
    (old,) = (one for one in listed(cinema) if one["filename"] == "old film.txt")
    redis = Redis.from_url(cinema.redis_url)
    meta, log = journal_keys(str(old["uploadId"]))
    wait_until(lambda: redis.type(log) == b"string", "the journal was shortened")
    jobs = [ended_job(cinema) for _ in range(21)]
    redis.delete(meta, log)
    page.reload()
    expect(card(page, f"Upload {jobs[-1][-8:]}")).to_be_visible()
    expect(film).to_have_count(0)
    page.get_by_role("button", name="Older uploads").click()
    expect(page.get_by_role("button", name="Older uploads")).to_be_hidden()
    film.get_by_role("button", name="Show old film.txt").click()
    expect(labels(film)).to_have_text(LABELS)
    expect(film.locator(".stages i")).to_have_text(times)
    expect(film.locator("li[data-passed]")).to_have_count(len(LABELS))


def ended_job(service: Service) -> str:
    """Work of another service that is over at once; its id."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        job = client.post("/jobs", json={}).json()
        path, headers = f"/upload/{job['uploadId']}/progress", {"X-Writer": job["writer"]}
        client.post(path, json={"stage": "complete"}, headers=headers).raise_for_status()
    return str(job["uploadId"])


def listed(service: Service) -> list[dict[str, object]]:
    found: list[dict[str, object]] = httpx.get(f"{service.url}/uploads?limit=200").json()["uploads"]
    return found


def test_its_end_is_told_by_a_notification(
    contexts: Callable[..., BrowserContext], cinema: Service, gates: Gates, tmp_path: Path
) -> None:
    """In the reader's language, as of any upload: also where a stage of the kind's own breaks."""
    context = contexts(locale="de-DE")
    context.add_init_script(RECORD)
    page = live_page(context, cinema.url)
    good = send_film(page, gates.file("good.txt"))
    page.get_by_role("button", name="Benachrichtigen").click()
    page.evaluate("window.unseen = true")
    gates.open(*STAGES, *(f"{stage}-half" for stage in STAGES))
    phase(good, "done")
    wait_until(lambda: told(page) == ["good.txt: Fertig"], "the good end is told")
    broken = Gates(tmp_path / "broken")
    broken.open("moderating", "moderating-half", "transcoding-half", "transcoding-break")
    broken.open("transcoding")
    bad = send_film(page, broken.file("bad.txt"))
    phase(bad, "failed")
    wait_until(lambda: told(page)[1:] == ["bad.txt: Fehlgeschlagen"], "the bad end is told")
