"""PDF, office documents and e-books: opened page by page and part by part, read, drawn."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PIL import Image

from sse_progress.model.media_analysis import DocumentFacts
from sse_progress.model.stage_api import Options
from sse_progress.stages.formats.documents import pdfs
from tests.media_samples import docx, epub, odt, pdf, xlsx, zipped
from tests.unit.stages.helpers import Desk, refusal, through

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody is surprised by it."
GERMAN = "Der schnelle braune Fuchs springt ueber den faulen Hund, und niemand wundert sich."
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


def facts_of(desk: Desk, data: bytes, name: str) -> tuple[str, DocumentFacts]:
    upload, _ = through(desk.upload(data, name))
    facts = msgspec.convert(upload.results["analyzing"], DocumentFacts)
    return upload.results["validating"]["contentType"], facts


# ---- PDF


def test_pdf(desk: Desk) -> None:
    """Pages, text, language, title and a picture of the first page."""
    upload, reports = through(desk.upload(pdf([GERMAN, GERMAN, "Ende"]), "a.pdf"))
    facts = msgspec.convert(upload.results["analyzing"], DocumentFacts)
    assert (facts.format, facts.pages, facts.read_pages) == ("PDF 1.7", 3, 3)
    assert (facts.page_width_pt, facts.page_height_pt) == (595, 842)
    assert (facts.words, facts.language, facts.title) == (27, "de", "Test")
    assert (facts.encrypted, facts.javascript, facts.attachments) == (False, False, 0)
    assert upload.results["moderating"]["sampled"] == {"unit": "page", "lookedAt": 3, "of": 3}
    with Image.open(Path(upload.scratch) / "page-1.webp") as picture:
        assert picture.size == (453, 640)
        assert picture.convert("L").getextrema()[0] < 100  # there is ink on it
    assert "Opening page 2 of 3" in reports["validating"].messages
    assert "Reading page 2 of 3" in reports["analyzing"].messages


def test_half_the_pages_are_half_the_reports(desk: Desk) -> None:
    """Progress of a PDF counts pages."""

    def told(pages: int) -> int:
        _, reports = through(desk.upload(pdf(["x"] * pages), "a.pdf"), "validating")
        return sum("page" in text for text in reports["validating"].messages)

    assert told(20) == 2 * told(10) == 20


@pytest.mark.parametrize(
    "catalog",
    [
        "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>",
        "/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (x) >>] >> >>",
    ],
)
def test_javascript_in_a_pdf_is_noted(desk: Desk, catalog: str) -> None:
    """JavaScript is a fact, not a refusal; nothing here runs it."""
    assert facts_of(desk, pdf(extra_catalog=catalog), "a.pdf")[1].javascript


def test_a_pdf_that_starts_a_program_is_malware(desk: Desk) -> None:
    """A launch action is found by the rules."""
    launch = "/OpenAction << /S /Launch /Win << /F (cmd.exe) >> >>"
    assert refusal(desk.upload(pdf(extra_catalog=launch), "a.pdf"), "moderating").code == "malware"


def test_truncated_pdf_is_corrupt(desk: Desk) -> None:
    """PDFium repairs a PDF without its end; here it is a `corrupt_file`. Zeros do not count."""
    import pypdfium2

    data = pdf([ENGLISH] * 20)
    cut = data[: data.rfind(b"startxref")]
    with pypdfium2.PdfDocument(cut) as repaired:
        assert len(repaired) == 20
    assert "cut off" in refusal(desk.upload(cut, "a.pdf")).detail
    assert refusal(desk.upload(data[: len(data) // 2], "a.pdf")).code == "corrupt_file"
    assert refusal(desk.upload(b"%PDF-1.7\nnothing\n%%EOF\n", "a.pdf")).code == "corrupt_file"
    through(desk.upload(data + bytes(50_000), "padded.pdf"), "validating")


def test_too_many_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than the limit are a `decompression_bomb`."""
    monkeypatch.setattr(pdfs, "MAX_PAGES", 3)
    through(desk.upload(pdf(["x"] * 3), "a.pdf"), "validating")
    error = refusal(desk.upload(pdf(["x"] * 4), "a.pdf"))
    assert (error.code, "4 pages" in error.detail) == ("decompression_bomb", True)


def test_swearing_in_a_pdf(desk: Desk) -> None:
    """Words on a page mark the document for review."""
    upload, _ = through(desk.upload(pdf(["What the fuck is this?"]), "a.pdf"))
    assert upload.results["moderating"]["verdict"] == "review"
    assert {reason["where"] for reason in upload.results["moderating"]["reasons"]} == {"text"}


# ---- office documents


def test_word(desk: Desk) -> None:
    """Text, title and pages of a Word document."""
    media_type, facts = facts_of(desk, docx(ENGLISH, ENGLISH), "letter.docx")
    assert media_type.endswith("wordprocessingml.document")
    assert (facts.format, facts.pages, facts.title) == ("DOCX", 3, "A letter")
    assert (facts.words, facts.characters, facts.language) == (30, 2 * len(ENGLISH), "en")


def test_excel(desk: Desk) -> None:
    """Sheets are counted, and shared strings are text."""
    media_type, facts = facts_of(desk, xlsx("one two", "three"), "a.xlsx")
    assert media_type.endswith("spreadsheetml.sheet")
    assert (facts.format, facts.pages, facts.words) == ("XLSX", 2, 3)


def test_open_document(desk: Desk) -> None:
    """Text, title and pages of an OpenDocument text."""
    media_type, facts = facts_of(desk, odt(GERMAN, "Ende"), "a.odt")
    assert media_type == "application/vnd.oasis.opendocument.text"
    assert (facts.format, facts.pages, facts.title, facts.words) == ("ODT", 4, "Notes", 14)
    assert facts.language == "de"


def test_epub(desk: Desk) -> None:
    """An e-book's chapters are text, in spite of its DOCTYPE and undeclared entities."""
    media_type, facts = facts_of(desk, epub(ENGLISH, ENGLISH), "a.epub")
    assert media_type == "application/epub+zip"
    assert (facts.format, facts.title, facts.words, facts.language) == ("EPUB", "A book", 30, "en")


def test_swearing_in_a_document(desk: Desk) -> None:
    """Words in a part of an office document mark it for review."""
    upload, _ = through(desk.upload(docx("What a load of", "bullshit"), "a.docx"))
    assert upload.results["moderating"]["verdict"] == "review"


@pytest.mark.parametrize(
    "data",
    [
        docx("x", prolog=BOMB),
        docx("x", more={"word/styles.xml": f"{BOMB}<x>&b;</x>"}),
        docx("x", prolog='<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">]>'),
        zipped({"mimetype": "application/epub+zip", "a.xhtml": f"{BOMB}<x>&b;</x>"}),
    ],
)
def test_xml_entities_are_refused(desk: Desk, data: bytes) -> None:
    """A document that declares entities is a `decompression_bomb`, used or not, in any part."""
    assert refusal(desk.upload(data, "a.docx")).code == "decompression_bomb"


def test_entities_in_utf16_are_refused(desk: Desk) -> None:
    """The declaration is found by the parser, so no encoding hides it."""
    hidden = f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}<x>&b;</x>'.encode("utf-16")
    data = docx("x", more={"word/styles.xml": hidden})
    assert refusal(desk.upload(data, "a.docx")).code == "decompression_bomb"


def test_broken_xml_is_corrupt(desk: Desk) -> None:
    """An office part that is no well-formed XML is a `corrupt_file` that names the part."""
    error = refusal(desk.upload(docx("x", more={"word/styles.xml": "<a><b></a>"}), "a.docx"))
    assert (error.code, "word/styles.xml" in error.detail) == ("corrupt_file", True)


def test_macros_are_refused(desk: Desk) -> None:
    """Macros are refused under their own type, and hidden in a type that has none."""
    kind = "application/vnd.ms-word.document.macroEnabled.main+xml"
    error = refusal(desk.upload(docx("x", kind=kind), "a.docx"))
    assert (error.code, "macroenabled" in error.detail) == ("rejected_type", True)
    error = refusal(desk.upload(docx("x", more={"word/vbaProject.bin": b"x"}), "a.docx"))
    assert (error.code, error.detail) == ("rejected_type", "The document carries macros.")


def test_an_inflated_part_is_a_bomb(desk: Desk) -> None:
    """A document part that inflates beyond its worth is refused like any archive."""
    data = docx("x", more={"word/media/a.bin": bytes(50_000_000)})
    assert refusal(desk.upload(data, "a.docx")).code == "decompression_bomb"


def test_encrypted_documents_are_told(desk: Desk) -> None:
    """An encrypted OpenDocument is taken, and what could not be looked at is told."""
    sealed = odt("x", manifest="<manifest><encryption-data/></manifest>")
    upload, _ = through(desk.upload(sealed, "a.odt"))
    assert upload.results["analyzing"]["encrypted"] is True
    assert upload.results["moderating"]["notChecked"] == ["contents (the document is encrypted)"]


def test_a_text_in_a_docx_name_is_a_text(desk: Desk) -> None:
    """A name does not make a document."""
    only_docx = Options(
        allowed_types=("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)
    )
    assert refusal(desk.upload(b"hello\n", "a.docx", options=only_docx)).code == "rejected_type"
