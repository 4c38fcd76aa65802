"""Opening pictures safely with Pillow: every pixel decoded, bombs refused by name.

The one place that opens a picture; analysis, moderation and processing take theirs from here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from sse_progress.model.errors import Rejected
from sse_progress.model.stage_api import Report
from sse_progress.stages.formats.disk_errors import is_disk_error
from sse_progress.stages.formats.images.image_refusals import refusal_of
from sse_progress.stages.progress import megabytes

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["check_image", "decodable", "frame_count", "load_plugins", "opened"]

MAX_FRAMES = 10_000
"""Frames of one animation, or pages of one TIFF."""
ANIMATION_FACTOR = 10
"""Pixels of all frames together, at most, as a multiple of what one picture may have."""

MAX_TEXT_BYTES = 32 * 1024**2
"""One text or color profile in a PNG, inflated; all together Pillow limits to 64 MiB."""

_FORMATS: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("JPEG",),  # its plug-in takes MPO as well
    "image/png": ("PNG",),
    "image/gif": ("GIF",),
    "image/webp": ("WEBP",),
    "image/avif": ("AVIF",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
    "image/tiff": ("TIFF",),
    "image/bmp": ("BMP", "DIB"),
    "image/x-icon": ("ICO",),
    "image/jp2": ("JPEG2000",),
    "image/x-portable-pixmap": ("PPM",),
    "image/x-portable-greymap": ("PPM",),
    "image/x-portable-bitmap": ("PPM",),
    "image/x-tga": ("TGA",),
}
"""Pillow's plug-ins by type: the file is opened with these and no other (EPS runs a program)."""


_HEIF = frozenset(("image/heic", "image/heif"))


class _Progress(Protocol):
    def __call__(self, done: int, total: int) -> None: ...


class _Fed(io.FileIO):
    """A file that says how many of its bytes were fed to the decoder."""

    def __init__(self, path: Path, tell: _Progress) -> None:
        super().__init__(path, "rb")
        self._size = path.stat().st_size
        self._furthest = 0
        self._say = tell

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        if (at := self.tell()) > self._furthest:
            self._furthest = at
            self._say(at, self._size)
        return count


def decodable(media_type: str) -> bool:
    """Whether pictures of `media_type` can be decoded here."""
    from PIL import Image

    load_plugins(heif=media_type in _HEIF)
    return any(name in Image.OPEN for name in _FORMATS.get(media_type, ()))


@functools.cache
def load_plugins(*, heif: bool) -> None:
    """Pillow's own, and the one for HEIC if it is wanted and installed."""
    from PIL import Image

    Image.init()
    if not heif or importlib.util.find_spec("pillow_heif") is None:
        return
    import pillow_heif

    # Thumbnails, depth maps and auxiliary pictures inside are not looked at.
    pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=2
    )


@contextlib.contextmanager
def opened(
    source: Path | io.BytesIO, media_type: str, *, max_pixels: int, report: Report | None = None
) -> Iterator[Image.Image]:
    """The picture in `source`, opened and not yet decoded.

    `report` hears of the bytes of a file as the decoder takes them. Raises Rejected with
    `decompression_bomb` beyond `max_pixels`, `unsupported_format` for a kind of picture that is
    not read here, and `corrupt_file` for whatever else fails inside, except our own disk.
    """
    from PIL import Image

    load_plugins(heif=media_type in _HEIF)

    def fed(done: int, total: int) -> None:
        if report is not None:
            report(done / total, f"Decoding {megabytes(done, total)}")

    with warnings.catch_warnings(record=True) as told, _limits(max_pixels):
        warnings.simplefilter("always")  # a plug-in says in one why it does not open a picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with (
                _stream(source, fed) as file,
                Image.open(file, formats=_FORMATS.get(media_type, ())) as image,
            ):
                yield image
        except (Rejected, GeneratorExit):
            raise
        except (MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
            raise Rejected("decompression_bomb", _bomb_text(exc, max_pixels)) from exc
        except Exception as exc:  # Pillow's plug-ins raise nearly anything on broken input
            if is_disk_error(exc):
                raise
            raise refusal_of(exc, [str(one.message) for one in told], media_type, source) from exc


@contextlib.contextmanager
def _limits(max_pixels: int) -> Iterator[None]:
    """Pillow's module globals, for as long as one picture is open.

    Workflows of image generators are texts of some MiB. `WARN_POSSIBLE_FORMATS` makes
    `Image.open` tell why a plug-in did not take the picture.
    """
    from PIL import Image, PngImagePlugin

    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, Image.WARN_POSSIBLE_FORMATS
    Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = max_pixels, MAX_TEXT_BYTES
    Image.WARN_POSSIBLE_FORMATS = True
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, Image.WARN_POSSIBLE_FORMATS = before


def _stream(source: Path | io.BytesIO, fed: _Progress) -> IO[bytes]:
    return source if isinstance(source, io.BytesIO) else io.BufferedReader(_Fed(source, fed), 65536)


def _bomb_text(exc: BaseException, max_pixels: int) -> str:
    if isinstance(exc, MemoryError):
        return "The picture needs more memory than allowed."
    return f"The picture has more pixels than the limit of {max_pixels}."


def frame_count(image: Image.Image) -> int:
    """Frames of an animation or pages of a TIFF; the further pictures of an MPO do not count."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def check_image(path: Path, media_type: str, *, max_pixels: int, report: Report) -> list[str]:
    """Decode every pixel of every frame; the checks made, for people.

    `verify()` would pass a truncated JPEG, `load()` does not. One picture is measured by the
    bytes fed to its decoder, an animation by its frames.
    """
    frames = 0

    def bytes_fed(fraction: float, message: str | None = None) -> None:
        if frames == 1:
            report(fraction, message)

    with opened(path, media_type, max_pixels=max_pixels, report=bytes_fed) as image:
        frames = frame_count(image)
        if frames > MAX_FRAMES:
            raise Rejected(
                "decompression_bomb", f"The picture has {frames} frames, the limit is {MAX_FRAMES}."
            )
        pixels, limit = 0, max_pixels * ANIMATION_FACTOR
        for number in range(frames):
            if number:
                image.seek(number)
            pixels += _checked_pixels(image, max_pixels)
            if pixels > limit:
                raise Rejected(
                    "decompression_bomb",
                    f"The frames have {pixels} pixels together, the limit is {limit}.",
                )
            image.load()
            if frames > 1:
                report((number + 1) / frames, f"Decoding frame {number + 1} of {frames}")
    report(1.0)
    return ["every pixel" if frames == 1 else f"every pixel of {frames} frames"]


def _checked_pixels(image: Image.Image, max_pixels: int) -> int:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise Rejected(
            "decompression_bomb",
            f"The picture has {image.width} x {image.height} = {pixels} pixels, "
            f"the limit is {max_pixels}.",
        )
    return pixels
