"""Known-bad content is looked for in `validating`, also in what is embedded or attached."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest

from sse_progress.stages.formats.documents import pdfs
from sse_progress.stages.formats.documents.pdf_streams import embedded_archive
from sse_progress.stages.moderation import moderate
from tests.helpers.media import jpeg
from tests.media_samples import docx, odt, pdf, xlsx
from tests.unit.stages.helpers import DATA, Desk, Reports, refusal, through
from tests.unit.stages.test_archives import EICAR, zipped

DOCUMENTS = DATA / "documents"


# ---- where


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EICAR, "a.txt"),
        (zipped({"a.com": EICAR}), "a.zip"),
        (zipped({"b.zip": zipped({"a.com": EICAR})}), "a.zip"),
        (docx("x", more={"word/media/a.bin": EICAR}), "a.docx"),
        (pdf(extra_catalog="/OpenAction << /S /Launch /Win << /F (cmd.exe) >> >>"), "a.pdf"),
    ],
)
def test_malware_is_found_before_analysis(desk: Desk, content: bytes, name: str) -> None:
    """The first stage refuses it: nothing is analysed."""
    assert refusal(desk.upload(content, name), "validating").code == "malware"


def test_listed_digests_are_refused_before_analysis(desk: Desk, tmp_path: Path) -> None:
    """So are files, entries and attachments on the list of digests."""
    bad = b"harmless, but unwanted\n"
    listed = tmp_path / "digests"
    listed.write_text(hashlib.sha256(bad).hexdigest())
    options = msgspec.structs.replace(desk.options, bad_sha256=str(listed))
    for content, name in (
        (bad, "a.txt"),
        (zipped({"b.txt": bad}), "a.zip"),
        (pdf_with(bad), "a.pdf"),
    ):
        error = refusal(desk.upload(content, name, options=options), "validating")
        assert error.code == "moderation_refused"


def test_reasons_travel_to_the_verdict(desk: Desk) -> None:
    """What a rule wants reviewed is a reason of the verdict, and the checks are listed there."""
    inner = b"powershell -enc " + b"QUJD" * 20 + b"\n"
    upload, _ = through(desk.upload(zipped({"howto.txt": inner}), "a.zip"), "moderating")
    verdict = upload.results["moderating"]
    assert verdict["verdict"] == "review"
    assert verdict["reasons"][0]["rule"] == "yara:PowerShell_Hidden_Command"
    assert {"malware rules", "malware rules on every entry"} <= set(verdict["checks"])


def test_moderation_without_our_validation_scans_itself(desk: Desk) -> None:
    """A pipeline with a validating stage of its own still gets its files scanned."""
    for content, name, kind in (
        (EICAR, "a.txt", "text/plain"),
        (zipped({"a.com": EICAR}), "a.zip", "application/zip"),
        (pdf_with(EICAR), "a.pdf", "application/pdf"),
    ):
        upload = desk.upload(content, name, results={"validating": {"contentType": kind}})
        with pytest.raises(Exception, match="malware"):
            moderate(upload, Reports())


# ---- attachments of PDFs


def pdf_with(content: bytes, *, packed: bool = True, pinned: bool = False) -> bytes:
    """A PDF with an attachment in its list of files, or pinned to its page."""
    stream = zlib.compress(content) if packed else content
    packing = "/Filter /FlateDecode " if packed else ""
    spec = "<< /Type /Filespec /F (a.bin) /UF (a.bin) /EF << /F 5 0 R >> >>"
    listed = f"/Names << /EmbeddedFiles << /Names [(a) {spec}] >> >>"
    note = f"/Annots [<< /Type /Annot /Subtype /FileAttachment /Rect [9 9 30 30] /FS {spec} >>]"
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {'' if pinned else listed} >>".encode(),
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 90 90] {note if pinned else ''} >>".encode(),
        b"<< >>",
        f"<< /Type /EmbeddedFile {packing}/Length {len(stream)} >>\nstream\n".encode()
        + stream
        + b"\nendstream",
    ]
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    at = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    return bytes(out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % at)


@pytest.mark.parametrize("name", ["attached-xlsx.pdf", "hybrid-libreoffice.pdf"])
def test_an_uncompressed_attachment_is_no_polyglot(desk: Desk, name: str) -> None:
    """An office document lies in the PDF as it is: it is counted and looked at."""
    upload, _ = through(desk.upload(DOCUMENTS / name, name), "moderating")
    assert upload.results["analyzing"]["attachments"] == 1
    assert upload.results["moderating"]["verdict"] == "approved"
    assert "words in 1 texts and documents inside" in upload.results["moderating"]["notChecked"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        EICAR,
        zipped({"a.com": EICAR}),
        zipped({"b.zip": zipped({"a.com": EICAR})}),
        docx("x", more={"word/media/a.bin": EICAR}),
    ],
)
def test_malware_attached_to_a_pdf(desk: Desk, content: bytes, packed: bool, pinned: bool) -> None:
    """It is found packed or not, in the list of files or pinned to a page, and in archives."""
    data = pdf_with(content, packed=packed, pinned=pinned)
    assert refusal(desk.upload(data, "a.pdf"), "validating").code == "malware"


@pytest.mark.parametrize("pinned", [True, False])
def test_harmless_attachments(desk: Desk, pinned: bool) -> None:
    """They are facts, their words are read, and broken ones are noted."""
    data = pdf_with(b"a load of bullshit\n", pinned=pinned)
    upload, _ = through(desk.upload(data, "a.pdf"), "moderating")
    assert upload.results["analyzing"]["attachments"] == 1
    assert upload.results["moderating"]["verdict"] == "review"
    broken = pdf_with(xlsx("x")[:-30], pinned=pinned)
    upload, _ = through(desk.upload(broken, "a.pdf"), "moderating")
    assert "1 embedded files (they cannot be read)" in upload.results["moderating"]["notChecked"]


@pytest.mark.parametrize("where", ["behind", "in a comment", "in a stream of another kind"])
def test_an_archive_that_is_no_attachment_stays_refused(desk: Desk, where: str) -> None:
    """Behind the end or between the objects, an archive makes the PDF two things."""
    archive = zipped({"a.txt": b"hello"})
    plain = pdf()
    data = {
        "behind": plain + archive,
        "in a comment": plain + b"%" + archive + b"\n%%EOF\n",
        "in a stream of another kind": pdf_with(archive, packed=False).replace(
            b"/Type /EmbeddedFile", b"/Type /SomethingXYZ"
        ),
    }[where]
    error = refusal(desk.upload(data, "a.pdf"))
    assert (error.code, "zip archive" in error.detail) == ("rejected_type", True)


def test_an_archive_with_impossible_offsets_is_no_attachment(tmp_path: Path) -> None:
    """A directory that places its entries before the file's beginning is no embedded file."""
    data = bytearray(pdf_with(zipped({"a.txt": b"hello"}), packed=False))
    at = data.rfind(b"PK\x05\x06") + 16
    (offset,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, offset + 10_000)
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].header_offset < 0
    assert embedded_archive(path) is None


# ---- OLE objects


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file ([MS-CFB]) of some streams, each of at least 4096 bytes."""
    sectors: list[bytes] = []
    entries = [_entry("Root Entry", kind=5, child=1)]
    for number, (name, content) in enumerate(streams.items(), 1):
        data = content.ljust(4096, b"\0")
        following = number + 1 if number < len(streams) else None
        entries.append(_entry(name, right=following, start=len(sectors), size=len(data)))
        blocks = [data[at : at + 512].ljust(512, b"\0") for at in range(0, len(data), 512)]
        sectors += blocks
    fat: list[int] = []
    for data in streams.values():
        count = (max(len(data), 4096) + 511) // 512
        fat += [len(fat) + step for step in range(1, count)] + [0xFFFFFFFE]
    directory = len(sectors)
    table = b"".join(entries).ljust(((len(entries) + 3) // 4) * 512, b"\0")
    blocks = [table[at : at + 512] for at in range(0, len(table), 512)]
    fat += [directory + step for step in range(1, len(blocks))] + [0xFFFFFFFE]
    sectors += blocks
    at, fat = len(sectors), [*fat, 0xFFFFFFFD]
    assert len(fat) <= 128
    sectors.append(struct.pack("<128I", *fat, *[0xFFFFFFFF] * (128 - len(fat))))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, directory, 0, 4096,
                        0xFFFFFFFE, 0, 0xFFFFFFFE, 0, at)  # fmt: skip
    return head.ljust(512, b"\xff") + b"".join(sectors)


def _entry(
    name: str, *, kind: int = 2, child: int | None = None, right: int | None = None,
    start: int = 0, size: int = 0,
) -> bytes:  # fmt: skip
    raw = name.encode("utf-16-le") + b"\0\0"
    none = 0xFFFFFFFF
    links = struct.pack("<III", none, none if right is None else right, child or none)
    place = 0xFFFFFFFE if kind == 5 else start
    return (
        raw.ljust(64, b"\0")
        + struct.pack("<HBB", len(raw), kind, 1)
        + links
        + bytes(36)
        + struct.pack("<IQ", place, size)
    )


def package(content: bytes, name: str = "a.com") -> bytes:
    """An `Ole10Native` stream, as "Insert > Object > from file" makes it."""
    place = b"C:\\" + name.encode() + b"\0"
    body = b"\2\0" + name.encode() + b"\0" + place + b"\0\0\3\0" + struct.pack("<I", len(place))
    body += place + struct.pack("<I", len(content)) + content
    return struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "streams",
    [
        {"\x01Ole10Native": package(EICAR)},
        {"\x01CompObj": b"x", "\x01Ole10Native": package(EICAR)},
        {"\x01Ole10Native": package(zipped({"a.com": EICAR}))},
        {"Package": zipped({"a.com": EICAR})},
        {"CONTENTS": EICAR},
        {"Package": docx("x", more={"word/embeddings/oleObject1.bin": EICAR})},
    ],
)
def test_malware_in_an_ole_object(desk: Desk, streams: dict[str, bytes]) -> None:
    """An object embedded in an office document is opened and looked at."""
    data = docx("x", more={"word/embeddings/oleObject1.bin": compound(streams)})
    assert refusal(desk.upload(data, "a.docx"), "validating").code == "malware"
    data = odt("x")
    archive = io.BytesIO(data)
    with zipfile.ZipFile(archive, "a") as document:
        document.writestr("Object 1", compound(streams))
    assert refusal(desk.upload(archive.getvalue(), "a.odt"), "validating").code == "malware"


def test_malware_in_a_document_of_an_old_office_program(desk: Desk) -> None:
    """Where such types are allowed, what is embedded in them is looked at, and the rest noted."""
    options = msgspec.structs.replace(desk.options, allowed_types=("*/*",))
    data = compound({"WordDocument": b"x", "\x01Ole10Native": package(EICAR)})
    error = refusal(desk.upload(data, "a.doc", options=options), "validating")
    assert error.code == "malware"
    data = compound({"WordDocument": b"x"})
    upload, _ = through(desk.upload(data, "a.doc", options=options), "moderating")
    notes = " ".join(upload.results["moderating"]["notChecked"])
    assert "structure (" in notes
    assert "words (" in notes


def test_harmless_ole_objects(desk: Desk) -> None:
    """A harmless object passes in silence, a broken one is noted."""
    good = compound({"\x01Ole10Native": package(b"a note\n")})
    data = docx("x", more={"word/embeddings/oleObject1.bin": good})
    upload, _ = through(desk.upload(data, "a.docx"), "moderating")
    assert upload.results["moderating"]["notChecked"] == []
    data = docx("x", more={"word/embeddings/oleObject1.bin": good[:600]})
    upload, _ = through(desk.upload(data, "a.docx"), "moderating")
    assert upload.results["moderating"]["notChecked"] == ["1 embedded files (they cannot be read)"]


# ---- words and pictures among files


def test_words_inside_an_archive(desk: Desk) -> None:
    """Texts in an archive are read; documents in it are noted as not read."""
    data = zipped({"notes/a.md": b"a load of bullshit\n", "b.docx": docx("x"), "c.jpg": jpeg(9, 9)})
    upload, _ = through(desk.upload(data, "a.zip"), "moderating")
    verdict = upload.results["moderating"]
    assert verdict["verdict"] == "review"
    assert {reason["where"] for reason in verdict["reasons"]} == {"notes/a.md"}
    assert "words in 1 texts and documents inside" in verdict["notChecked"]


def test_a_picture_that_cannot_be_decoded_is_noted(desk: Desk) -> None:
    """Where a type is allowed that nothing here decodes, the verdict is not silent about it."""
    jxl = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + bytes(100)
    options = msgspec.structs.replace(desk.options, allowed_types=("*/*",))
    upload, _ = through(desk.upload(jxl, "a.jxl", options=options), "validating")
    assert upload.content_type == "image/jxl"
    verdict = moderate(upload, Reports())
    assert "pictures (nothing here opens this picture (image/jxl))" in verdict["notChecked"]


def test_text_that_is_not_read_is_noted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages beyond the limit, and types that nothing reads, stand in `notChecked`."""
    monkeypatch.setattr(pdfs, "TEXT_PAGES", 2)
    upload, _ = through(desk.upload(pdf(["x"] * 3), "a.pdf"), "moderating")
    assert "words beyond page 2" in upload.results["moderating"]["notChecked"]
    upload, _ = through(desk.upload(pdf(["x"] * 2), "a.pdf"), "moderating")
    assert upload.results["moderating"]["notChecked"] == []
    options = msgspec.structs.replace(desk.options, allowed_types=("*/*",))
    upload = desk.upload(gzip.compress(b"x"), "a.gz", options=options)
    upload, _ = through(upload, "moderating")
    assert (
        "words (nothing here reads this file (application/gzip))"
        in (upload.results["moderating"]["notChecked"])
    )
