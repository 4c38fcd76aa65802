"""The page for a person who decides, in Chromium: what it shows, its keys, two people at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.looking import card, entry, phase
from tests.browser.test_accessibility import violations_in_both_schemes
from tests.helpers.service import ROOT, Service
from tests.helpers.waiting import wait_until

STAGES = """
async def mark(upload, report):
    reason = {"rule": "nsfw", "where": "frame 3", "detail": "One frame may show skin."}
    return {"verdict": "review", "reasons": [reason], "scores": {"nsfw": 0.62}}

pipeline = [("moderating", mark)]
"""


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that holds every file for a person."""
    directory = tmp_path_factory.mktemp("holding")
    (directory / "marking_stages.py").write_text(STAGES)
    env = {
        "SSE_PROGRESS_PIPELINE": "marking_stages:pipeline",
        "SSE_PROGRESS_REVIEW": "hold",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
        "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
    }
    with Service(directory, env) as service:
        yield service


def picture(path: Path) -> Path:
    Image.new("RGB", (640, 420), "#7a5c3e").save(path)
    return path


def hold(service: Service, path: Path) -> str:
    """Send a file, and wait until it waits."""
    with path.open("rb") as file:
        answer = httpx.post(
            f"{service.url}/upload",
            files={"file": (path.name, file)},
            headers={"Prefer": "respond-async"},
        )
    upload_id = str(answer.json()["uploadId"])
    url = f"{service.url}/upload/{upload_id}"
    wait_until(lambda: httpx.get(url).json().get("waiting") == "review", "it waits")
    return upload_id


def end_of(service: Service, upload_id: str) -> dict[str, object]:
    url = f"{service.url}/upload/{upload_id}"
    wait_until(lambda: httpx.get(url).json()["status"] in ("complete", "error"), "it has ended")
    found: dict[str, object] = httpx.get(url).json()
    return found


def desk(context: BrowserContext, service: Service) -> Page:
    page = context.new_page()
    page.goto(f"{service.url}/review")
    return page


def test_two_people_decide_by_keys_and_never_about_the_same(
    contexts: Callable[..., BrowserContext], holding: Service, tmp_path: Path
) -> None:
    """Each sees another file, and why; A keeps it, R with a reason refuses it, N leaves it."""
    (tmp_path / "note.txt").write_text("Words to decide about.\n" * 20)
    first = hold(holding, picture(tmp_path / "statue.png"))
    second = hold(holding, tmp_path / "note.txt")
    ann, bob = (desk(contexts(faulty=True), holding) for _ in range(2))
    expect(ann.get_by_role("heading", name="statue.png")).to_be_focused()
    expect(ann.get_by_alt_text("The picture to decide about")).to_be_visible()
    expect(ann.locator("#reasons")).to_contain_text("One frame may show skin. · frame 3")
    expect(ann.locator("#count")).to_have_text("2 waiting")
    expect(bob.get_by_role("heading", name="note.txt")).to_be_visible()
    expect(bob.get_by_role("region", name="The text to decide about")).to_contain_text("Words to")
    ann.keyboard.press("n")  # nothing else is free: it comes back
    expect(ann.get_by_role("heading", name="statue.png")).to_be_focused()
    bob.keyboard.press("r")
    expect(bob.get_by_label("Reason")).to_be_focused()
    bob.keyboard.type("Not an ad board.")
    bob.keyboard.press("Enter")
    expect(bob.locator("#nothing")).to_have_text("Nothing waits for you.")
    error = end_of(holding, second)["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["detail"]) == ("moderation_refused", "Not an ad board.")
    ann.keyboard.press("a")
    expect(ann.locator("#nothing")).to_have_text("Nothing waits for you.")
    assert end_of(holding, first)["status"] == "complete"


def test_an_uploader_sees_that_a_person_looks(
    contexts: Callable[..., BrowserContext], holding: Service, tmp_path: Path
) -> None:
    """Page and panel say so, without a percent that stands still; the reason comes at the end."""
    page = contexts().new_page()
    page.goto(f"{holding.url}/")
    page.set_input_files("#files", picture(tmp_path / "mine.png"))
    words = "Waiting for a person to look at it"
    expect(card(page, "mine.png")).to_contain_text(words)
    expect(card(page, "mine.png").locator(".badge")).to_have_text("In review")
    expect(entry(page, "mine.png").locator(".stage")).to_have_text(words)
    reviewer = desk(contexts(), holding)
    reviewer.get_by_label("Reason").fill("No pictures of walls.")
    reviewer.get_by_role("button", name="Refuse").click()
    phase(card(page, "mine.png"), "refused")
    expect(card(page, "mine.png")).to_contain_text("No pictures of walls.")


@pytest.mark.parametrize(
    ("locale", "refuse", "reason"),
    [
        ("de-DE", "Ablehnen", "Grund"),
        ("es-MX", "Rechazar", "Motivo"),
        ("fr-FR", "Refuser", "Motif"),
    ],
)
def test_a_reviewer_reads_his_own_language(
    contexts: Callable[..., BrowserContext],
    holding: Service,
    tmp_path: Path,
    locale: str,
    refuse: str,
    reason: str,
) -> None:
    """With an upload and without, nothing of the page is left in English; the keys are the same."""
    upload_id = hold(holding, picture(tmp_path / "wall.png"))
    page = desk(contexts(locale=locale), holding)
    expect(page.get_by_role("heading", name="wall.png")).to_be_focused()
    expect(page.get_by_role("button", name=refuse)).to_be_visible()
    expect(page.get_by_label(reason)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    shown = page.locator("body").inner_text().replace("One frame may show skin.", "")
    page.keyboard.press("a")
    expect(page.locator("#nothing")).to_be_visible()
    shown += page.locator("body").inner_text()
    assert not re.search(r"\b(the|Review|Approve|Reason|Next|waits|waiting|from)\b", shown), shown
    assert end_of(holding, upload_id)["status"] == "complete"


def test_no_violation_on_the_review_page(
    contexts: Callable[..., BrowserContext], holding: Service, tmp_path: Path
) -> None:
    """With an upload and without, light, dark, wide, narrow; single keys can be turned off."""
    upload_id = hold(holding, picture(tmp_path / "wall.png"))
    page = desk(contexts(), holding)
    expect(page.get_by_alt_text("The picture to decide about")).to_be_visible()
    check_accessible(page)
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="wall.png")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#nothing")).to_be_visible()
    check_accessible(page)
    assert end_of(holding, upload_id)["status"] == "complete"


def check_accessible(page: Page) -> None:
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations_in_both_schemes(page) == []
