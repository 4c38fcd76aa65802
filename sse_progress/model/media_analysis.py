"""What analyzing finds in a file, by kind: the shapes of `media.analysis`. Types only."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Analysis",
    "ArchiveFacts",
    "AudioFacts",
    "Color",
    "DocumentFacts",
    "ImageFacts",
    "Location",
    "Loudness",
    "OtherFacts",
    "Shape",
    "SoundTrack",
    "TextFacts",
    "VideoFacts",
]


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """On the wire in camelCase, without the members that say nothing."""


# ---- pictures


class Color(Shape, frozen=True, kw_only=True):
    """A dominant color: sRGB as `#rrggbb`, and its share of the visible pixels, 0-1."""

    hex: str
    share: float


class Location(Shape, frozen=True, kw_only=True):
    """Where a picture was taken: WGS 84 degrees, north and east positive; altitude in metres."""

    latitude: float
    longitude: float
    altitude_m: float | None = None


class ImageFacts(Shape, frozen=True, kw_only=True, tag="image", tag_field="kind"):
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


# ---- video and audio


class Loudness(Shape, frozen=True, kw_only=True):
    """EBU R 128: integrated loudness in LUFS, range in LU, true peak in dB of full scale."""

    integrated_lufs: float
    range_lu: float | None = None
    peak_dbfs: float | None = None


class SoundTrack(Shape, frozen=True, kw_only=True):
    """The first audio stream; `sample_rate` Hz, `bit_rate` bits per second."""

    codec: str
    sample_rate: int
    channels: int
    bit_rate: int | None = None
    language: str | None = None
    loudness: Loudness | None = None


class VideoFacts(Shape, frozen=True, kw_only=True, tag="video", tag_field="kind"):
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


class AudioFacts(Shape, frozen=True, kw_only=True, tag="audio", tag_field="kind"):
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


# ---- documents, text, archives


class DocumentFacts(Shape, frozen=True, kw_only=True, tag="document", tag_field="kind"):
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


class TextFacts(Shape, frozen=True, kw_only=True, tag="text", tag_field="kind"):
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


class ArchiveFacts(Shape, frozen=True, kw_only=True, tag="archive", tag_field="kind"):
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


class OtherFacts(Shape, frozen=True, kw_only=True, tag="other", tag_field="kind"):
    """A file that nothing here can look into."""

    not_checked: list[str] = []


Analysis = (
    ImageFacts | VideoFacts | AudioFacts | DocumentFacts | TextFacts | ArchiveFacts | OtherFacts
)
