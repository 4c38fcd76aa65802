"""Built-in sentences have keys; what anybody else says has none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sse_progress
from sse_progress.model.events import Draft, decode_json
from sse_progress.model.message_keys import SENTENCES, key_of

ARGS = {"done": "12", "total": "310", "size": "3.4 MB", "seconds": "5"}
ARGS |= {"bytes": "2.1", "width": "640", "height": "480"}


@pytest.mark.parametrize("key", sorted(SENTENCES))
def test_a_sentence_is_found_by_its_words(key: str) -> None:
    """With what it was filled with, whatever its place in the table."""
    found = key_of(SENTENCES[key].format(**ARGS))
    assert found is not None
    assert found[0] == key
    assert SENTENCES[key].format(**found[1]) == SENTENCES[key].format(**ARGS)


FILLINGS = ("12", "image/png", "2.1 of 5.0 MB", "", "s", " of 12", "frame", "key frame", "page")


def _told(tree: ast.AST) -> Iterator[ast.expr]:
    """The sentences of a module: what is given to a `report`, or named `message` before."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("report"):
            yield from node.args[1:2]
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "message":
            yield node.value


def _has_key(said: ast.expr) -> bool:
    if isinstance(said, ast.Constant):
        return key_of(str(said.value)) is not None
    if not isinstance(said, ast.JoinedStr):
        return True  # found where it is made
    parts = [
        (str(part.value),) if isinstance(part, ast.Constant) else FILLINGS for part in said.values
    ]
    if ast.unparse(said).startswith("f'{self._message}"):
        parts[0] = ("Inflating entry 1 of 3",)
    return any(key_of("".join(words)) for words in product(*parts))


def test_what_built_in_stages_say_has_a_key() -> None:
    """Each sentence in their source, filled with what may stand there."""
    stages = Path(sse_progress.__file__).parent / "stages"
    said = [
        (path.name, one)
        for path in stages.rglob("*.py")
        for one in _told(ast.parse(path.read_text()))
    ]
    assert len(said) > 40
    assert [f"{name}: {ast.unparse(one)}" for name, one in said if not _has_key(one)] == []


@given(st.text(max_size=80))
@example(".")
@example("1.2.3")
def test_what_is_filled_in_is_a_number_or_a_size(text: str) -> None:
    """No file name or other text gets into the arguments."""
    found = key_of(f"Reading {text} of 3")
    if found is not None:
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)?( (bytes|[kMGT]B))?", found[1]["done"])


@pytest.mark.parametrize("locale", ["de", "es", "fr"])
def test_every_sentence_has_a_translation(locale: str) -> None:
    """In the browser's locales, with the same holes, and no other."""
    path = Path(sse_progress.__file__).parent / f"browser/client/text/locales/{locale}.js"
    (table,) = re.findall(r"^  message: \{\n(.*?)^  \},", path.read_text(), re.M | re.S)
    told = dict(re.findall(r'^    "?([\w.]+)"?:\s+"(.*)",$', table, re.M))
    holes = re.compile(r"\{\w+\}")
    assert {key: set(holes.findall(text)) for key, text in told.items()} == {
        key: set(holes.findall(text)) for key, text in SENTENCES.items()
    }


def test_events_carry_the_key_and_its_arguments() -> None:
    """And none where the sentence is a plug-in's own."""

    def told(message: str) -> dict[str, object]:
        head, middle, tail, _ = Draft(
            stage="analyzing", stage_progress=5, message=message
        ).fragments("u")
        event = decode_json(head + b"5" + middle + b'"' + tail)
        return {name: event[name] for name in event if name.startswith("message")}

    frame = "Decoding frame 12 of 310"
    args = {"done": "12", "total": "310"}
    assert told(frame) == {"message": frame, "messageKey": "decoding.frame", "messageArgs": args}
    done = "Content analysis is done"
    assert told(done) == {"message": done, "messageKey": "end.analyzing"}
    assert told("Counting sheep") == {"message": "Counting sheep"}
