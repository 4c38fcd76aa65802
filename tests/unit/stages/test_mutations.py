"""Damaged files of every accepted media type, through the real stages: facts or a refusal by name.

Bits are flipped, parts cut out, cut off, overwritten and swapped. Each mutation is made from a seed
that its failure names.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Options
from sse_progress.settings import DEFAULT_TYPES
from sse_progress.stages.formats.media_types import canonical, kind_of
from tests.helpers.media import encoded, gif, jpeg, picture
from tests.media_samples import clip, pattern, tone
from tests.unit.stages.helpers import Desk, through
from tests.unit.stages.test_clips import SOUNDS, VIDEOS
from tests.unit.stages.test_odd_files import CODES
from tests.unit.stages.test_real_pictures import deep, heic, private, tiff

pytestmark = pytest.mark.usefixtures("unscored")

ANYTHING = Options(allowed_types=("*/*",), strip_metadata=True)
STAGE_CODES = CODES | {"metadata_kept"}
ROUNDS, LONG_ROUNDS = 6, 300

SMALL = pattern("96x64")


def movie(name: str, *options: str) -> Callable[[], bytes]:
    return lambda: clip(name, *SMALL, *tone(), *options).read_bytes()


FILES: dict[str, Callable[[], bytes]] = {
    "image/jpeg": lambda: jpeg(120, 80),
    "image/png": lambda: encoded(picture(120, 80), "PNG", exif=private()),
    "image/gif": lambda: gif(frames=4),
    "image/webp": lambda: encoded(picture(120, 80), "WEBP", exif=private()),
    "image/avif": lambda: encoded(picture(120, 80), "AVIF", exif=private()),
    "image/tiff": lambda: encoded(picture(60, 40), "TIFF", compression="tiff_lzw"),
    "image/bmp": lambda: encoded(picture(60, 40), "BMP"),
    "image/heic": lambda: heic(exif=private()),
    "image/heif": lambda: heic().replace(b"ftypheic", b"ftypmif1"),
    "video/mp4": lambda: VIDEOS["mp4"][2]().read_bytes(),
    "video/quicktime": movie("tc.mov", "-c:v", "mpeg4", "-c:a", "aac", "-timecode", "01:00:00:00"),
    "video/webm": lambda: VIDEOS["webm"][2]().read_bytes(),
    "video/x-matroska": lambda: VIDEOS["mkv"][2]().read_bytes(),
    "video/x-msvideo": movie("wma.avi", "-c:v", "mpeg4", "-c:a", "wmav2"),
    "video/mpeg": movie("both.mpg", "-c:v", "mpeg2video", "-c:a", "mp2"),
    "video/3gpp": lambda: VIDEOS["3gp"][2]().read_bytes(),
    "video/3gpp2": movie("a.3g2", "-c:v", "mpeg4", "-c:a", "aac"),
    "video/mp2t": movie("a.ts", "-c:v", "mpeg2video", "-c:a", "mp2"),
    "audio/mpeg": lambda: SOUNDS["mp3"][2]().read_bytes(),
    "audio/mp4": lambda: SOUNDS["m4a"][2]().read_bytes(),
    "audio/aac": lambda: SOUNDS["aac"][2]().read_bytes(),
    "audio/ogg": lambda: SOUNDS["opus"][2]().read_bytes(),
    "audio/flac": lambda: SOUNDS["flac"][2]().read_bytes(),
    "audio/wav": lambda: SOUNDS["wav"][2]().read_bytes(),
    "audio/webm": lambda: SOUNDS["webm"][2]().read_bytes(),
    "audio/x-matroska": lambda: clip("s.mka", *tone(), "-c:a", "libopus").read_bytes(),
    "audio/3gpp": lambda: clip("s.3gp", *tone(), "-c:a", "aac").read_bytes(),
    "audio/3gpp2": lambda: clip("s.3g2", *tone(), "-c:a", "aac").read_bytes(),
    # Further kinds of the same types.
    "image/tiff, 48 bits": lambda: tiff(deep(), photometric=2, sample_format=1),
    "image/png, animated": lambda: encoded(
        picture(40, 30), "PNG", save_all=True, append_images=[picture(40, 30, seed=2)]
    ),
    "image/webp, animated": lambda: encoded(
        picture(40, 30), "WEBP", save_all=True, append_images=[picture(40, 30, seed=2)]
    ),
    "image/x-icon": lambda: encoded(picture(64, 64), "ICO"),
    "image/jp2": lambda: encoded(picture(64, 64), "JPEG2000"),
    "video/x-flv": movie("a.flv", "-c:v", "flv1", "-c:a", "mp3"),
    "video/x-ms-asf": movie("a.wmv", "-c:v", "wmv2", "-c:a", "wmav2"),
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one kind of damage."""
    out, size = bytearray(data), len(data)
    first, second = sorted((chance.randrange(size), chance.randrange(size)))
    kind = chance.randrange(6)
    if kind < 2:  # bits, anywhere or among the headers
        for _ in range(chance.choice((1, 3, 10, 50))):
            out[chance.randrange(size if kind else min(size, 2000))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del out[max(first, 1) :]
    elif kind == 3:
        del out[first:second]
    elif kind == 4:
        length = chance.choice((1, 4, 8, 100, 5000))
        out[first : first + length] = chance.choice((b"\0", b"\x7f", b"\xff")) * length
    else:
        out = out[second:] + out[first:second] + out[:first]
    return bytes(out) or b"\0"


def test_every_accepted_media_type_is_damaged_here() -> None:
    """The table above has a file of each media type on the default list."""
    accepted = {canonical(one) for one in DEFAULT_TYPES.split(",")}
    assert {one for one in accepted if kind_of(one) in ("image", "video", "audio")} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_damage_ends_with_facts_or_a_refusal(
    desk: Desk, request: pytest.FixtureRequest, name: str
) -> None:
    """Whatever is wrong with a file is the file's fault: no stage fails over it."""
    data = FILES[name]()
    intact, _ = through(desk.upload(data, "a", options=ANYTHING), "validating")
    assert intact.results["validating"]["contentType"] == name.partition(",")[0].replace(
        "image/heif", "image/heic"
    )
    rounds = LONG_ROUNDS if request.config.getoption("--long") else ROUNDS
    for seed in range(rounds):
        damaged = mutated(data, random.Random(f"{name} {seed}"))
        refused = end_of(desk, damaged, f"{name}, seed {seed}")
        if refused is not None:
            assert refused.code in STAGE_CODES, (name, seed)
            assert refused.detail.endswith("."), (name, seed)


def end_of(desk: Desk, data: bytes, which: str) -> Rejected | None:
    """The refusal of a file, or None if it went through; anything else fails the test."""
    try:
        through(desk.upload(data, "a", options=ANYTHING))
    except Rejected as refused:
        return refused
    except Exception as exc:
        path = Path(desk.root) / "failing"
        path.write_bytes(data)
        raise AssertionError(f"{which}: {exc!r}; see {path}") from exc
    return None
