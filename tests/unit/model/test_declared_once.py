"""What several places have to spell, held to the one that declares it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import sse_progress
from sse_progress.client import shapes
from sse_progress.client.pace import Pace
from sse_progress.model.errors import PROBLEMS, Rejected
from sse_progress.model.events import Error, Event
from sse_progress.model.ids import UPLOAD_ID_PATTERN
from sse_progress.model.media import DerivedFile, Media
from sse_progress.model.stage_api import Upload
from sse_progress.model.stage_table import DEFAULT_TABLE, percent
from sse_progress.settings import Settings
from sse_progress.worker.result import media_of

PACKAGE = Path(sse_progress.__file__).parent
ROOT = PACKAGE.parent
TYPES = (PACKAGE / "browser/client/index.d.ts").read_text()


def declared(interface: str) -> set[str]:
    """Members of an interface in the npm package's types."""
    whole = re.compile(rf"^export interface {interface}\b[^{{]*\{{\n(.*?)^\}}", re.M | re.S)
    (body,) = whole.findall(TYPES)
    return set(re.findall(r"^  (?:readonly )?(\w+)\??:", body, re.M))


def wire(shape: type[msgspec.Struct]) -> set[str]:
    return set(shape.__struct_encode_fields__)


def test_the_clients_event_is_the_journals() -> None:
    """The types of the npm package name each field of an event."""
    assert declared("ProgressEvent") == wire(Event)


def test_a_state_is_an_events_fields_and_a_status() -> None:
    """The Python client's state has these, what the file is, and when it was so; no other field."""
    about = {"size", "contentType", "fields", "title", "queuePosition", "live", "asOf"}
    assert wire(shapes.State) == wire(Event) - {"type"} | {"status"} | about


@pytest.mark.parametrize(
    ("interface", "theirs", "ours"),
    [("Media", shapes.Media, Media), ("MediaFile", shapes.StoredFile, DerivedFile)],
)
def test_the_clients_media_is_the_services(
    interface: str, theirs: type[msgspec.Struct], ours: type[msgspec.Struct]
) -> None:
    """`media` and its files have the same members in both clients as in the described schema."""
    assert wire(theirs) == wire(ours) == declared(interface)


def test_what_is_published_is_the_described_media() -> None:
    """The object that a worker makes has the schema's members, all of them."""
    upload = Upload(
        id="up", path="", scratch="", filename="a.png", claimed_type="image/png", size=1,
        sha256="", created_at="2026-01-01T00:00:00.000Z", fields={},
    )  # fmt: skip
    media = media_of(upload, prefix="")
    assert set(media) == wire(Media)


def test_an_error_has_the_same_members_everywhere() -> None:
    """Code, detail and stage."""
    assert declared("UploadFailure") == wire(Error)


def test_the_upload_id_pattern_is_spelled_in_one_python_module() -> None:
    """Texts and the description take it from there; the npm package's comment agrees."""
    spelled = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "A-Za-z0-9_.~-" in path.read_text()
    }
    assert spelled == {"model/ids.py"}
    assert UPLOAD_ID_PATTERN in TYPES


def _members(types: str, interface: str) -> set[str]:
    body = re.search(rf"interface {interface} {{(.*?)^}}", types, re.DOTALL | re.MULTILINE)
    assert body, interface
    return set(re.findall(r'^  "?([\w-]+)"?\??: ', body[1], re.MULTILINE))


@pytest.mark.parametrize(("name", "element"), [("panel", "UploadPanel"), ("drop", "UploadDrop")])
def test_the_types_of_an_element_tell_its_attributes_and_events(name: str, element: str) -> None:
    """Those that its code and its style have, which the reference is made from."""
    code, style, types = (
        (PACKAGE / f"browser/client/{name}{end}").read_text()
        for end in (".js", "/style.js", ".d.ts")
    )
    read = re.findall(r'(?:get|has|toggle)Attribute\("([\w-]+)"', code)
    read += re.findall(r":host\(\[([\w-]+)=", style)
    assert set(read) == _members(types, f"{element}Attributes")
    sent = set(re.findall(r'new CustomEvent\("(\w+)"', code))
    assert sent == (_members(types, f"{element}Events") if sent else set())


@pytest.mark.parametrize(
    ("name", "element", "heading"),
    [("panel", "UploadPanel", "The panel"), ("drop", "UploadDrop", "The drop area")],
)
def test_the_readme_of_the_npm_package_names_all_of_an_element(
    name: str, element: str, heading: str
) -> None:
    """Its attributes, properties, events and custom properties, and no other."""
    readme = (PACKAGE / "browser/README.md").read_text()
    types = (PACKAGE / f"browser/client/{name}.d.ts").read_text()
    style = (PACKAGE / f"browser/client/{name}/style.js").read_text()
    section = re.split(r"^## ", readme.partition(f"\n## {heading}\n")[2], flags=re.M)[0]
    text = re.sub(r"\([^)]*\)", "", section)  # what is said of one

    def listed(begin: str) -> set[str]:
        sentence = re.search(rf"{begin}(.*?)\.\s", text, re.DOTALL)
        names = re.sub(r"with `[^`]*`", "", sentence[1]) if sentence else ""
        return set(re.findall(r"`([\w-]+)`", names))

    body = re.search(rf"class {element} .*?{{(.*?)^}}", types, re.DOTALL | re.MULTILINE)
    assert body
    assert listed("Attributes: ") == _members(types, f"{element}Attributes")
    assert listed("Properties: ") == set(re.findall(r"^  (\w+): ", body[1], re.MULTILINE))
    events = _members(types, f"{element}Events") if f"{element}Events" in types else set()
    assert listed("Events: ") == events
    properties = set(re.findall(rf"var\(--upload-{name}-([\w-]+)", style))
    assert listed(f"`--upload-{name}-` followed by") == properties


def test_every_entry_point_of_the_npm_package_has_its_reference() -> None:
    """A page for each, listed on the site."""
    package = json.loads((PACKAGE / "browser/package.json").read_text())
    pages = {
        name.removeprefix("./").replace(".", "browser")
        for name in package["exports"]
        if name != "./package.json"
    }
    listed = (ROOT / "mkdocs.yml").read_text()
    for page in pages:
        assert (ROOT / f"docs/reference/{page}.md").exists(), page
        assert f": reference/{page}.md" in listed, page


def test_what_is_generated_is_current() -> None:
    """The browser's constants, and the Python client for threads, are what their sources make."""
    run = subprocess.run(
        [sys.executable, "scripts/generated.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_browser_counts_percents_as_the_service_does() -> None:
    """The whole percent of each stage at each of its percents, in JavaScript and in Python."""
    script = """
        import { STAGES, percent } from "./sse_progress/browser/client/state/stages.js";
        const row = ({ name }) => Array.from({ length: 101 }, (_, at) => percent(name, at));
        console.log(JSON.stringify(Object.fromEntries(STAGES.map((s) => [s.name, row(s)]))));
    """
    run = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(run.stdout) == {
        name: [percent(name, at) for at in range(101)] for name in DEFAULT_TABLE
    }


def test_a_problem_is_about_the_file_or_not() -> None:
    """Only what the same file would meet again counts as a refusal of the file."""
    about = {problem.code for problem in PROBLEMS if problem.about_file}
    assert about == {"too_large", "stage_timeout"}
    assert Rejected("of_some_stage").about_file


def test_the_clients_know_the_heartbeat_of_the_service() -> None:
    """The Python client's patience is counted in heartbeats of the service."""
    assert Pace().heartbeat_s == Settings.heartbeat_s
