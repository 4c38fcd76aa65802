"""`<upload-drop>` in Chromium: ways to give files, what is refused early, fields, and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.gates import Gates
from tests.browser.test_accessibility import violations
from tests.browser.users import User
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

EMBED = """
async ({ attributes, fields, rules }) => {
  const [{ Client }] = await Promise.all([import("./client/index.js"), import("./client/drop.js")]);
  window.client = new Client({ url: "." });
  if (rules) window.client.rules = async () => rules;
  window.sent = [];
  const drop = document.createElement("upload-drop");
  for (const name of attributes) drop.toggleAttribute(name, true);
  drop.client = window.client;
  drop.context = { courseId: "c1" };
  if (fields) drop.fields = fields;
  drop.addEventListener("uploads", ({ detail }) => window.sent.push(detail));
  drop.addEventListener("refused", ({ detail }) => {
    window.refused = detail.map(({ file, refusal }) => [file.name, refusal.code]);
  });
  const title = document.createElement("h1");
  title.textContent = "Files";
  document.querySelector("main").replaceChildren(title, drop);
}
"""
DROP = """
(drop, { text }) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], "one.txt", { type: "text/plain" }));
  transfer.items.add(new File([text], "two.txt", { type: "text/plain" }));
  const area = drop.shadowRoot.querySelector(".area");
  const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  area.dispatchEvent(event);
}
"""
NAMES = "sent.flatMap(({ uploads }) => uploads.map(({ state }) => state.filename)).sort()"


@pytest.fixture
def page(faulty: BrowserContext, paced: Service) -> Page:
    page = faulty.new_page()
    page.goto(f"{paced.url}/api")
    expect(page.locator("#document")).to_have_attribute("aria-busy", "false")
    return page


def embed(page: Page, *attributes: str, **options: Any) -> None:
    page.evaluate(EMBED, {"attributes": attributes, **options})


def test_files_come_by_picker_folder_drop_and_paste(
    page: Page, gates: Gates, tmp_path: Path
) -> None:
    """Each way gives the files themselves, folders those within, hidden ones left out."""
    gates.open_all()
    embed(page, "folders", "paste")
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    text = gates.file("any.txt").read_text()
    for name in ("three.txt", "inner/four.txt"):
        (folder / name).write_text(text)
    page.set_input_files("upload-drop .tree", folder)
    wait_until(lambda: page.evaluate(NAMES) == ["four.txt", "three.txt"], "the folder's files")
    page.locator("upload-drop").evaluate(DROP, {"text": text})
    page.set_input_files("upload-drop .picker", gates.file("five.txt"))
    page.evaluate(
        """(text) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([text], "six.txt"));
          const event = new ClipboardEvent("paste", { clipboardData, bubbles: true });
          document.body.dispatchEvent(event);
        }""",
        text,
    )
    names = sorted(f"{name}.txt" for name in ("one", "two", "three", "four", "five", "six"))
    wait_until(lambda: page.evaluate(NAMES) == names, "all of them")


def test_what_the_service_would_refuse_is_not_sent(page: Page, gates: Gates) -> None:
    """Files of another kind, large and empty ones: refused in words, with what is accepted."""
    rules = {"maxUploadBytes": 2_000_000, "acceptedTypes": ["image/*", "text/plain"]}
    embed(page, rules=rules)
    expect(page.locator("upload-drop .hint")).to_have_text(
        "Pictures and documents, up to 2 MB each"
    )
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    files = [
        {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": b"x"},
        {"name": "large.txt", "mimeType": "text/plain", "buffer": b"x" * 2_000_001},
        {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""},
    ]
    page.set_input_files("upload-drop .picker", files)  # type: ignore[arg-type]
    refused = page.locator("upload-drop .refused li")
    expect(refused).to_have_text(
        [
            "clip.mp4 is of a kind that is not accepted. "
            "Accepted: Pictures and documents, up to 2 MB each.",
            "large.txt is larger than 2 MB.",
            "empty.txt is empty.",
        ]
    )
    assert page.evaluate("refused.map(([, code]) => code)") == [
        "rejected_type",
        "too_large",
        "empty_file",
    ]
    assert "POST" not in sent
    assert violations(page) == []


def test_staged_files_have_previews_and_fields(
    page: Page, paced: Service, user: User, gates: Gates
) -> None:
    """By keyboard: fill in, remove one, send; what was filled in is kept with each file."""
    gates.open_all()
    embed(page, fields=[{"name": "title", "label": "Title", "required": True}])
    page.set_input_files("upload-drop .picker", [gates.file("a.txt"), gates.file("b.txt")])
    fields = page.get_by_label("Title")
    expect(fields.first).to_be_focused()
    page.keyboard.type("The sea")
    page.get_by_role("button", name="Remove b.txt").press("Enter")
    expect(page.get_by_role("button", name="Remove a.txt")).to_be_focused()
    assert violations(page) == []
    page.get_by_role("button", name="Send 1 file").press("Enter")
    wait_until(lambda: page.evaluate("sent.length") == 1, "it is sent")
    expect(page.locator("upload-drop .staged")).to_be_hidden()
    page.evaluate("sent[0].uploads[0].done")
    found = httpx.get(f"{paced.url}/uploads", headers=user.headers).json()["uploads"]
    assert [one["filename"] for one in found] == ["a.txt"]
    assert found[0]["media"]["fields"] == {"title": "The sea"}
    assert found[0]["context"] == {"courseId": "c1"}


def test_several_files_are_a_batch(page: Page, paced: Service, user: User, gates: Gates) -> None:
    """One to follow: its counts, its end whatever the items came to, from another page too."""
    embed(page, "batch")
    files = [gates.file(f"{n}.txt") for n in range(3)]
    page.set_input_files("upload-drop .picker", files)
    wait_until(lambda: page.evaluate("sent.length") == 1, "they are sent")
    batch_id = page.evaluate("sent[0].batch.id")
    page.evaluate("(id) => { window.followed = client.followBatch(id); }", batch_id)
    items = "followed.state.items"
    wait_until(lambda: page.evaluate(items)["running"] == 3, "all of them have joined")
    page.evaluate("sent[0].uploads[0].cancel()")
    gates.open_all()
    state = page.evaluate("followed.done")
    assert state == page.evaluate("sent[0].batch.done")
    assert state["items"] == {"total": 3, "complete": 2, "error": 0, "cancelled": 1, "running": 0}
    assert (state["stage"], state["progress"], state["ended"]) == ("complete", 100, True)
    url = f"{paced.url}/batches/{batch_id}"
    assert httpx.get(url, headers=user.headers).json()["items"] == state["items"]
    page.evaluate("client.createBatch({ title: 'Two' }).then((made) => { window.made = made; })")
    wait_until(lambda: page.evaluate("typeof made") == "object", "it is made")
    gates.close_all()
    text = files[0].read_text()
    page.evaluate(
        "(text) => void client.upload(new File([text], 'z.txt'), { batch: made.id })", text
    )
    wait_until(lambda: page.evaluate("made.state.items.running") == 1, "one has joined")
    page.evaluate("made.cancel()")
    assert page.evaluate("made.done")["stage"] == "cancelled"
    refused = (
        "client.upload(new File(['x'], 'y.txt'), { batch: made.id }).done.catch((e) => e.code)"
    )
    assert page.evaluate(refused) == "batch_closed"
