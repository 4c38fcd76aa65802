"""What was not checked, in the reader's language: the sentences of the built-in stages."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

import sse_progress
from sse_progress.cli.sentences import LANGUAGES
from sse_progress.cli.words import Words

PACKAGE = Path(sse_progress.__file__).parent
STAGES = PACKAGE / "stages"
TELLING = (
    "moderation.py", "validation.py", "scans/*.py", "services/*.py", "formats/clips/clip_checks.py",
    "formats/clips/clip_streams.py", "formats/clips/clips.py", "formats/documents/office.py",
    "formats/documents/pdfs.py",
)  # fmt: skip
"""Modules whose notes come into `moderation.notChecked`."""
LISTS = re.compile(r"\b(not_checked|not_taken|notes)\b")
FUNCTIONS = ("unread_text", "unlisted", "late_streams", "_compare", "check_pdf")
CONSTANTS = ("MISSING", "NO_PROFANITY_FILTER", "NO_MAIN", "NO_MAIN_PART", "SEALED", "note")
FILLINGS = (
    "12", "0.5", "PDF document", "malware scan by clamd", "pictures (none could be decoded)",
    "video track", "sound track", "cover picture", "encrypted",
)  # fmt: skip


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    ):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Call):  # such as `results.get("notChecked")`
            yield from _strings(child)


def _notes(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="append"), args=args) if (
                LISTS.search(ast.unparse(value))
            ):
                yield from (found for arg in args for found in _strings(arg))
            case ast.keyword(arg="not_checked", value=value):
                yield from _strings(value)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "notChecked":
                        yield from _strings(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in CONSTANTS:
                yield from _strings(value)
            case ast.FunctionDef(name=name) if name in FUNCTIONS:
                for told in ast.walk(node):
                    if isinstance(told, ast.Return) and told.value is not None:
                        value = told.value
                        yield from _strings(
                            value.elts[-1] if isinstance(value, ast.Tuple) else value
                        )


def _filled(note: ast.expr) -> Iterator[str]:
    if isinstance(note, ast.Constant):
        yield str(note.value)
        return
    assert isinstance(note, ast.JoinedStr)
    parts = [
        (str(part.value),) if isinstance(part, ast.Constant) else FILLINGS for part in note.values
    ]
    yield from ("".join(words) for words in product(*parts))


def _told() -> list[ast.expr]:
    paths = [path for pattern in TELLING for path in STAGES.glob(pattern)]
    return [one for path in paths for one in _notes(ast.parse(path.read_text("utf-8")))]


SKIPPED = re.findall(
    r'(?:entry\.skipped|DAMAGED) = "(.+)"',
    (STAGES / "formats/documents/archives.py").read_text("utf-8"),
)
EXAMPLES = [
    *(f"{unit} 2 (its codec xyz is not accepted here)" for unit in FILLINGS[5:8]),
    *(f"3 entries ({why})" for why in SKIPPED),
    "words beyond page 200, by moderation at api.example",
    "words (nothing here reads this file (application/x-elf))",
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_built_in_stages_could_not_check_has_a_translation(language: str) -> None:
    """Each note in their source, filled with what may stand there; any other stays as it is."""
    words = Words(language)

    def is_translated(note: str) -> bool:
        said = words.unchecked(note)
        return said != note and "{" not in said

    told = _told()
    assert len(told) > 25
    missing = [ast.unparse(one) for one in told if not any(map(is_translated, _filled(one)))]
    assert missing == []
    assert len(SKIPPED) == 4
    assert [one for one in EXAMPLES if not is_translated(one)] == []
    assert words.unchecked("ink of a plug-in") == "ink of a plug-in"


def test_page_and_commands_say_it_alike() -> None:
    """The page finds a sentence as the commands do, down to what fills it."""
    script = """
        import { uncheckedText } from "./sse_progress/browser/page/unchecked.js";
        const [languages, notes] = JSON.parse(process.argv[1]);
        const said = (language) => notes.map((note) => uncheckedText(note, language));
        console.log(JSON.stringify(languages.map(said)));
    """
    notes = ["ink", *EXAMPLES, *(next(_filled(one)) for one in _told())]
    run = subprocess.run(
        ["node", "--input-type=module", "-e", script, "--", json.dumps([LANGUAGES, notes])],
        cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(run.stdout) == [list(map(Words(one).unchecked, notes)) for one in LANGUAGES]
    german = Words("de").unchecked(EXAMPLES[-2])
    assert german == "Wörter nach Seite 200, durch moderation at api.example"
