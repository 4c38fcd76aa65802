"""Samples for moderation services: what is taken of each kind, and what is believed of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from sse_progress.model.errors import Rejected
from sse_progress.stages.services.samples import (
    LIST_NAME,
    MOST_PICTURES,
    PICTURE_BYTES,
    Picture,
    Samples,
    picture_bytes,
)
from sse_progress.stages.services.sampling import take_samples
from tests.helpers.media import jpeg
from tests.media_samples import clip, docx, pattern, pdf, zipped
from tests.unit.stages.helpers import Desk, Reports, through


def taken(desk: Desk, content: bytes | Path, name: str) -> tuple[Samples, Path]:
    """The samples of a file, and where they are."""
    upload, _ = through(desk.upload(content, name), last="validating")
    reports = Reports()
    take_samples(upload, reports)
    reports.assert_honest()
    return Samples.load(Path(upload.scratch)), Path(upload.scratch)


def test_a_video_gives_frames_taken_evenly(desk: Desk) -> None:
    """No more than a few, small, in order, each with its moment."""
    samples, where = taken(desk, clip("a.mp4", *pattern(), "-t", "4"), "a.mp4")
    assert 1 < len(samples.pictures) <= MOST_PICTURES
    moments = [float(one.where.split()[3]) for one in samples.pictures]
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] > 1
    for one in samples.pictures:
        with Image.open(io.BytesIO(picture_bytes(where, one))) as picture:
            assert max(picture.size) <= 512


def test_documents_give_their_text_and_pages(desk: Desk) -> None:
    samples, _ = taken(desk, pdf(("First page.", "Second page.")), "two.pdf")
    assert [one.where for one in samples.pictures] == ["page 1", "page 2"]
    assert "Second page." in (samples.text or "")
    samples, _ = taken(desk, docx("Dear all,", "bye"), "letter.docx")
    assert "Dear all," in (samples.text or "")
    assert samples.pictures == ()


def test_what_is_not_taken_is_said(desk: Desk) -> None:
    samples, _ = taken(desk, zipped({"a.txt": "a"}), "a.zip")
    assert "the files in the archive" in samples.not_taken
    samples, _ = taken(desk, b"word and " * 20_000, "long.txt")
    assert samples.not_taken == ("text beyond the first 100000 characters",)
    samples, _ = taken(desk, jpeg(), "photo.jpg")
    assert samples.not_taken == ()


def nothing(path: Path) -> None:
    """Listed, and not there."""


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def second_name(path: Path) -> None:
    (path.parent / "other").write_bytes(b"x")
    path.hardlink_to(path.parent / "other")


def huge(path: Path) -> None:
    path.write_bytes(bytes(PICTURE_BYTES + 1))


@pytest.mark.parametrize(
    "make",
    [nothing, link, second_name, huge, Path.mkdir, os.mkfifo],
    ids=lambda make: make.__name__,
)
def test_a_taken_decoder_shows_no_other_file(tmp_path: Path, make: object) -> None:
    """A link, a pipe that would hang, too much, or nothing at all: the upload is refused."""
    make(tmp_path / "sample-1.jpg")  # type: ignore[operator]
    with pytest.raises(Rejected) as refused:
        picture_bytes(tmp_path, Picture(name="sample-1.jpg", where=""))
    assert refused.value.code == "corrupt_file"


@pytest.mark.parametrize(
    "listed",
    [
        b"",
        b"[]",
        b'{"pictures":[{"name":"../original","where":""}]}',
        b'{"pictures":[{"name":"sample-1.jpg/../x","where":""}]}',
        b'{"text":7}',
        b"[" * 100_000,
    ],
)
def test_a_list_of_another_shape_is_refused(tmp_path: Path, listed: bytes) -> None:
    (tmp_path / LIST_NAME).write_bytes(listed)
    with pytest.raises(Rejected):
        Samples.load(tmp_path)
