"""The commands in the reader's language: which one that is, and that nothing is missing in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sse_progress.cli
from sse_progress.cli.sentences import LANGUAGES, SENTENCES
from sse_progress.cli.words import FAMILIES, STATUSES, Words, language_of
from sse_progress.client import Event
from tests.client_driver import bounded  # noqa: F401
from tests.fake_service import REFUSED, STORY, FakeService, event
from tests.unit.cli.test_upload_and_watch import ESCAPES, screen_of

pytestmark = pytest.mark.usefixtures("bounded")

MALWARE = "In der Datei wurde Schadsoftware gefunden (malware)"
GERMAN = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "de_DE.UTF-8"}


@pytest.mark.parametrize(
    ("environment", "encoding", "language"),
    [
        ({"LANG": "de_DE.UTF-8"}, "utf-8", "de"),
        ({"LANG": "es"}, "UTF-8", "es"),
        ({"LANG": "fr_CA.UTF-8", "LC_MESSAGES": ""}, "utf-8", "fr"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, "utf-8", "fr"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8"}, "utf-8", "en"),
        ({"LANG": "pt_BR.UTF-8"}, "utf-8", "en"),
        ({"LANG": "de_DE.ISO-8859-1"}, "iso8859-1", "en"),
        ({}, None, "en"),
    ],
)
def test_the_environment_names_the_language(
    environment: dict[str, str], encoding: str | None, language: str
) -> None:
    """As for other programs; English where there are no texts, or no room for their letters."""
    assert language_of(environment, encoding) == language


def _said(tree: ast.AST) -> set[str]:
    """What is given to `say`, or named `sentence` before."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("say") and node.args:
            found |= {one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)}
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "sentence":
            found |= {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
    return {text for text in found if isinstance(text, str)}


def test_every_sentence_has_its_translations() -> None:
    """With the same holes in each language; what is said by a name has them as well."""
    said = set().union(
        *(
            _said(ast.parse(path.read_text("utf-8")))
            for path in Path(sse_progress.cli.__file__).parent.glob("*.py")
        )
    )
    by_name = {"reconnecting", "polling", "approved", "review", "deleted", *STATUSES, *FAMILIES}
    assert said | by_name == set(SENTENCES)
    for sentence, translated in SENTENCES.items():
        holes = sorted(re.findall(r"\{\w+\}", sentence))
        for text in translated:
            assert sorted(re.findall(r"\{\w+\}", text)) == holes, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_service_s_sentences_are_those_of_the_browser(language: str) -> None:
    """Stages, events and errors by their keys; numbers as they are written there."""
    words = Words(language)
    told = Event(
        type="progress",
        upload_id="u",
        message="Decoding frame 3 of 7",
        message_key="decoding.frame",
        message_args={"done": "3", "total": "7"},
    )
    assert re.search(r"\b3\b.*\b7\b", words.message(told))
    assert words.message(told) != told.message
    assert words.stage("validating") != "validating"
    assert words.stage("subtitles") == "subtitles"
    assert words.stage("error") != "error"
    assert words.status("processing") != "processing"
    assert words.status("paused") == "paused"
    assert words.media_type("video/mp4") in ("Video", "vídeo", "vidéo")
    assert words.media_type("application/pdf") == ""
    assert words.error("malware", "x") != "x"
    assert words.error("of_a_plugin", "x") == "x"
    assert words.size(3_400_000) == ("3,4 Mo" if language == "fr" else "3,4 MB")


def test_a_place_in_the_queue_is_told_in_words() -> None:
    """With its ordinal, and about when the turn comes, or that nothing is known of it."""
    english = [Words("en").place(n) for n in (1, 2, 3, 4, 11, 13, 21, 112)]
    assert english == [
        "next in line", "2nd in line", "3rd in line", "4th in line",
        "11th in line", "13th in line", "21st in line", "112th in line",
    ]  # fmt: skip
    assert [Words(one).place(3) for one in LANGUAGES] == [
        "an 3. Stelle", "3.º en cola", "3e de la file",
    ]  # fmt: skip
    times = (None, 0, 59, 60, 130, 5_300, 7_200)
    assert [Words("en").starts(one) for one in times] == [
        "no estimate", "under a minute", "under a minute", "about 1 min", "about 2 min",
        "about 88 min", "about 2 h",
    ]  # fmt: skip
    assert Words("de").starts(130) == "etwa 2 Min."


def test_a_german_terminal(tmp_path: Path) -> None:
    """Stage, words, numbers and the end of an upload are German; so is why one was refused."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(bytes(300))
    key = {"messageKey": "decoding.frame", "messageArgs": {"done": "3", "total": "7"}}
    story = [*STORY[:7], event("analyzing", 38, message="Decoding frame 3 of 7", **key), *STORY[8:]]
    upload = ("upload", "--url")
    with FakeService(story, gate=3, cancel_gate=8) as service:
        code, written = screen_of(
            *upload, service.url, photo, columns=150, env=GERMAN, when=(" 45%", service.let_go)
        )
    assert code == 0
    text = ESCAPES.sub("", written)
    assert re.search(r"photo\.jpg +Wird untersucht +.* 45% .*Bild 3 von 7 wird entpackt", text)
    assert "✓ photo.jpg Bild, 3 Bytes, freigegeben, nicht geprüft: malware" in text
    with FakeService(REFUSED, gate=3) as service:
        code, written = screen_of(*upload, service.url, photo, columns=150, env=GERMAN)
    assert code == 1
    assert "✗ photo.jpg In der Datei wurde Schadsoftware gefunden (malware)." in ESCAPES.sub(
        "", written
    )
    code, written = screen_of("upload", tmp_path / "gone", env=GERMAN)
    assert (code, written.strip()) == (2, f"Diese Datei gibt es nicht: {tmp_path / 'gone'}")


def test_the_list_in_german() -> None:
    """Each upload's status, size and failure are German, in columns; nothing moves the cursor."""
    with FakeService() as service:
        size = {"filename": "notes.txt", "size": 23_500, "progress": 40}
        failure = {"code": "malware", "detail": "The file holds malware.", "stage": "validating"}
        service.page["uploads"] = [
            {"uploadId": "a", "status": "processing", **size},
            {"uploadId": "b", "status": "error", **size, "error": failure},
            {"uploadId": "c", "status": "of_a_later\x1b[2Jrelease", **size},
        ]
        code, written = screen_of("list", "--url", service.url, env=GERMAN)
        _, as_json = screen_of("list", "--json", "--url", service.url, env=GERMAN)
        _, english = screen_of("list", "--url", service.url, env={**GERMAN, "LANG": "C.UTF-8"})
    columns = [re.split(r" {2,}", line) for line in written.splitlines()]
    assert (code, columns[:2]) == (
        0,
        [
            ["a", "in Arbeit", "40 %", "23,5 kB", "notes.txt"],
            ["b", "fehlgeschlagen", "40 %", "23,5 kB", "notes.txt", MALWARE],
        ],
    )
    assert len({line.index(" 40 %") for line in written.splitlines()[:2]}) == 1
    assert "\x1b" not in written
    assert '"status":"processing"' in as_json
    assert english.splitlines()[1].split("  ")[-1] == "The file holds malware (malware)"


def test_the_history_in_german() -> None:
    """Each event's stage and sentence are German, and so is why the upload was refused."""
    key = {"messageKey": "decoding.frame", "messageArgs": {"done": "3", "total": "7"}}
    story = [event("analyzing", 38, message="Decoding frame 3 of 7", **key), REFUSED[-1]]
    with FakeService(story) as service:
        code, written = screen_of("history", "u", "--url", service.url, env=GERMAN)
    columns = [re.split(r" {2,}", line)[-2:] for line in written.splitlines()]
    assert (code, columns) == (
        0,
        [
            ["Wird untersucht", "Bild 3 von 7 wird entpackt"],
            ["Fehlgeschlagen", MALWARE.removesuffix(" (malware)") + "."],
        ],
    )
