"""Documents, archives and texts broken in many ways: each ends as a refusal or as a result.

Real files of every accepted kind are mutated (bits turned, cut, parts swapped or doubled) and go
through the real stages. What they may not do is raise anything else: that would be an `internal`.
"""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sse_progress.model.errors import Rejected
from tests.helpers.media import jpeg, noise
from tests.media_samples import docx, epub, odt, pdf, xlsx
from tests.unit.stages.helpers import DATA, Desk, through
from tests.unit.stages.test_archives import zipped
from tests.unit.stages.test_screening import compound, package, pdf_with

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody is surprised by it. "
FILES: dict[str, Callable[[], bytes]] = {
    "word-online.docx": (DATA / "documents/word-online-document2.docx").read_bytes,
    "attached.pdf": (DATA / "documents/attached-xlsx.pdf").read_bytes,
    "hybrid.pdf": (DATA / "documents/hybrid-libreoffice.pdf").read_bytes,
    "plain.pdf": lambda: pdf([ENGLISH] * 3),
    "pinned.pdf": lambda: pdf_with(xlsx("x"), pinned=True),
    "object.docx": lambda: docx(
        ENGLISH, more={"word/embeddings/o.bin": compound({"\x01Ole10Native": package(b"x" * 99)})}
    ),
    "book.xlsx": lambda: xlsx(*[ENGLISH] * 50),
    "text.odt": lambda: odt(*[ENGLISH] * 50),
    "book.epub": lambda: epub(*[ENGLISH] * 20),
    "deflated.zip": lambda: zipped({"a.txt": ENGLISH.encode() * 50, "b.jpg": jpeg(32, 32)}),
    "bzip2.zip": lambda: zipped({"a.txt": ENGLISH.encode() * 50}, zipfile.ZIP_BZIP2),
    "lzma.zip": lambda: zipped({"a.txt": ENGLISH.encode() * 50}, zipfile.ZIP_LZMA),
    "nested.zip": lambda: zipped({"a.docx": docx(ENGLISH), "b.zip": zipped({"c": noise(900)})}),
    "plain.txt": lambda: bytes(ENGLISH * 20 + "größer, höher, weiter\n", "utf-8"),
    "utf16.txt": lambda: (ENGLISH * 20).encode("utf-16"),
    "latin.txt": lambda: (ENGLISH * 20 + "größer, höher, weiter\n").encode("latin-1"),
    "japanese.csv": lambda: ("名前,住所\n山田太郎,東京都千代田区\n" * 20).encode("shift_jis"),
    "table.csv": lambda: b'id;name;"a;b"\n' + b'1;"x\ny";2,5\n' * 60,
    "data.json": lambda: msgspec.json.encode({"a": [ENGLISH] * 9, "b": {"c": [1.5, None]}}),
    "readme.md": (Path(__file__).parents[3] / "README.md").read_bytes,
}
ENTRIES = ("docx", "xlsx", "odt", "epub", "zip")


def turned(data: bytes, chance: random.Random) -> bytes:
    """Some bits turned over."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def cut(data: bytes, chance: random.Random) -> bytes:
    """A piece missing, or the end."""
    begin = chance.randrange(1, len(data))
    end = len(data) if chance.random() < 0.5 else min(begin + chance.randrange(1, 400), len(data))
    return data[:begin] + data[end:]


def swapped(data: bytes, chance: random.Random) -> bytes:
    """Two pieces of the same length in each other's place."""
    length = chance.randrange(1, max(len(data) // 4, 2))
    first = chance.randrange(max(len(data) // 2 - length, 1))
    second = chance.randrange(len(data) // 2, max(len(data) - length, len(data) // 2 + 1))
    a, b = data[first : first + length], data[second : second + length]
    return data[:first] + b + data[first + length : second] + a + data[second + length :]


def filled(data: bytes, chance: random.Random) -> bytes:
    """A piece overwritten by zeros, by ones or by another part of the file."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 200)
    other = chance.randrange(len(data))
    piece = chance.choice((bytes(length), b"\xff" * length, data[other : other + length]))
    return data[:at] + piece + data[at + len(piece) :]


def parts(data: bytes, chance: random.Random) -> bytes:
    """A whole archive whose entries have been exchanged, dropped or broken inside."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = chance.randrange(len(members))
    name, content = members[at]
    other = chance.choice(members)[1]
    mutate = chance.choice((turned, cut, filled))
    members[at] = (name, chance.choice((other, b"", mutate(content or b"x", chance))))
    if chance.random() < 0.2:
        members.pop(chance.randrange(len(members)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def mutants(name: str, count: int) -> Iterator[bytes]:
    chance = random.Random(name)
    data = FILES[name]()
    ways = [turned, cut, swapped, filled]
    if name.rpartition(".")[2] in ENTRIES:
        ways += [parts, parts]
    for number in range(count):
        yield ways[number % len(ways)](data, chance) or b"x"


@pytest.mark.parametrize("name", FILES)
def test_no_damage_ends_in_a_failure_of_ours(
    desk: Desk, name: str, request: pytest.FixtureRequest
) -> None:
    """Every broken file is refused by name or gets a result; the whole one gets a result."""
    whole, _ = through(desk.upload(FILES[name](), name))
    assert whole.results["moderating"]["verdict"] in ("approved", "review")
    ends: Counter[str] = Counter()
    sentences: list[str] = []
    for data in mutants(name, 2000 if request.config.getoption("--long") else 20):
        upload = desk.upload(data, name)
        try:
            through(upload)
            ends["result"] += 1
        except Rejected as refused:
            ends[refused.code] += 1
            sentences.append(refused.detail)
        shutil.rmtree(Path(upload.path).parent / "scratch")
    assert ends.total() >= 20
    assert all(sentence.endswith(".") for sentence in sentences)
    if name.endswith(ENTRIES):
        assert ends["corrupt_file"] > 3, ends
