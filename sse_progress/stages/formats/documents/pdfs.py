"""Opening PDFs with PDFium: every page loaded, text and pictures of pages taken, within bounds.

The library is built without JavaScript, so nothing in a document runs. It is not thread-safe.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.errors import Rejected
from sse_progress.model.media_analysis import DocumentFacts
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.documents.pdf_streams import embedded_archive
from sse_progress.stages.formats.text.language import (
    NO_LANGUAGE,
    language_available,
    language_of,
)
from sse_progress.stages.progress import part

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "attachments",
    "available",
    "check_pdf",
    "page_count",
    "page_picture",
    "page_pictures",
    "pdf_facts",
    "pdf_text",
]

MAX_PAGES = 5_000
TEXT_PAGES = 200
"""Pages that text is taken from, at most."""
_TAIL_BYTES = 4096
_CHUNK_BYTES = 1024 * 1024
_ERROR_PASSWORD = 4  # FPDF_ERR_PASSWORD


def available() -> bool:
    return importlib.util.find_spec("pypdfium2") is not None


class Locked(Exception):
    """The document asks for a password."""


@contextlib.contextmanager
def opened_pdf(source: Path | bytes) -> Iterator[Any]:
    """The document in `source`. Raises Locked; what PDFium raises inside is a `corrupt_file`."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(source)
        try:
            yield document
        finally:
            document.close()
    except pdfium.PdfiumError as exc:
        if getattr(exc, "err_code", None) == _ERROR_PASSWORD:
            raise Locked from None
        raise Rejected("corrupt_file", "The PDF cannot be opened.") from exc


# ---- validating


def check_pdf(path: Path, report: Report) -> tuple[list[str], list[str]]:
    """Load every page; what was checked and what was not.

    Raises Rejected: `corrupt_file`, or `decompression_bomb` for too many pages.
    """
    if b"%%EOF" not in _tail(path):  # ISO 32000-1 §7.5.5; PDFium would repair what is left
        raise Rejected("corrupt_file", "The PDF has no end: it was cut off.")
    try:
        with opened_pdf(path) as document:
            pages = len(document)
            if not pages:
                raise Rejected("corrupt_file", "The PDF has no pages.")
            if pages > MAX_PAGES:
                raise Rejected(
                    "decompression_bomb", f"The PDF has {pages} pages, the limit is {MAX_PAGES}."
                )
            for number in range(pages):
                document.get_page(number).close()
                report((number + 1) / pages, f"Opening page {number + 1} of {pages}")
    except Locked:
        report(1.0, "The PDF asks for a password")
        return ["directory"], ["contents (the PDF asks for a password)"]
    return ["every page"], []


def _tail(path: Path) -> bytes:
    """The last bytes that say something: some writers and mails pad a file with zeros."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _CHUNK_BYTES, 0))
        return file.read().rstrip(b"\0\r\n\t ")[-_TAIL_BYTES:]


# ---- facts


def pdf_facts(path: Path, report: Report) -> DocumentFacts:
    """Pages, the amount of text and its language; progress counts pages."""
    try:
        with opened_pdf(path) as document:
            pieces = list(_page_texts(document, TEXT_PAGES, part(report, 0.0, 0.9)))
            report(0.9, "Recognizing the language")
            text = "\n".join(pieces)
            language, confidence = language_of(text)
            width, height = document.get_page_size(0)
            facts = DocumentFacts(
                format=f"PDF {_version(document)}".strip(),
                pages=len(document),
                read_pages=len(pieces),
                page_width_pt=round(width, 1),
                page_height_pt=round(height, 1),
                characters=sum(map(len, pieces)),
                words=sum(len(piece.split()) for piece in pieces),
                language=language,
                language_confidence=confidence,
                title=_title(document),
                encrypted=_encrypted(document),
                javascript=_has_javascript(document) or _names_javascript(path),
                attachments=_count_attachments(document, path),
                not_checked=[] if language_available() else [NO_LANGUAGE],
            )
    except Locked:
        facts = DocumentFacts(
            format="PDF",
            encrypted=True,
            javascript=_names_javascript(path),
            not_checked=["contents (the PDF asks for a password)"],
        )
    report(1.0)
    return facts


def pdf_text(path: Path, limit_characters: int, report: Report) -> str | None:
    """At most `limit_characters` of the text; None for a document behind a password."""
    pieces, length = [], 0
    try:
        with opened_pdf(path) as document:
            for piece in _page_texts(document, TEXT_PAGES, report):
                pieces.append(piece)
                length += len(piece)
                if length >= limit_characters:
                    break
    except Locked:
        return None
    return "\n".join(pieces)[:limit_characters]


def _page_texts(document: Any, limit: int, report: Report) -> Iterator[str]:
    import pypdfium2 as pdfium

    pages = min(len(document), limit)
    for number in range(pages):
        try:
            page = document.get_page(number)
            text = page.get_textpage()
            yield text.get_text_range(errors="replace")
            text.close()
            page.close()
        except pdfium.PdfiumError:  # one page without readable text is no broken document
            yield ""
        report((number + 1) / pages, f"Reading page {number + 1} of {pages}")


def _version(document: Any) -> str:
    number = document.get_version()
    return f"{number // 10}.{number % 10}" if number else ""


def _title(document: Any) -> str | None:
    return clean_text(document.get_metadata_value("Title"), 200) or None


def _encrypted(document: Any) -> bool:
    import pypdfium2.raw as pdfium

    return int(pdfium.FPDF_GetSecurityHandlerRevision(document)) >= 0


def _has_javascript(document: Any) -> bool:
    import pypdfium2.raw as pdfium

    return int(pdfium.FPDFDoc_GetJavaScriptActionCount(document)) > 0


def _names_javascript(path: Path) -> bool:
    """Whether an action in plain sight is JavaScript (ISO 32000-1 §12.6.4.16)."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if b"/JavaScript" in tail + chunk:
                return True
            tail = chunk[-16:]
    return False


# ---- attachments


def attachments(source: Path | bytes) -> Iterator[tuple[str, bytes | None]]:
    """(name, content) of each attached file; content is None where it cannot be read.

    None at all for a document that cannot be opened: its damage is found elsewhere.
    """
    import pypdfium2 as pdfium

    try:
        with opened_pdf(source) as document:
            for number, attachment in enumerate(_handles(document), 1):
                try:
                    content = bytes(attachment.get_data())
                except pdfium.PdfiumError:  # an empty one, or a stream that does not inflate
                    content = None
                yield _name(attachment) or str(number), content
    except (Locked, Rejected):
        return


def _count_attachments(document: Any, path: Path) -> int:
    listed = sum(1 for _ in _handles(document))
    archive = embedded_archive(path)
    return listed + 1 if archive == "stream" else max(listed, archive is not None)


def _name(attachment: Any) -> str:
    import pypdfium2 as pdfium

    try:
        return str(attachment.get_name())
    except (pdfium.PdfiumError, UnicodeError):
        return ""


def _handles(document: Any) -> Iterator[Any]:
    """Files of the document's list and those pinned to a page (ISO 32000-1 §7.11.4, §12.5.6.15)."""
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    for index in range(document.count_attachments()):
        yield document.get_attachment(index)
    for number in range(min(len(document), MAX_PAGES)):
        try:
            page = document.get_page(number)
        except pdfium.PdfiumError:
            continue
        for index in range(raw.FPDFPage_GetAnnotCount(page)):
            annotation = raw.FPDFPage_GetAnnot(page, index)
            if raw.FPDFAnnot_GetSubtype(annotation) == raw.FPDF_ANNOT_FILEATTACHMENT:
                handle = raw.FPDFAnnot_GetFileAttachment(annotation)
                if handle:
                    yield pdfium.PdfAttachment(handle, document)
            raw.FPDFPage_CloseAnnot(annotation)
        page.close()


# ---- pictures of pages


def page_count(path: Path) -> int:
    """How many pages there are; 0 behind a password."""
    try:
        with opened_pdf(path) as document:
            return len(document)
    except Locked:
        return 0


def page_picture(path: Path, side: int) -> Image.Image | None:
    """The first page, of at most `side` x `side` pixels; None behind a password."""
    return next((image for _, image in page_pictures(path, 1, side)), None)


def page_pictures(path: Path, count: int, side: int) -> Iterator[tuple[int, Image.Image]]:
    """At most `count` pages, evenly over the document, with their numbers from 1 on."""
    try:
        with opened_pdf(path) as document:
            pages = len(document)
            chosen = range(pages) if pages <= count else [i * pages // count for i in range(count)]
            for number in chosen:
                page = document.get_page(number)
                width, height = page.get_size()
                if width > 0 and height > 0:
                    scale = min(side / max(width, height), 4.0)
                    bitmap = page.render(scale=scale)
                    yield number + 1, bitmap.to_pil().convert("RGB")
                    bitmap.close()
                page.close()
    except Locked:
        return
