"""Headers of tus, of the IETF draft and of RFC 9530, as they are read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.ingest.checksums import Checked
from sse_progress.ingest.part_headers import filename_of
from sse_progress.model.errors import BadRequest, InconsistentLength
from sse_progress.web.dialects import draft, tus
from sse_progress.web.dialects.structured_fields import (
    boolean,
    byte_sequences,
    non_negative_integer,
)

KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
)


def fields(**given: str) -> Callable[[str], str | None]:
    """Headers by keyword: `upload_length="1"`."""
    return {name.replace("_", "-"): value for name, value in given.items()}.get


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


# ---- structured fields


@pytest.mark.parametrize(
    ("value", "read"),
    [("?1", True), ("?0", False), (" ?1 ", True), ("?1;a;b=1", True), ('?0;a="x\\"y"', False)]
    + [(wrong, None) for wrong in ("", "1", "true", "?2", "?1?1", "?1, ?1", "?1;A", "?1;", "?")],
)
def test_a_boolean(value: str, read: bool | None) -> None:
    """Anything else is as if it was not sent (RFC 9651 §3.3.6)."""
    assert boolean(value) is read


@pytest.mark.parametrize(
    ("value", "read"),
    [("0", 0), ("12;x=?1", 12), ("999999999999999", 10**15 - 1), ("007", 7)]
    + [(w, None) for w in ("", "-1", "1.0", "1e3", "+1", "1, 1", "0x1", "٣", "9" * 16, "1 1")],
)
def test_a_non_negative_integer(value: str, read: int | None) -> None:
    """At most 15 digits (RFC 9651 §3.3.1), and never a sign."""
    assert non_negative_integer(value) == read


def test_byte_sequences() -> None:
    """Members of other types are left out, the last of a repeated key holds."""
    one, two = b64(b"one"), b64(b"two")
    assert byte_sequences(f"sha-256=:{one}:, other=1;p, sha-512=:{two}:;q=1") == {
        "sha-256": b"one",
        "sha-512": b"two",
    }
    assert byte_sequences(f"a=:{one}:,a=:{two}:") == {"a": b"two"}
    assert byte_sequences(f"a=:{one}:, a=1") == {}
    assert byte_sequences("") == {}


@pytest.mark.parametrize(
    "wrong", ["a=:x", "a=:!:", "A=:eA==:", "a=:eA==:,", "a=:eA==: b", "=", ":"]
)
def test_what_is_no_dictionary(wrong: str) -> None:
    """A comma at the end, a broken member or a wrong key make all of it void (RFC 9651 §4.2)."""
    assert byte_sequences(wrong) is None


@given(st.text(max_size=200))
def test_readers_of_structured_fields_never_raise(value: str) -> None:
    """Whatever comes is a value or none."""
    for read in (boolean, non_negative_integer, byte_sequences):
        read(value)


@given(st.dictionaries(st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True), st.binary()))
def test_written_byte_sequences_are_read(members: dict[str, bytes]) -> None:
    """What is written by the rules is what is read."""
    header = ", ".join(f"{key}=:{b64(value)}:" for key, value in members.items())
    assert byte_sequences(header) == members


# ---- tus


def test_a_creation() -> None:
    """Length and decoded metadata; a key may stand alone."""
    header = f"filename {b64('Grüße.mp4')},is_final,  filetype {b64('video/mp4')}"
    read = tus.read_creation(fields(upload_length="12", upload_metadata=header))
    assert read.length == 12
    assert read.metadata == {"filename": "Grüße.mp4", "is_final": "", "filetype": "video/mp4"}
    assert read.metadata_header == header
    assert tus.read_creation(fields(upload_defer_length="1")).length is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"upload_length": "1", "upload_defer_length": "1"},
        {"upload_defer_length": "0"},
        {"upload_length": "-1"},
        {"upload_length": "1e3"},
        {"upload_length": "1, 1"},
        {"upload_length": "9" * 19},
        {"upload_length": "٣"},
        {"upload_length": "1", "upload_metadata": "a =="},
        {"upload_length": "1", "upload_metadata": "a YQ"},
        {"upload_length": "1", "upload_metadata": "a YQ==,a YQ=="},
        {"upload_length": "1", "upload_metadata": "a YQ==,"},
        {"upload_length": "1", "upload_metadata": "a\x00b YQ=="},
        {"upload_length": "1", "upload_metadata": "ü YQ=="},
        {"upload_length": "1", "upload_metadata": f"a {b64(bytes([255]))}"},
        {"upload_length": "1", "upload_metadata": f"a {b64('x' * 30000)}"},
    ],
)
def test_a_creation_that_is_refused(wrong: dict[str, str]) -> None:
    """Each is a bad request, and nothing is guessed."""
    with pytest.raises(BadRequest):
        tus.read_creation(fields(**wrong))


@given(st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_metadata_comes_back(metadata: dict[str, str]) -> None:
    """Whatever a client encodes by the protocol is what is read."""
    header = ",".join(f"{key} {b64(value)}" for key, value in metadata.items())
    assert tus.read_creation(fields(upload_length="1", upload_metadata=header)).metadata == metadata


@given(st.text(max_size=100), st.text(max_size=100), st.text(max_size=100))
def test_tus_headers_are_read_or_refused(length: str, metadata: str, checksum: str) -> None:
    """Nothing but BadRequest is raised."""
    given = fields(upload_length=length, upload_metadata=metadata, upload_checksum=checksum)
    for read in (tus.read_creation, tus.read_append, tus.read_checksum):
        with suppress(BadRequest):
            read(given)


def test_an_append() -> None:
    """Offset, a length that follows, and a checksum."""
    read = tus.read_append(
        fields(upload_offset="5", upload_length="9", upload_checksum=f"sha1 {b64(b'x' * 20)}")
    )
    assert (read.offset, read.length, read.checksum) == (5, 9, {"sha1": b"x" * 20})
    for wrong in (
        {},
        {"upload_offset": "x"},
        {"upload_offset": "1", "upload_checksum": "md5 eA=="},
    ):
        with pytest.raises(BadRequest):
            tus.read_append(fields(**wrong))


# ---- the draft


def test_a_part_of_the_draft() -> None:
    """The length of a last part is where it ends, unless it says another one."""
    given = {"upload_complete": "?1", "upload_offset": "10"}
    read = draft.read_part(fields(**given), content_length=5)
    assert (read.complete, read.offset, read.length, read.interop) == (True, 10, 15, None)
    assert draft.read_part(fields(**given, upload_length="15"), content_length=5).length == 15
    with pytest.raises(InconsistentLength):
        draft.read_part(fields(**given, upload_length="16"), content_length=5)
    assert draft.read_part(fields(upload_complete="?1"), content_length=None).length is None
    assert draft.read_part(fields(upload_complete="?0"), content_length=5).length is None


@pytest.mark.parametrize(
    ("version", "at_length", "typed", "known"),
    [
        ("2", False, True, False),
        ("3", True, False, True),
        ("5", True, False, True),
        ("6", True, True, True),
        ("7", False, True, True),
        ("8", False, True, True),
        ("9", False, True, False),
        ("x", False, True, False),
    ],
)
def test_what_an_interop_version_means(
    version: str, at_length: bool, typed: bool, known: bool
) -> None:
    """Up to 6 the last byte completes; up to 5 no media type is asked for."""
    read = draft.read_part(
        fields(upload_complete="?0", upload_draft_interop_version=version), content_length=1
    )
    assert (read.completes_at_length, read.needs_type) == (at_length, typed)
    assert (read.interop is not None) is known


def test_completeness_by_its_old_name() -> None:
    """Interop 3 says whether the upload is *incomplete*; others do not."""
    three = fields(upload_incomplete="?0", upload_draft_interop_version="3")
    assert draft.is_part(three)
    assert draft.read_part(three, content_length=None).complete
    assert not draft.is_part(fields(upload_incomplete="?0", upload_draft_interop_version="5"))
    assert draft.flag(complete=True, interop=3) == ("upload-incomplete", "?0")
    assert draft.flag(complete=True, interop=8) == ("upload-complete", "?1")


def test_digests_that_are_known() -> None:
    """Unknown algorithms are ignored; what is no dictionary is refused."""
    given = fields(upload_complete="?1", content_digest=f"md5=:eA==:, sha-256=:{b64(b'x')}:")
    assert draft.read_part(given, content_length=1).content_digests == {"sha-256": b"x"}
    with pytest.raises(BadRequest):
        draft.read_part(fields(upload_complete="?1", repr_digest="sha-256="), content_length=1)


@given(st.dictionaries(st.sampled_from(["upload-complete", "upload-offset", "upload-length",
    "upload-incomplete", "upload-draft-interop-version", "content-digest", "repr-digest"]),
    st.text(max_size=60)), st.none() | st.integers(0, 2**53))  # fmt: skip
def test_headers_of_the_draft_are_read_or_refused(
    given: dict[str, str], content_length: int | None
) -> None:
    """Nothing but a Problem is raised."""
    with suppress(BadRequest, InconsistentLength):
        draft.read_part(given.get, content_length=content_length)


# ---- checksums and names


@given(st.lists(st.binary(max_size=50)), st.sampled_from(["sha1", "sha256", "crc32c", "sha-512"]))
def test_a_checksum_is_of_all_bytes(pieces: list[bytes], algorithm: str) -> None:
    """In whatever pieces they come, and it differs for one byte more."""
    whole = b"".join(pieces)
    of = {"crc32c": _crc32c, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
    digest = of.get(algorithm, hashlib.sha512)(whole)
    announced = digest if isinstance(digest, bytes) else digest.digest()
    checked = Checked({algorithm: announced})
    for piece in pieces:
        checked.update(piece)
    assert checked
    assert checked.wrong() is None
    checked.update(b"x")
    assert checked.wrong() == algorithm


def _crc32c(data: bytes) -> bytes:
    """Bit by bit, with the reversed polynomial of RFC 3720 §12.1."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return (value ^ 0xFFFFFFFF).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b'attachment; filename="a.mp4"', "a.mp4"),
        (b"inline; filename*=UTF-8''%e2%82%ac.txt; filename=x", "\u20ac.txt"),
        (b"inline", None),
        (b"attachment; filename=a.txt", "a.txt"),
    ],
)
def test_the_name_in_a_content_disposition(header: bytes, name: str | None) -> None:
    """Whatever its type; the extended parameter holds (RFC 6266 §4.3)."""
    assert filename_of(header) == name


@given(st.binary(max_size=100))
def test_a_content_disposition_is_read_or_refused(header: bytes) -> None:
    """Nothing but ValueError is raised."""
    with suppress(ValueError):
        filename_of(header)
