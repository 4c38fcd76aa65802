"""Small working copies of a picture: upright, sRGB, eight bits a channel, without metadata."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["orientation_of", "shrunk", "upright"]


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1-8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # broken metadata does not make a picture worse
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as it is to be displayed (EXIF 2.32, tag 0x0112)."""
    from PIL import Image as Pillow

    turns = {
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_270,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """A decoded copy of at most `side` x `side` pixels: upright, sRGB, mode RGB or RGBA.

    A JPEG is decoded at the nearest smaller scale, which makes this much cheaper than a full
    decode. No metadata comes along.
    """
    icc = image.info.get("icc_profile")
    image.draft("RGB", (side, side))
    image.load()
    orientation = orientation_of(image)
    copy = _reduced(image, side)
    copy.thumbnail((side, side), reducing_gap=2.0)
    copy = upright(_srgb(copy, icc), orientation)
    has_alpha = copy.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    copy = copy.convert("RGBA" if has_alpha else "RGB")
    copy.info.clear()
    return copy


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """A copy of eight bits a channel, at least twice as large as `side`.

    A large picture is converted and averaged band by band, so that memory for it is needed once.
    """
    from PIL import Image as Pillow

    tones = _tones(image)
    factor = max(image.size) // (2 * side)
    if factor < 2:
        return _shown(image, tones)
    rows = max(_BAND_PIXELS // image.width // factor, 1) * factor
    small: Image.Image | None = None
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        band = _shown(image.crop(box), tones).reduce(factor)
        if small is None:
            height = -(-image.height // factor)
            small = Pillow.new(band.mode, (band.width, height))
        small.paste(band, (0, top // factor))
    assert small is not None
    return small


_BAND_PIXELS = 8_000_000

_Tones = tuple[float, float] | None


def _tones(image: Image.Image) -> _Tones:
    """Factor and offset that bring deep grey to what a screen shows; None for eight bits."""
    if image.mode.startswith("I;16"):
        return 1 / 256, 0.0
    if image.mode not in ("I", "F"):
        return None
    low, high = image.getextrema()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    scale = 255 / (high - low) if high > low else 0.0
    return scale, -low * scale


def _shown(image: Image.Image, tones: _Tones) -> Image.Image:
    """A copy of eight bits a channel, with alpha where there is transparency."""
    if tones is not None:
        scale, offset = tones
        deep = image.convert("I") if image.mode.startswith("I;16") else image
        return deep.point(lambda value: value * scale + offset).convert("L")
    if image.mode == "P" or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image.copy()


def _srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Colours of an embedded ICC profile brought to sRGB; an unreadable profile is ignored."""
    if not icc or image.mode not in ("RGB", "CMYK", "L"):
        return image
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted
