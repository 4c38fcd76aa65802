"""Why Pillow does not decode a picture: damage, or a kind of picture that it cannot read.

Its plug-ins say the latter in words only, in the exception or in a warning of `Image.open`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from sse_progress.model.errors import Rejected
from sse_progress.stages.formats.images.tiff_metadata import is_structured_tiff
from sse_progress.stages.formats.type_words import type_text

__all__ = ["refusal_of"]

_WORDS = re.compile(
    r"unsupported|not (yet )?supported|unknown pixel mode|unknown data organi[sz]ation"
    r"|cannot handle|no codec available|not implemented",
    re.IGNORECASE,
)


def refusal_of(
    exc: Exception, warnings: list[str], media_type: str, source: Path | io.BytesIO
) -> Rejected:
    """What `exc`, raised over `source` after `warnings`, means for the file."""
    from PIL import UnidentifiedImageError

    said = any(_WORDS.search(text) for text in (str(exc), *warnings))
    unopened = isinstance(exc, UnidentifiedImageError) and media_type == "image/tiff"
    if said or (unopened and is_structured_tiff(source)):
        text = f"This kind of {type_text(media_type)} cannot be opened here."
        return Rejected("unsupported_format", text)
    return Rejected(
        "corrupt_file", f"This {type_text(media_type)} is damaged and cannot be opened."
    )
