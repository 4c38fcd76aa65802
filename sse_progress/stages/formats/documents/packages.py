"""Where an office document or e-book keeps what a reader sees, by its own directory.

OOXML names its parts by relationships and content types (ECMA-376 part 2 §6.5, §7.2), EPUB by its
package document (EPUB 3.3 §5), ODF by its standard (ODF 1.3 part 2 §3). Names are never guessed.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.parsers import expat

from sse_progress.stages.formats.disk_errors import is_disk_error
from sse_progress.stages.formats.media_types import extension_of, is_ooxml

__all__ = ["EPUB", "Package", "office_type", "package_of", "part_name"]

EPUB = "application/epub+zip"
_OOXML = "application/vnd.openxmlformats-officedocument."
_MAIN = ".main+xml"
_PART_BYTES = 4 * 1024 * 1024
_PARTS = 10_000
_FONTS = ("otf", "ttf", "woff", "woff2")
_MACROS = {
    "application/vnd.ms-word.document.macroenabled": "vnd.ms-word.document",
    "application/vnd.ms-word.template.macroenabledtemplate": "vnd.ms-word.template",
    "application/vnd.ms-excel.sheet.macroenabled": "vnd.ms-excel.sheet",
    "application/vnd.ms-excel.template.macroenabled": "vnd.ms-excel.template",
    "application/vnd.ms-excel.addin.macroenabled": "vnd.ms-excel.addin",
    "application/vnd.ms-powerpoint.presentation.macroenabled": "vnd.ms-powerpoint.presentation",
    "application/vnd.ms-powerpoint.slideshow.macroenabled": "vnd.ms-powerpoint.slideshow",
    "application/vnd.ms-powerpoint.template.macroenabled": "vnd.ms-powerpoint.template",
}


@dataclass(frozen=True)
class Package:
    """What a document's directory says; names in lower case, as in the archive.

    `has_main`: the part that the standard calls the document is there. `reachable`: parts that
    lead from it; None if that is unknown. `properties`: parts that describe the document.
    `chapters`: pages of an e-book. `sealed`: encrypted.
    """

    has_main: bool = False
    reachable: frozenset[str] | None = None
    properties: frozenset[str] = frozenset(("docprops/core.xml", "docprops/app.xml", "meta.xml"))
    chapters: frozenset[str] = field(default_factory=frozenset)
    sealed: bool = False


def package_of(path: Path, media_type: str) -> Package:
    """The directory of the document at `path`; an empty Package if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = _Parts(archive)
            if is_ooxml(media_type):
                return _office_open(parts)
            return _book(parts) if media_type == EPUB else _open_document(parts)
    except Exception as exc:  # whatever is wrong with it is found when its parts are read
        if is_disk_error(exc):
            raise
        return Package()


def part_name(name: str) -> str:
    """The name of an archive's entry as a Package has it."""
    return name.replace("\\", "/").lower()


class _Parts:
    """Parts by their names in lower case (ECMA-376 part 2 §6.3.5), read within bounds."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos = {part_name(info.filename): info for info in archive.infolist()[:_PARTS]}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._infos

    def elements(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """Local name and attributes of every element of the part; none if there is no such part."""
        info = self._infos.get(name.lower())
        if info is None:
            return []
        with self._archive.open(info) as part:
            return list(_elements(part.read(_PART_BYTES)))


class _Stop(Exception):
    """The part declares entities."""


def _elements(data: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """What can be read of a part: up to the first mistake in it."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append(
        (name.rpartition(":")[2], attributes)
    )
    parser.EntityDeclHandler = _stop
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _Stop):
        pass
    return iter(found)


def _stop(*_: object) -> None:
    raise _Stop


# ---- Office Open XML


def office_type(archive: zipfile.ZipFile) -> str | None:
    """The media type of an OOXML package, by the content type of its main part, else None.

    A part with macros anywhere decides first.
    """
    parts = _Parts(archive)
    types = _ContentTypes(parts)
    for kind in types.declared:
        if kind.endswith(_MAIN) and kind.removesuffix(_MAIN) in _MACROS:
            return f"application/{_MACROS[kind.removesuffix(_MAIN)]}.macroenabled.12"
    main = _main_part(parts, types)
    kind = types.of(main) if main else next(filter(_is_main, types.declared), "")
    return kind.removesuffix(_MAIN) if _is_main(kind) else None


def _is_main(content_type: str) -> bool:
    return content_type.startswith(_OOXML) and content_type.endswith(_MAIN)


class _ContentTypes:
    """Content types in lower case: of single parts, and by the extension of the others."""

    def __init__(self, parts: _Parts) -> None:
        self.single: dict[str, str] = {}
        self._by_extension: dict[str, str] = {}
        for name, attributes in parts.elements("[Content_Types].xml"):
            kind = attributes.get("ContentType", "").lower()
            if name == "Override":
                self.single[attributes.get("PartName", "").lstrip("/").lower()] = kind
            elif name == "Default":
                self._by_extension[attributes.get("Extension", "").lower()] = kind

    @property
    def declared(self) -> list[str]:
        return [*self.single.values(), *self._by_extension.values()]

    def of(self, part: str) -> str:
        return self.single.get(part) or self._by_extension.get(extension_of(part), "")


def _main_part(parts: _Parts, types: _ContentTypes) -> str | None:
    for attributes in _relationships(parts, ""):
        if attributes.get("Type", "").endswith("/officeDocument"):
            target = _target("", attributes)
            if target and target in parts:
                return target
    return next((n for n, kind in types.single.items() if _is_main(kind) and n in parts), None)


def _relationships(parts: _Parts, part: str) -> Iterator[dict[str, str]]:
    folder, name = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{name}.rels")
    return (found for element, found in parts.elements(rels) if element == "Relationship")


def _target(source: str, attributes: dict[str, str]) -> str | None:
    """The part that a relationship of `source` leads to, in lower case."""
    if attributes.get("TargetMode") == "External":
        return None
    target = unquote(attributes.get("Target", "")).partition("#")[0].replace("\\", "/").lower()
    base = "/" + posixpath.dirname(source)
    return posixpath.normpath(posixpath.join(base, target)).lstrip("/") or None


_PROPERTIES = ("/core-properties", "/extended-properties", "/extendedProperties")


def _office_open(parts: _Parts) -> Package:
    main = _main_part(parts, _ContentTypes(parts))
    if main is None:
        return Package()
    if "_rels/.rels" not in parts:
        return Package(has_main=True)
    seen, left = {main}, [main]
    while left:
        source = left.pop()
        for attributes in _relationships(parts, source):
            target = _target(source, attributes)
            if target and target not in seen and target in parts:
                seen.add(target)
                left.append(target)
    described = frozenset(
        target
        for attributes in _relationships(parts, "")
        if attributes.get("Type", "").endswith(_PROPERTIES) and (target := _target("", attributes))
    )
    return Package(has_main=True, reachable=frozenset(seen), properties=described)


# ---- OpenDocument, EPUB


def _open_document(parts: _Parts) -> Package:
    sealed = any(name == "encryption-data" for name, _ in parts.elements("META-INF/manifest.xml"))
    return Package(has_main="content.xml" in parts, sealed=sealed)


def _book(parts: _Parts) -> Package:
    chapters: set[str] = set()
    for name, attributes in parts.elements("META-INF/container.xml"):
        document = attributes.get("full-path", "") if name == "rootfile" else ""
        for element, item in parts.elements(document) if document else ():
            if element == "item" and item.get("media-type") in _CHAPTER_TYPES:
                target = _target(document, {"Target": item.get("href", "")})
                if target and target in parts:
                    chapters.add(target)
    locked = [
        attributes.get("URI", "")
        for name, attributes in parts.elements("META-INF/encryption.xml")
        if name == "CipherReference"
    ]
    sealed = any(extension_of(name) not in _FONTS for name in locked)
    return Package(has_main=bool(chapters), chapters=frozenset(chapters), sealed=sealed)


_CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
