"""The picture model over pictures, frames, pages and entries; its thresholds and its absence."""

from __future__ import annotations

import io

import msgspec
import pytest
from PIL import Image

from sse_progress.stages.scans import nsfw
from tests.helpers.media import encoded, jpeg, picture
from tests.media_samples import clip, docx, package, pattern, zipped
from tests.unit.stages.helpers import DATA, Desk, refusal, through

WORST = DATA / "scores-0.88-on-open-nsfw.png"


def test_a_picture_that_the_model_refuses(desk: Desk) -> None:
    """A harmless abstract picture that scores 0.88 is refused; the sentence has both numbers."""
    error = refusal(desk.upload(WORST, "a.png"), "moderating")
    assert error.code == "moderation_refused"
    assert "0.88" in error.detail
    assert "0.80" in error.detail


def test_between_the_thresholds_is_review(desk: Desk) -> None:
    """From the review threshold on a file completes with its reason and score; below, silently."""
    lenient = msgspec.structs.replace(desk.options, nsfw_refuse=0.95)
    upload, _ = through(desk.upload(WORST, "a.png", options=lenient))
    result = upload.results["moderating"]
    assert result["verdict"] == "review"
    assert [reason["rule"] for reason in result["reasons"]] == ["nsfw"]
    assert result["scores"]["nsfw"] == pytest.approx(0.88, abs=0.01)
    assert result["sampled"] == {"unit": "picture", "lookedAt": 1, "of": 1}

    liberal = msgspec.structs.replace(desk.options, nsfw_review=0.9, nsfw_refuse=0.95)
    upload, _ = through(desk.upload(WORST, "a.png", options=liberal))
    assert upload.results["moderating"]["verdict"] == "approved"


def test_one_frame_of_an_animation_is_enough(desk: Desk) -> None:
    """An animation is sampled over its length, not by its first frame."""
    with Image.open(WORST) as worst:
        frames = [picture(256, 256, seed=seed) for seed in range(7)] + [worst.convert("RGB")] * 2
    out = io.BytesIO()
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True
    )
    error = refusal(desk.upload(out.getvalue(), "a.webp"), "moderating")
    assert (error.code, "Frame 8" in error.detail) == ("moderation_refused", True)


def test_one_moment_of_a_video_is_enough(desk: Desk) -> None:
    """A video whose last quarter shows the picture is refused, with the moment."""
    path = clip(
        "worst.mp4", *pattern("256x256", seconds="3"), "-loop", "1", "-t", "1", "-i", str(WORST),
        "-filter_complex", "[1]scale=256:256,setsar=1,fps=25[b];[0]setsar=1[a];[a][b]concat",
        "-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv444p",
    )  # fmt: skip
    error = refusal(desk.upload(path, "a.mp4"), "moderating")
    assert error.code == "moderation_refused"
    assert " at 3." in error.detail


def test_a_page_of_a_pdf(desk: Desk) -> None:
    """A page that shows the picture is refused, with its number."""
    with Image.open(WORST) as worst:
        pages = [picture(256, 256), worst.convert("RGB")]
        out = io.BytesIO()
        pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], quality=95)
    error = refusal(desk.upload(out.getvalue(), "a.pdf"), "moderating")
    assert (error.code, "Page 2" in error.detail) == ("moderation_refused", True)


@pytest.mark.parametrize("name", ["holiday.png", "holiday.dat"])
def test_a_picture_in_an_archive(desk: Desk, name: str) -> None:
    """An archive or document does not hide a picture, whatever the entry is called."""
    for data in (
        zipped({"a.jpg": jpeg(64, 48), name: WORST.read_bytes()}),
        zipped({"inner.zip": zipped({name: WORST.read_bytes()})}),
        docx("x", more={f"word/media/{name}": WORST.read_bytes()}),
    ):
        error = refusal(desk.upload(data, "a.zip"), "moderating")
        assert (error.code, name in error.detail) == ("moderation_refused", True)


def test_how_much_of_an_archive_was_looked_at(desk: Desk) -> None:
    """The first 16 pictures are looked at, all are counted, broken ones are told."""
    members = {f"{number}.jpg": jpeg(64, 48, seed=number) for number in range(18)}
    members["0.jpg"] = members["0.jpg"][:300]
    upload, _ = through(desk.upload(zipped(members), "a.zip"), "moderating")
    result = upload.results["moderating"]
    assert result["sampled"] == {"unit": "picture", "lookedAt": 16, "of": 18}
    assert result["notChecked"] == ["1 pictures inside that cannot be decoded"]


def test_a_missing_model_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the model a picture passes, and the answer says that it was not looked at."""
    monkeypatch.setattr(nsfw, "available", lambda: False)
    upload, _ = through(desk.upload(WORST, "a.png"), "moderating")
    result = upload.results["moderating"]
    assert (result["verdict"], result["scores"]) == ("approved", {})
    assert result["notChecked"] == [nsfw.MISSING]


def test_photos_of_everyday_things_are_approved(desk: Desk) -> None:
    """An astronaut, a cat, a cup of coffee and a rocket are fine."""
    folder = package("scikit-image", kind="wheel", inside="skimage/data")
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
        upload, _ = through(desk.upload(folder / name, name), "moderating")
        result = upload.results["moderating"]
        assert (result["verdict"], result["scores"]["nsfw"] < 0.2) == ("approved", True), name


def test_scores_do_not_depend_on_the_file_format(desk: Desk) -> None:
    """The same picture as PNG, JPEG and WebP scores within a few hundredths."""
    lenient = msgspec.structs.replace(desk.options, nsfw_refuse=1.0)
    scores = []
    with Image.open(WORST) as worst:
        for format, options in (("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})):
            data = encoded(worst.convert("RGB"), format, **options)
            upload, _ = through(desk.upload(data, "a", options=lenient), "moderating")
            scores.append(upload.results["moderating"]["scores"]["nsfw"])
    assert max(scores) - min(scores) < 0.1
