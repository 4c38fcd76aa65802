"""What a finished upload says about itself: the shapes inside `media` of the `complete` event.

Only types: nothing here opens a file. Stages fill these in, `facts()` turns one into the plain
object that travels; the served OpenAPI schema is made from them. Stages of a plug-in may add
members of their own beside these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = [
    "Analysis",
    "ArchiveFacts",
    "AudioFacts",
    "Clip",
    "Color",
    "DerivedFile",
    "DocumentFacts",
    "ImageFacts",
    "Location",
    "Loudness",
    "Media",
    "Moderation",
    "OtherFacts",
    "Reason",
    "Replacement",
    "Sampled",
    "SoundTrack",
    "TextFacts",
    "Validation",
    "VideoFacts",
    "facts",
    "merged",
]


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """On the wire in camelCase, without the members that say nothing."""


# ---- validating


class Clip(_Shape, frozen=True, kw_only=True):
    """What was counted in a video or sound file: `duration_s` from its packets' time stamps.

    Without moving pictures `frames` is 0. `field_coded`: each packet is one field, half a frame.
    """

    duration_s: float
    frames: int = 0
    key_frames: int = 0
    field_coded: bool = False


class Validation(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    """What validating found: the result of the stage `validating`.

    `content_type` is what the bytes are; `claimed_type` what the client said; whether the name's
    extension fits is noted and never trusted. `checks` lists what was really looked at,
    `not_checked` what could not be, `reasons` what the malware rules want a person to see.
    """

    content_type: str
    claimed_type: str
    extension_matches: bool | None
    checks: list[str] = []
    not_checked: list[str] = []
    reasons: list[Reason] = []
    clip: Clip | msgspec.UnsetType = msgspec.UNSET


# ---- analyzing: pictures


class Color(_Shape, frozen=True, kw_only=True):
    """A dominant color: sRGB as `#rrggbb`, and its share of the visible pixels, 0-1."""

    hex: str
    share: float


class Location(_Shape, frozen=True, kw_only=True):
    """Where a picture was taken: WGS 84 degrees, north and east positive; altitude in metres."""

    latitude: float
    longitude: float
    altitude_m: float | None = None


class ImageFacts(_Shape, frozen=True, kw_only=True, tag="image", tag_field="kind"):
    """A picture.

    `width` and `height` are pixels as displayed, after `orientation` (EXIF 1-8) was applied;
    `duration_s` is one round of an animation. `perceptual_hash` is a 64-bit difference hash, 16
    hex digits: the picture is shrunk to 9 x 8 grey pixels and each bit, row by row from the top
    left, most significant first, says whether a pixel is brighter than its left neighbour;
    alike pictures differ in few bits (up to about 10). `exif` holds at most 20 known fields;
    `location` is present only where the operator allows it, `has_location` says that there is one.
    """

    width: int
    height: int
    format: str
    mode: str
    has_alpha: bool
    orientation: int
    frames: int = 1
    duration_s: float | None = None
    colors: list[Color] = []
    perceptual_hash: str
    exif: dict[str, str | int | float] = {}
    has_location: bool = False
    location: Location | None = None
    not_checked: list[str] = []


# ---- analyzing: video and audio


class Loudness(_Shape, frozen=True, kw_only=True):
    """EBU R 128: integrated loudness in LUFS, range in LU, true peak in dB of full scale."""

    integrated_lufs: float
    range_lu: float | None = None
    peak_dbfs: float | None = None


class SoundTrack(_Shape, frozen=True, kw_only=True):
    """The first audio stream; `sample_rate` Hz, `bit_rate` bits per second."""

    codec: str
    sample_rate: int
    channels: int
    bit_rate: int | None = None
    language: str | None = None
    loudness: Loudness | None = None


class VideoFacts(_Shape, frozen=True, kw_only=True, tag="video", tag_field="kind"):
    """A video.

    `width` and `height` are pixels as displayed, after `rotation` (degrees clockwise: 0, 90, 180,
    270) was applied; `pixel_aspect` is there where pixels are not square (width by height);
    `frame_rate` frames per second, averaged; `bit_rate` bits per second of the whole file.
    `frames` and `key_frames` were counted; `decoded_frames` says how many were really decoded: all
    of them, or in a long video only the key frames. What no picture is shown for (a field, what an
    edit list cuts away) is not a frame.
    """

    container: str
    codec: str
    width: int
    height: int
    rotation: int = 0
    pixel_aspect: float | None = None
    pixel_format: str | None = None
    frame_rate: float | None = None
    variable_frame_rate: bool | None = None
    duration_s: float
    bit_rate: int | None = None
    frames: int
    key_frames: int
    decoded_frames: int
    audio: SoundTrack | None = None
    audio_streams: int = 0
    subtitle_streams: int = 0
    not_checked: list[str] = []


class AudioFacts(_Shape, frozen=True, kw_only=True, tag="audio", tag_field="kind"):
    """Sound without moving pictures; `has_cover` says that a picture is attached."""

    container: str
    codec: str
    duration_s: float
    sample_rate: int
    channels: int
    bit_rate: int | None = None
    loudness: Loudness | None = None
    tags: dict[str, str] = {}
    has_cover: bool = False
    not_checked: list[str] = []


# ---- analyzing: documents, text, archives


class DocumentFacts(_Shape, frozen=True, kw_only=True, tag="document", tag_field="kind"):
    """A PDF, office document or e-book.

    `pages` counts pages, slides or sheets, as the format has them; `characters` and `words` count
    the text that could be extracted from the first `read_pages` of them; `language` is ISO 639-1
    with the recogniser's confidence, 0-1.
    """

    format: str
    pages: int | None = None
    read_pages: int | None = None
    page_width_pt: float | None = None
    page_height_pt: float | None = None
    characters: int = 0
    words: int = 0
    language: str | None = None
    language_confidence: float | None = None
    title: str | None = None
    encrypted: bool = False
    javascript: bool = False
    attachments: int = 0
    not_checked: list[str] = []


class TextFacts(_Shape, frozen=True, kw_only=True, tag="text", tag_field="kind"):
    """A plain text; `columns` and `rows` are there for tables (CSV).

    `encoding` is a Python codec's name; it and `characters` are absent where the bytes do not say
    it, and `not_checked` tells so. `rows` counts the first row too, `columns` is there if every
    row has as many.
    """

    encoding: str | None = None
    line_ending: Literal["lf", "crlf", "cr", "mixed", "none"]
    lines: int
    words: int
    characters: int | None = None
    language: str | None = None
    language_confidence: float | None = None
    columns: int | None = None
    rows: int | None = None
    not_checked: list[str] = []


class ArchiveFacts(_Shape, frozen=True, kw_only=True, tag="archive", tag_field="kind"):
    """A zip archive: counted over everything in it, nested archives included; sizes in bytes.

    `unsafe_names` counts entries whose names would leave the folder they are unpacked into.
    `types` counts entries by extension, the 20 most frequent.
    """

    entries: int
    file_count: int
    nested_archives: int = 0
    encrypted_entries: int = 0
    unsafe_names: int = 0
    inflated_bytes: int
    packed_bytes: int
    types: dict[str, int] = {}
    not_checked: list[str] = []


class OtherFacts(_Shape, frozen=True, kw_only=True, tag="other", tag_field="kind"):
    """A file that nothing here can look into."""

    not_checked: list[str] = []


Analysis = (
    ImageFacts | VideoFacts | AudioFacts | DocumentFacts | TextFacts | ArchiveFacts | OtherFacts
)


# ---- moderating


class Reason(_Shape, frozen=True, kw_only=True):
    """Why a file is marked for review: the rule, where it matched, and one sentence."""

    rule: str
    where: str
    detail: str
    score: float | None = None


class Sampled(_Shape, frozen=True, kw_only=True):
    """What the picture model looked at: `looked_at` of `of` pictures, frames or pages."""

    unit: Literal["picture", "frame", "page"]
    looked_at: int
    of: int


class Moderation(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    """The verdict on an upload that was not refused: the result of the stage `moderating`.

    `scores` are 0-1 by model (`nsfw` is the worst of what was sampled); `not_checked` lists every
    check of the whole upload that was not available, validation's included.
    """

    verdict: Literal["approved", "review"]
    reasons: list[Reason] = []
    scores: dict[str, float] = {}
    sampled: Sampled | msgspec.UnsetType = msgspec.UNSET
    checks: list[str] = []
    not_checked: list[str] = []


# ---- processing, and the whole


class Replacement(_Shape, frozen=True, kw_only=True):
    """A rewritten original in the scratch directory, to take the original's place."""

    name: str
    size: int
    sha256: str


class DerivedFile(_Shape, frozen=True, kw_only=True):
    """A file made from the original; `size` bytes, `url` a path of this service."""

    name: str
    content_type: str
    size: int
    url: str


class Media(_Shape, frozen=True, kw_only=True, omit_defaults=False):
    """A complete upload. `content_type` is what the bytes are; `created_at` RFC 3339, UTC."""

    id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    fields: dict[str, str | list[str]] = {}
    url: str
    files: list[DerivedFile] = []
    analysis: Analysis | None = None
    moderation: Moderation | None = None
    created_at: str


# ---- to and fro


def facts(shape: msgspec.Struct) -> dict[str, Any]:
    """`shape` as the plain object that a stage returns and that travels in `media`."""
    plain: dict[str, Any] = msgspec.to_builtins(shape)
    return plain


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """One result of a stage that is made of two functions.

    Lists are joined without repetition, objects merged, `verdict: review` outlives `approved`; of
    any other two values the later one holds.
    """
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        if isinstance(before, list) and isinstance(value, list):
            result[key] = before + [item for item in value if item not in before]
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        elif not (key == "verdict" and before == "review"):
            result[key] = value
    return result
