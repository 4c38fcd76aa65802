"""Zip archives: bounded in entries, bytes, ratio and depth, however they lie; nothing unpacked."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import zipfile
from pathlib import Path

import pytest

from sse_progress.model.errors import Rejected
from sse_progress.stages.formats.documents.archives import Budget, walk
from tests.helpers.media import noise
from tests.unit.stages.helpers import DATA, Desk, Reports, refusal, through

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def zipped(
    members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options: object
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def walked(data: bytes, tmp_path: Path, budget: Budget | None = None) -> list[str]:
    path = tmp_path / "archive.zip"
    path.write_bytes(data)
    return [entry.path for entry in walk(path, tmp_path, Reports(), budget)]


def test_facts_of_an_archive(desk: Desk) -> None:
    """Entries are counted through nested archives, and dangerous names are told."""
    inner = zipped({"a.txt": b"a" * 100, "b.txt": b"b" * 100})
    outer = zipped({"docs/inner.zip": inner, "../evil.txt": b"x", "C:\\x.txt": b"y", "empty/": b""})
    upload, _ = through(desk.upload(outer, "a.zip"))
    assert upload.results["validating"]["contentType"] == "application/zip"
    facts = upload.results["analyzing"]
    assert facts == {
        "kind": "archive",
        "entries": 6,
        "fileCount": 5,
        "nestedArchives": 1,
        "unsafeNames": 2,
        "inflatedBytes": len(inner) + 202,
        "packedBytes": len(outer),
        "types": {"txt": 4, "zip": 1},
    }
    assert list(Path(upload.scratch).iterdir()) == []


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_packing_method_is_read(desk: Desk, method: int) -> None:
    """Whatever a zip entry is packed by, its bytes are looked at."""
    upload, _ = through(desk.upload(zipped({"a.txt": b"text\n" * 9}, method), "a.zip"))
    assert upload.results["analyzing"]["inflatedBytes"] == 45
    error = refusal(desk.upload(zipped({"a.txt": EICAR}, method), "a.zip"), "moderating")
    assert error.code == "malware"


# ---- bombs


def test_a_bomb_is_refused_by_its_directory(desk: Desk) -> None:
    """200 MB packed into 200 KB is refused before it is inflated."""
    bomb = zipped({"zeros.bin": bytes(200_000_000)})
    assert len(bomb) < 250_000
    error = refusal(desk.upload(bomb, "a.zip"))
    assert error.code == "decompression_bomb"
    assert error.detail == "The archive declares to inflate to more than 100 times its size."


def lying(data: bytes, size: int) -> bytes:
    """The archive with every declared inflated size replaced."""
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data = data[: at + 24] + struct.pack("<I", size) + data[at + 28 :]
        at = data.find(b"PK\x01\x02", at + 4)
    return data


def test_a_bomb_that_lies_about_its_size_is_stopped(desk: Desk) -> None:
    """A directory that declares 10 bytes does not get 200 MB inflated."""
    bomb = lying(zipped({"zeros.bin": bytes(200_000_000)}), 10)
    assert refusal(desk.upload(bomb, "a.zip")).code in ("decompression_bomb", "corrupt_file")


def test_inflated_bytes_are_capped_while_inflating(tmp_path: Path) -> None:
    """What really comes out is counted: each directory alone is fine, both together are not."""
    inner = zipped({"a": noise(50_000)}, zipfile.ZIP_STORED)
    data = zipped({"inner.zip": inner, "b": noise(50_000)}, zipfile.ZIP_STORED)
    whole = len(inner) + 100_000
    assert len(walked(data, tmp_path, Budget(inflated_bytes=whole))) == 3
    with pytest.raises(Rejected, match=f"inflates to more than the limit of {whole - 1}"):
        walked(data, tmp_path, Budget(inflated_bytes=whole - 1))


def test_too_many_entries(tmp_path: Path) -> None:
    """Entries are counted over all nested archives together."""
    inner = zipped({str(number): b"" for number in range(6)})
    data = zipped({"one.zip": inner, "two.zip": inner})
    assert len(walked(data, tmp_path, Budget(entries=14))) == 14
    with pytest.raises(Rejected, match="entries or more, the limit is 13"):
        walked(data, tmp_path, Budget(entries=13))


def test_too_deep(desk: Desk) -> None:
    """Archives within archives are followed three deep; a fourth level is refused."""
    data = zipped({"a.txt": b"x"})
    for _ in range(3):
        data = zipped({"inner.zip": data})
    through(desk.upload(data, "a.zip"))
    error = refusal(desk.upload(zipped({"inner.zip": data}), "a.zip"))
    assert (error.code, "3 deep" in error.detail) == ("decompression_bomb", True)


def test_nested_bombs_add_up(tmp_path: Path) -> None:
    """Many harmless archives in one may not inflate to more than their parent is worth."""
    inner = zipped({"zeros": bytes(5_000_000)})
    data = zipped({f"{number}.zip": inner for number in range(10)})
    with pytest.raises(Rejected, match="100 times its size"):
        walked(data, tmp_path)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    """Entries that share bytes (a way to a bomb without nesting) are refused."""
    data = zipped({"a": noise(1000), "b": noise(1000)}, zipfile.ZIP_STORED)
    second = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 4)
    shared = data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]
    with pytest.raises(Rejected, match="overlap"):
        walked(shared, tmp_path)


# ---- damage


def test_a_truncated_archive_is_corrupt(desk: Desk) -> None:
    """A zip without its end is a `corrupt_file`."""
    data = zipped({"a.bin": noise(10_000)})
    assert refusal(desk.upload(data[:-30], "a.zip")).code == "corrupt_file"


def test_a_damaged_entry_is_corrupt(desk: Desk) -> None:
    """A flipped bit is found, since every entry is inflated and its checksum compared."""
    data = bytearray(zipped({"a.bin": noise(10_000)}, zipfile.ZIP_STORED))
    data[5_000] ^= 1
    assert refusal(desk.upload(bytes(data), "a.zip")).code == "corrupt_file"


def test_what_cannot_be_read_is_told(desk: Desk) -> None:
    """Encrypted entries, other archives and damaged nested ones are named in `notChecked`."""
    data = bytearray(
        zipped(
            {
                "secret.txt": b"s" * 20,
                "other.7z": b"7z\xbc\xaf\x27\x1c" + bytes(20),
                "broken.zip": b"PK\x03\x04" + bytes(40),
            },
            zipfile.ZIP_STORED,
        )
    )
    local, central = data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")
    data[local + 6] |= 1
    data[central + 8] |= 1
    upload, _ = through(desk.upload(bytes(data), "a.zip"))
    assert upload.results["moderating"]["notChecked"] == [
        "1 entries (a damaged archive)",
        "1 entries (an archive of another kind)",
        "1 entries (encrypted)",
        "content of 1 encrypted entries",
    ]


def test_other_zips_are_not_zip(desk: Desk) -> None:
    """A Java program is no plain archive, although it is a zip inside."""
    jar = zipped(
        {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n", "A.class": b"\xca\xfe\xba\xbe"}
    )
    assert "java" in refusal(desk.upload(jar, "a.zip")).detail
    page = zipped({"mimetype": b"text/html", "a": b"x"}, zipfile.ZIP_STORED)
    upload, _ = through(desk.upload(page, "a.zip"), "validating")
    assert upload.results["validating"]["contentType"] == "application/zip"


def test_progress_follows_packed_bytes(desk: Desk) -> None:
    """Each entry is told, and a large one moves the percent further than a small one."""
    data = zipped({"small": noise(1_000), "large": noise(99_000)}, zipfile.ZIP_STORED)
    _, reports = through(desk.upload(data, "a.zip"), "analyzing")
    assert reports["analyzing"].messages == ["Inflating entry 1 of 2", "Inflating entry 2 of 2"]
    assert reports["analyzing"].fractions[0] == pytest.approx(0.01)


# ---- whose fault it is


def broken_entry(method: int, at: int) -> bytes:
    """An archive with one byte of its packed entry turned over."""
    data = bytearray(zipped({"a.txt": noise(3000)}, method))
    data[30 + len("a.txt") + at] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize("at", [0, 1, 2, 4, 5, 9, 40, 900])
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damage_is_the_files_fault(desk: Desk, method: int, at: int) -> None:
    """However an entry is packed, its damage is a `corrupt_file` or a bomb, and no failure of ours.

    The header of an LZMA entry can name a dictionary that no memory holds, or another version.
    """
    upload = desk.upload(broken_entry(method, at), "a.zip")
    if method == zipfile.ZIP_LZMA and at in (0, 1, 5):
        with contextlib.suppress(Rejected):  # the entry may inflate to what it was all the same
            through(upload, "validating")
        return
    assert refusal(upload).code in ("corrupt_file", "decompression_bomb")


def test_a_disk_that_fails_is_not_the_files_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input/output error is raised as it is, and the upload is not refused for it."""
    upload = desk.upload(zipped({"a.txt": b"x" * 100}), "a.zip")

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", broken)
    with pytest.raises(OSError, match="Input/output"):
        through(upload, "validating")


def test_memory_that_does_not_suffice_is_a_bomb(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decompressor that asks for more memory than a stage may have ends as a bomb."""

    def greedy(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(zipfile.ZipExtFile, "read", greedy)
    assert refusal(desk.upload(zipped({"a": b"x"}), "a.zip")).code == "decompression_bomb"


# ---- names in two encodings


def test_a_name_with_the_utf8_flag_in_the_directory_only(desk: Desk) -> None:
    """Writers that set the flag in one place only are forgiven; the name is the directory's."""
    path = DATA / "documents/utf8-flag-in-directory-only.zip"
    upload, _ = through(desk.upload(path, "a.zip"), "analyzing")
    assert upload.results["analyzing"]["inflatedBytes"] == 11


def renamed(local: bytes, listed: bytes, *, flags: tuple[int, int]) -> bytes:
    """An archive of one entry whose two names differ."""
    data = zipped({"x" * len(local): b"hello"}, zipfile.ZIP_STORED)
    at = data.find(b"PK\x01\x02")
    head = data[:6] + struct.pack("<H", flags[0]) + data[8:30] + local + data[30 + len(local) : at]
    tail = data[at : at + 8] + struct.pack("<H", flags[1]) + data[at + 10 : at + 28]
    tail += struct.pack("<H", len(listed)) + data[at + 30 : at + 46] + listed
    end = data[at + 46 + len(local) :]
    return head + tail + end[:12] + struct.pack("<II", len(tail), at) + end[20:]


def test_names_in_two_encodings(desk: Desk) -> None:
    """The same name in an old code page and in UTF-8 is one name; another name is damage."""
    name = "grün.txt"
    for local in (name.encode("cp437"), name.encode("cp1252"), b"gr?n.txt"):
        data = renamed(local, name.encode(), flags=(0, 0x800))
        assert through(desk.upload(data, "a.zip"), "analyzing")
    data = renamed(b"gran.txt", name.encode(), flags=(0, 0x800))
    assert refusal(desk.upload(data, "a.zip")).code == "corrupt_file"


# ---- progress within an entry


@pytest.mark.parametrize("nested", [False, True])
def test_one_large_entry_moves_the_percent(desk: Desk, nested: bool) -> None:
    """A large part is measured by its bytes: no step of more than a tenth, no going back."""
    inner = zipped({"sheet.xml": b"<a>" + b"<c>1</c>" * 1_000_000 + b"</a>", "n": noise(1_000)})
    data = zipped({"inner.zip": inner}, zipfile.ZIP_STORED) if nested else inner
    _, reports = through(desk.upload(data, "a.zip"), "analyzing")
    for name in ("validating", "analyzing"):
        steps = [0.0, *reports[name].fractions]
        assert max(b - a for a, b in itertools.pairwise(steps)) <= (0.6 if nested else 0.2)
    sizes = [text for text in reports["analyzing"].messages if text.endswith("MB")]
    if not nested:
        assert sizes[0] == "Inflating entry 1 of 2, 0.3 of 8.0 MB"
        assert len(sizes) == 31


def test_an_entry_without_a_name(desk: Desk) -> None:
    """An empty name is odd and no damage; what it holds is looked at."""

    def nameless(content: bytes) -> bytes:
        data = zipped({"x": content}, zipfile.ZIP_STORED)
        at, end = data.find(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
        local = data[:26] + b"\0\0" + data[28:30] + data[31:at]
        listed = data[at : at + 28] + b"\0\0" + data[at + 30 : at + 46]
        return local + listed + data[end : end + 12] + struct.pack("<IIH", 46, len(local), 0)

    upload, _ = through(desk.upload(nameless(b"hello"), "a.zip"), "moderating")
    assert upload.results["analyzing"]["fileCount"] == 1
    assert refusal(desk.upload(nameless(EICAR), "a.zip")).code == "malware"
