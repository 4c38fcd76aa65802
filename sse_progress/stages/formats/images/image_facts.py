"""What a picture tells about itself: size, EXIF, dominant colors, a perceptual hash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_progress.model.media_analysis import Color, ImageFacts, Location
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.images.image_copies import orientation_of, shrunk
from sse_progress.stages.formats.images.images import frame_count, opened
from sse_progress.stages.formats.images.webp_times import webp_duration
from sse_progress.stages.progress import part

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["image_facts", "perceptual_hash"]

_WORKING_SIDE = 512
_COLORS = 5

_BASE_TAGS = {
    0x010E: "imageDescription",
    0x010F: "make",
    0x0110: "model",
    0x0131: "software",
    0x0132: "dateTime",
    0x8298: "copyright",
}
_CAMERA_TAGS = {
    0x829A: "exposureTime",
    0x829D: "fNumber",
    0x8822: "exposureProgram",
    0x8827: "iso",
    0x9003: "dateTimeOriginal",
    0x9011: "offsetTimeOriginal",
    0x9207: "meteringMode",
    0x9209: "flash",
    0x920A: "focalLength",
    0xA001: "colorSpace",
    0xA403: "whiteBalance",
    0xA405: "focalLengthIn35mmFilm",
    0xA433: "lensMake",
    0xA434: "lensModel",
}
"""The 20 fields that are reported (EXIF 2.32); serial numbers and owners' names are not."""

_CAMERA_IFD = 0x8769
_GPS_IFD = 0x8825


def image_facts(
    path: Path, media_type: str, *, max_pixels: int, keep_location: bool, report: Report
) -> ImageFacts:
    """Look at the picture once, in a working copy of at most 512 pixels a side."""
    frames = 0

    def bytes_fed(fraction: float, message: str | None = None) -> None:
        if frames == 1:
            report(0.7 * fraction, message)

    with opened(path, media_type, max_pixels=max_pixels, report=bytes_fed) as image:
        width, height = image.size
        mode, frames = image.mode, frame_count(image)
        has_alpha = mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        duration_s = None
        if frames > 1 and image.format != "TIFF":
            if image.format == "WEBP":
                duration_s = webp_duration(path)
            else:
                duration_s = _duration(image, frames, part(report, 0.0, 0.6))
                image.seek(0)
        copy = shrunk(image, _WORKING_SIDE)
        orientation = orientation_of(image)
        if orientation >= 5:
            width, height = height, width
        report(0.7, "Reading what the camera wrote")
        exif, location = _exif(image)
        report(0.8, "Finding the dominant colors")
        colors = _dominant_colors(copy)
        report(0.9, "Making a perceptual hash")
        facts = ImageFacts(
            width=width,
            height=height,
            format=str(image.format),
            mode=mode,
            has_alpha=has_alpha,
            orientation=orientation,
            frames=frames,
            duration_s=duration_s,
            colors=colors,
            perceptual_hash=perceptual_hash(copy),
            exif=exif,
            has_location=location is not None,
            location=location if keep_location else None,
        )
    report(1.0)
    return facts


def perceptual_hash(image: Image.Image) -> str:
    """A 64-bit difference hash of an upright picture, 16 hex digits (see `ImageFacts`).

    The idea is Neal Krawetz', "Kind of Like That", 2013. Compare two by their Hamming distance.
    """
    from PIL import Image as Pillow

    grey = image.convert("RGB").convert("L").resize((9, 8), Pillow.Resampling.LANCZOS)
    value = grey.tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            at = row * 9 + column
            bits = bits << 1 | (value[at + 1] > value[at])
    return f"{bits:016x}"


def _dominant_colors(image: Image.Image) -> list[Color]:
    """The most frequent of eight median-cut colors, over pixels that can be seen."""
    from PIL import Image as Pillow

    small = image.copy()
    small.thumbnail((128, 128))
    raw = small.convert("RGBA").tobytes()
    seen = b"".join(raw[at : at + 3] for at in range(0, len(raw), 4) if raw[at + 3] >= 128)
    if not seen:
        return []
    row = Pillow.frombytes("RGB", (len(seen) // 3, 1), seen)
    reduced = row.quantize(8, Pillow.Quantize.MEDIANCUT)
    palette = reduced.getpalette() or []
    found = sorted(reduced.getcolors() or [], reverse=True)[:_COLORS]
    return [
        Color(
            hex="#" + bytes(palette[3 * index : 3 * index + 3]).hex(),
            share=round(count / row.width, 3),
        )
        for count, index in found
        if isinstance(index, int)
    ]


def _duration(image: Image.Image, frames: int, report: Report) -> float | None:
    """One round of an animation, seconds; Pillow tells milliseconds frame by frame."""
    total = 0.0
    for number in range(frames):
        image.seek(number)
        if image.format == "AVIF":  # known only once the frame is decoded
            image.load()
        total += float(image.info.get("duration") or 0)
        report((number + 1) / frames, f"Timing frame {number + 1} of {frames}")
    return round(total / 1000, 3) or None


def _exif(image: Image.Image) -> tuple[dict[str, str | int | float], Location | None]:
    """Known EXIF fields and the position; what cannot be read is left out."""
    found: dict[str, str | int | float] = {}
    location = None
    try:
        exif = image.getexif()
        for tags, ifd in ((_BASE_TAGS, exif), (_CAMERA_TAGS, exif.get_ifd(_CAMERA_IFD))):
            for tag, name in tags.items():
                if (value := _plain(ifd.get(tag))) is not None:
                    found[name] = value
        location = _location(exif.get_ifd(_GPS_IFD))
    except Exception:  # Pillow's EXIF reader raises nearly anything on broken metadata
        return found, location
    return found, location


def _plain(value: Any) -> str | int | float | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return clean_text(value.replace("\0", " "), 100) or None
    if isinstance(value, tuple):
        value = value[0] if value else None
    if isinstance(value, int):
        return value
    return _number(value)


def _number(value: Any) -> float | None:
    try:
        number = round(float(value), 6)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if abs(number) < 1e12 else None  # NaN and infinities are not below it


def _location(gps: dict[int, Any]) -> Location | None:
    latitude = _degrees(gps.get(2), gps.get(1), "S", 90)
    longitude = _degrees(gps.get(4), gps.get(3), "W", 180)
    if latitude is None or longitude is None:
        return None
    altitude = _number(gps.get(6))
    below = gps.get(5) in (1, b"\x01")
    return Location(
        latitude=latitude,
        longitude=longitude,
        altitude_m=-altitude if altitude and below else altitude,
    )


def _degrees(parts: Any, reference: Any, negative: str, limit: int) -> float | None:
    """Degrees, minutes and seconds as one number; None if it is no place on Earth."""
    if not isinstance(parts, tuple) or not parts:
        return None
    numbers = [_number(value) for value in parts[:3]]
    if any(value is None for value in numbers):
        return None
    total = sum(float(value or 0) / 60.0**place for place, value in enumerate(numbers))
    if not 0 <= total <= limit:
        return None
    return round(-total if str(reference).strip("\0 ").upper() == negative else total, 6)
