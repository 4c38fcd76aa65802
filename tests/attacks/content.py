"""Hostile files, made here: bombs, two things in one, things that are not what they say."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from tests.helpers.media import gif, jpeg, png

# In halves, so that a scanner does not take this module for the test file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    b"<script>alert(document.cookie)</script></svg>"
)
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>" * 4
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a0 "lol">'
    + b"".join(b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><lolz>&a9;</lolz>"
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'


def archive(entries: dict[str, bytes], *, pack: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", pack) as file:
        for name, content in entries.items():
            file.writestr(zipfile.ZipInfo(name), content, pack)
    return out.getvalue()


def bomb(mebibytes: int = 100) -> bytes:
    """Zeros: about 1,000 times its size."""
    return archive({"zeros": bytes(mebibytes * 1024**2)})


def quine_like(depth: int = 12) -> bytes:
    """An archive in an archive in an archive…"""
    inner = archive({"a.txt": b"the end"})
    for level in range(depth):
        inner = archive({f"{level}.zip": inner})
    return inner


def overlapping(copies: int = 200, mebibytes: int = 1) -> bytes:
    """Many entries that share one body, so that the whole inflates to far more than it holds."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = bytes(range(256)) * (mebibytes * 4096)
    packed = packer.compress(plain) + packer.flush()
    crc = zlib.crc32(plain)
    common = struct.pack("<HHHHIII", 0, 8, 0, 33, crc, len(packed), len(plain))
    local = b"PK\x03\x04" + b"\x14\0" + common + struct.pack("<HH", 1, 0) + b"a" + packed
    directory = b"".join(
        b"PK\x01\x02\x14\0\x14\0" + common + struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + b"a"
        for _ in range(copies)
    )
    end = struct.pack("<HHHHIIH", 0, 0, copies, copies, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def pixels(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG that claims 3.6 gigapixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(100_000), 9))
        + chunk(b"IEND", b"")
    )


def text_bomb(mebibytes: int = 120) -> bytes:
    """A PNG whose compressed text chunk inflates without end."""
    text = b"note\0\0" + zlib.compress(bytes(mebibytes * 1024**2), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + text))
    whole = png(16, 16)
    return whole[:33] + chunk + whole[33:]


def document(xml: bytes) -> bytes:
    """A .docx whose main part is `xml`."""
    return archive(
        {
            "[Content_Types].xml": b'<?xml version="1.0"?><Types xmlns="http://schemas.'
            b'openxmlformats.org/package/2006/content-types"><Default Extension="xml" '
            b'ContentType="application/xml"/><Override PartName="/word/document.xml" '
            b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.'
            b'document.main+xml"/></Types>',
            "_rels/.rels": b'<?xml version="1.0"?><Relationships xmlns="http://schemas.'
            b'openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://'
            b'schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
            b'Target="word/document.xml"/></Relationships>',
            "word/document.xml": xml,
        }
    )


def paragraph(words: bytes = b"Good day.") -> bytes:
    return (
        b'<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/'
        b'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>%b</w:t></w:r></w:p></w:body>'
        b"</w:document>" % words
    )


def pdf(more: bytes = b"") -> bytes:
    """A one-page PDF with a correct cross-reference table; `more` goes behind its end."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]>>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, text in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%bendobj\n" % (number, text)
    at = len(out)
    out += b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    return bytes(out) + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % at + more


def gif_script() -> bytes:
    """A GIF that a browser would run as a script: its width and height open a comment."""
    return b"GIF89a/*" + gif(20, 20)[8:] + b"*/=1;alert(document.domain)//<script>"


def jpeg_archive() -> bytes:
    return jpeg(80, 60) + archive({"x.class": b"\xca\xfe\xba\xbe" + bytes(200)})


def jpeg_comment(text: bytes) -> bytes:
    """A sound JPEG with `text` in its comment segment."""
    whole = jpeg(80, 60)
    return whole[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + whole[2:]


def program() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(400)


def windows_program() -> bytes:
    head = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return head + b"PE\0\0" + struct.pack("<HH", 0x8664, 1) + bytes(500)
