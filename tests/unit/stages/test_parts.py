"""Parts of documents are found by the document's own directory, whatever they are called."""

from __future__ import annotations

import io
import zipfile

import pytest

from sse_progress.stages.formats.documents.archives import CHUNK_BYTES
from tests.media_samples import zipped
from tests.unit.stages.helpers import DATA, Desk, refusal, through

BAD = "what a load of bullshit"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"
OOXML = "application/vnd.openxmlformats-officedocument."
NO_MAIN = "text (the main part of the document is not found)"


def relationships(*targets: tuple[str, str], kind: str = OFFICE) -> str:
    rows = "".join(
        f'<Relationship Id="r{number}" Type="{kind}/{name}" Target="{target}"/>'
        for number, (name, target) in enumerate(targets)
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{RELS}">{rows}</Relationships>'


def content_types(**overrides: str) -> str:
    rows = "".join(
        f'<Override PartName="/{name.replace("__", "/")}.xml" ContentType="{OOXML}{kind}+xml"/>'
        for name, kind in overrides.items()
    )
    return f'<?xml version="1.0"?><Types xmlns="{TYPES}">{rows}</Types>'


def word(text: str, root: str = "document") -> str:
    return (
        f'<w:{root} xmlns:w="urn:w"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body>'
        f"</w:{root}>"
    )


def docx_at(main: str, text: str, *, kind: str = OFFICE, **more: str) -> bytes:
    """A Word document whose main part is `main`, as Word Online and others call it."""
    stem = main.removesuffix(".xml").replace("/", "__")
    return zipped(
        {
            "[Content_Types].xml": content_types(**{stem: "wordprocessingml.document.main"}),
            "_rels/.rels": relationships(("officeDocument", main), kind=kind),
            main: word(text),
            **more,
        }
    )


def seen(desk: Desk, data: bytes, name: str) -> tuple[dict[str, object], dict[str, object]]:
    upload, _ = through(desk.upload(data, name), "moderating")
    return upload.results["analyzing"], upload.results["moderating"]


def test_a_document_of_word_online(desk: Desk) -> None:
    """Its main part is `document2.xml`: words are counted, and swear words are found."""
    data = (DATA / "documents/word-online-document2.docx").read_bytes()
    facts, verdict = seen(desk, data, "a.docx")
    assert facts["words"] == 12
    assert verdict["verdict"] == "review"
    assert "words:list" in str(verdict["reasons"])


@pytest.mark.parametrize(
    "main", ["word/document.xml", "word/document22.xml", "doc/main.xml", "content.xml", "a b/x.xml"]
)
@pytest.mark.parametrize("kind", [OFFICE, STRICT])
def test_the_main_part_by_any_name(desk: Desk, main: str, kind: str) -> None:
    """Transitional or strict, the relationship names the part."""
    data = docx_at(main, BAD, kind=kind)
    facts, verdict = seen(desk, data, "a.docx")
    assert (facts["format"], facts["words"]) == ("DOCX", 5)
    assert (verdict["verdict"], verdict["notChecked"]) == ("review", [])


def test_a_decoy_under_the_usual_name_is_not_the_document(desk: Desk) -> None:
    """Facts come from the parts that the document leads to; moderation reads every part."""
    decoy = {"word/document.xml": word("a decoy of many more words " + BAD)}
    facts, verdict = seen(desk, docx_at("word/real.xml", "three calm words", **decoy), "a.docx")
    assert facts["words"] == 3
    assert verdict["verdict"] == "review"


def test_headers_and_notes_are_read(desk: Desk) -> None:
    """Parts that the main part leads to are text, relative, absolute, encoded or in capitals."""
    data = docx_at(
        "word/document.xml",
        "body",
        **{
            "word/_rels/document.xml.rels": relationships(
                ("header", "Header%2099.xml"), ("footnotes", "/other/notes.xml")
            ),
            "word/header 99.xml": word("in the header", "hdr"),
            "other/notes.xml": word(BAD, "footnotes"),
            "word/styles.xml": word("no text of the document", "styles"),
        },
    )
    facts, verdict = seen(desk, data, "a.docx")
    assert facts["words"] == 9
    assert verdict["verdict"] == "review"


def test_text_boxes_are_counted_once(desk: Desk) -> None:
    """Word writes a text box twice: for itself, and as a fallback for older programs."""
    box = "<w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
    body = (
        f'<w:document xmlns:w="urn:w" xmlns:mc="urn:mc"><w:body><mc:AlternateContent><mc:Choice>'
        f"{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:body>"
        "</w:document>"
    )
    data = zipped(
        {
            "[Content_Types].xml": content_types(d="wordprocessingml.document.main"),
            "_rels/.rels": relationships(("officeDocument", "d.xml")),
            "d.xml": body,
        }
    )
    assert seen(desk, data, "a.docx")[0]["words"] == 3


def test_a_document_without_its_main_part_says_so(desk: Desk) -> None:
    """No part, no text, and no silence about it."""
    data = zipped(
        {
            "[Content_Types].xml": content_types(word__document="wordprocessingml.document.main"),
            "_rels/.rels": relationships(("officeDocument", "word/lost.xml")),
            "word/other.xml": word("x"),
        }
    )
    facts, verdict = seen(desk, data, "a.docx")
    assert NO_MAIN in verdict["notChecked"]  # type: ignore[operator]
    assert NO_MAIN in facts["notChecked"]  # type: ignore[operator]


def test_a_workbook_by_its_relationships(desk: Desk) -> None:
    """Shared strings and sheets elsewhere, inline strings and results of formulas are text."""
    data = zipped(
        {
            "[Content_Types].xml": content_types(
                book__wb="spreadsheetml.sheet.main", book__strings9="spreadsheetml.sharedStrings"
            ),
            "_rels/.rels": relationships(("officeDocument", "book/wb.xml")),
            "book/wb.xml": "<workbook/>",
            "book/_rels/wb.xml.rels": relationships(
                ("sharedStrings", "strings9.xml"), ("worksheet", "pages/one.xml")
            ),
            "book/strings9.xml": "<sst><si><t>shared words</t></si></sst>",
            "book/pages/one.xml": (
                '<worksheet><row><c t="inlineStr"><is><t>inline</t></is></c>'
                f'<c t="str"><f>A1</f><v>{BAD}</v></c><c><v>42</v></c></row></worksheet>'
            ),
        }
    )
    facts, verdict = seen(desk, data, "a.xlsx")
    assert (facts["format"], facts["pages"], facts["words"]) == ("XLSX", 1, 8)
    assert verdict["verdict"] == "review"


def test_a_presentation_by_its_relationships(desk: Desk) -> None:
    """Slides and their notes under any name; what a layout prompts for is no text."""
    slide = '<p:{0} xmlns:p="urn:p" xmlns:a="urn:a"><a:p><a:r><a:t>{1}</a:t></a:r></a:p></p:{0}>'
    data = zipped(
        {
            "[Content_Types].xml": content_types(p="presentationml.presentation.main"),
            "_rels/.rels": relationships(("officeDocument", "p.xml")),
            "p.xml": "<presentation/>",
            "_rels/p.xml.rels": relationships(("slide", "s/1.xml"), ("slideLayout", "l.xml")),
            "s/1.xml": slide.format("sld", "a slide"),
            "s/_rels/1.xml.rels": relationships(("notesSlide", "../n.xml")),
            "n.xml": slide.format("notes", BAD),
            "l.xml": slide.format("sldLayout", "Click to edit Master title style"),
        }
    )
    facts, verdict = seen(desk, data, "a.pptx")
    assert (facts["format"], facts["pages"], facts["words"]) == ("PPTX", 1, 7)
    assert verdict["verdict"] == "review"


# ---- OpenDocument, EPUB

ODT = "application/vnd.oasis.opendocument.text"
NAMES = 'xmlns:office="urn:office" xmlns:text="urn:text" xmlns:style="urn:style"'


def odt_parts(body: str, **more: str) -> dict[str, bytes | str]:
    return {
        "mimetype": ODT,
        "content.xml": (
            f"<office:document-content {NAMES}><office:body><office:text>{body}"
            "</office:text></office:body></office:document-content>"
        ),
        **more,
    }


def test_headers_of_an_open_document_are_read(desk: Desk) -> None:
    """They stand in the part of the styles, whose other texts no reader sees."""
    styles = (
        f"<office:document-styles {NAMES}><office:styles><style:x>unseen</style:x></office:styles>"
        f"<office:master-styles><style:header><text:p>{BAD}</text:p></style:header>"
        "</office:master-styles></office:document-styles>"
    )
    data = zipped(
        odt_parts("<text:p>body</text:p>", **{"styles.xml": styles}), stored=("mimetype",)
    )
    facts, verdict = seen(desk, data, "a.odt")
    assert facts["words"] == 6
    assert verdict["verdict"] == "review"


def test_a_sealed_document_whose_manifest_comes_last(desk: Desk) -> None:
    """LibreOffice writes the manifest last: an encrypted document is no corrupt one."""
    parts = odt_parts("", **{"META-INF/manifest.xml": "<manifest><encryption-data/></manifest>"})
    parts["content.xml"] = bytes(range(256)) * 4
    facts, verdict = seen(desk, zipped(parts, stored=("mimetype",)), "a.odt")
    assert facts["encrypted"] is True
    assert verdict["notChecked"] == ["contents (the document is encrypted)"]
    del parts["META-INF/manifest.xml"]
    assert refusal(desk.upload(zipped(parts), "a.odt")).code == "corrupt_file"


def test_empty_settings_of_libreoffice(desk: Desk) -> None:
    """LibreOffice leaves parts for its own windows empty; a document's own part may not be."""
    empty = {"Configurations2/accelerator/current.xml": ""}
    facts, _ = seen(desk, zipped(odt_parts("<text:p>two words</text:p>", **empty)), "a.odt")
    assert facts["words"] == 2
    data = zipped(odt_parts("<text:p>x</text:p>", **{"styles.xml": ""}))
    assert refusal(desk.upload(data, "a.odt")).code == "corrupt_file"


def epub_at(chapter: str, text: str, **more: str) -> bytes:
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": (
                '<container><rootfiles><rootfile full-path="book/p.opf"/></rootfiles></container>'
            ),
            "book/p.opf": (
                '<package xmlns:dc="urn:dc"><dc:title>Book</dc:title><manifest>'
                f'<item href="{chapter}" media-type="application/xhtml+xml"/></manifest></package>'
            ),
            f"book/{chapter}": f"<html><body><p>{text}</p></body></html>",
            **more,
        },
        stored=("mimetype",),
    )


@pytest.mark.parametrize("chapter", ["one.xhtml", "text/one.xml", "one.content"])
def test_chapters_by_the_package_document(desk: Desk, chapter: str) -> None:
    """A chapter is what the book lists, under any name."""
    facts, verdict = seen(desk, epub_at(chapter, BAD), "a.epub")
    assert facts["words"] == 5
    assert (verdict["verdict"], verdict["notChecked"]) == ("review", [])


def test_a_locked_book_says_so(desk: Desk) -> None:
    """Encrypted chapters are noted; obfuscated fonts alone are no lock."""
    lock = '<encryption><CipherData><CipherReference URI="{}"/></CipherData></encryption>'
    locked = {"META-INF/encryption.xml": lock.format("book/one.xhtml")}
    _, verdict = seen(desk, epub_at("one.xhtml", "x", **locked), "a.epub")
    assert verdict["notChecked"] == ["contents (the document is encrypted)"]
    fonts = {"META-INF/encryption.xml": lock.format("book/a.otf")}
    _, verdict = seen(desk, epub_at("one.xhtml", BAD, **fonts), "a.epub")
    assert (verdict["verdict"], verdict["notChecked"]) == ("review", [])


# ---- what a broken directory leads to


def damaged(data: bytes, name: str) -> bytes:
    """The archive with a byte within the packed `name` turned over."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo(name)
    at = info.header_offset + 30 + len(name) + info.compress_size // 2
    return data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]


@pytest.mark.parametrize("name", ["[Content_Types].xml", "_rels/.rels", "word/document.xml"])
def test_a_damaged_part_is_corrupt(desk: Desk, name: str) -> None:
    """Whichever part is damaged, the file is at fault."""
    data = damaged(docx_at("word/document.xml", "some words here"), name)
    assert refusal(desk.upload(data, "a.docx")).code == "corrupt_file"


# ---- large sheets


def sheet(text: str, *, at: int, encoding: str = "utf-8", prefix: str = "") -> bytes:
    """A workbook of one sheet: many numbers, one string whose cell is at a place, many numbers."""
    p = prefix
    row = f'<{p}row><{p}c r="A1"><{p}v>1</{p}v></{p}c></{p}row>'
    cell = f'<{p}row><{p}c t="inlineStr"><{p}is><{p}t>{text}</{p}t></{p}is></{p}c></{p}row>'
    names = f' xmlns:{p[:-1]}="urn:x"' if p else ""
    begin = f"<{p}worksheet{names}>"
    count, rest = divmod(at - len(begin) - 7, len(row))
    filling = row * count + f"<!--{'x' * rest}-->"
    body = f"{begin}{filling}{cell}{row * 9_000}</{p}worksheet>"
    assert body.startswith(cell, at)
    if encoding != "utf-8":
        body = f'<?xml version="1.0" encoding="{encoding}"?>{body}'
    return zipped(
        {
            "[Content_Types].xml": content_types(wb="spreadsheetml.sheet.main"),
            "_rels/.rels": relationships(("officeDocument", "wb.xml")),
            "wb.xml": "<workbook/>",
            "_rels/wb.xml.rels": relationships(("worksheet", "s.xml")),
            "s.xml": body.encode(encoding),
        }
    )


@pytest.mark.parametrize("border", [1, 2])
@pytest.mark.parametrize("before", [*range(0, 80, 6), 1000])
def test_a_string_anywhere_in_a_large_sheet(desk: Desk, border: int, before: int) -> None:
    """Sheets are read piece by piece; a string cut by the border of two pieces is read whole."""
    for prefix in ("", "x:"):
        data = sheet(BAD, at=border * CHUNK_BYTES - before, prefix=prefix)
        upload, _ = through(desk.upload(data, "a.xlsx"), "analyzing")
        assert upload.results["analyzing"]["words"] == 5


def test_a_large_sheet_in_utf16(desk: Desk) -> None:
    """The quick way past numbers is for encodings that hold ASCII."""
    data = sheet(BAD, at=1_000_000, encoding="utf-16")
    upload, _ = through(desk.upload(data, "a.xlsx"), "analyzing")
    assert upload.results["analyzing"]["words"] == 5


def test_the_percent_of_a_large_sheet_moves(desk: Desk) -> None:
    """One sheet of 12 MB gives many different percents in each stage that reads it."""
    data = sheet("x", at=11_000_000)
    _, reports = through(desk.upload(data, "a.xlsx"), "moderating")
    for name in ("validating", "analyzing"):
        percents = {int(fraction * 100) for fraction in reports[name].fractions}
        assert len(percents) > 30, name
    assert len({int(f * 100) for f in reports["moderating"].fractions}) > 15
