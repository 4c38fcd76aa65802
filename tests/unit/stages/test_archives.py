"""Zip archives: bounded in entries, bytes, ratio and depth, however they lie; nothing unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from sse_progress.model.errors import Rejected
from sse_progress.stages.formats.archives import Budget, walk
from tests.helpers.media import noise
from tests.unit.stages.helpers import Desk, Reports, refusal, through

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
