"""Real pictures made with Pillow: every byte depends on the arguments alone."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw


def picture(
    width: int = 640, height: int = 480, *, seed: int = 1, mode: str = "RGB"
) -> Image.Image:
    """A gradient with seeded shapes: compresses like a photo, and no two seeds look alike."""
    chance = random.Random(seed)
    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    draw = ImageDraw.Draw(image)
    bands = len(image.getbands())
    for _ in range(24):
        x, y = chance.randrange(width), chance.randrange(height)
        box = (x, y, x + chance.randrange(1, width), y + chance.randrange(1, height))
        colour = tuple(chance.randrange(256) for _ in range(bands))
        draw.ellipse(box, fill=colour if bands > 1 else colour[0])
    return image


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def jpeg(
    width: int = 640, height: int = 480, *, seed: int = 1, exif: Image.Exif | None = None
) -> bytes:
    """A JPEG file, quality 90."""
    options: dict[str, object] = {"quality": 90}
    if exif is not None:
        options["exif"] = exif
    return encoded(picture(width, height, seed=seed), "JPEG", **options)


def png(width: int = 640, height: int = 480, *, seed: int = 1, mode: str = "RGB") -> bytes:
    return encoded(picture(width, height, seed=seed, mode=mode), "PNG")


def gif(width: int = 120, height: int = 90, *, frames: int = 5) -> bytes:
    """An animated GIF of `frames` different frames, 100 ms each."""
    first, *rest = [picture(width, height, seed=seed + 1) for seed in range(frames)]
    return encoded(first, "GIF", save_all=True, append_images=rest, duration=100, loop=0)


def noise(size: int, *, seed: int = 1) -> bytes:
    """`size` bytes that no decoder accepts and no compressor shrinks."""
    return random.Random(seed).randbytes(size)
