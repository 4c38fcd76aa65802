"""What the built-in stages load once for all uploads: libraries, models, compiled rules.

A stage's process is forked from one that has called `prepare`, so it finds all this in memory. No
file of a user is read here, and nothing here starts a thread, which would be missing after a fork.
"""

from __future__ import annotations

import importlib
import importlib.util

from sse_progress.model.stage_api import Upload
from sse_progress.stages.formats import detection
from sse_progress.stages.formats.clips import clips
from sse_progress.stages.formats.images import images
from sse_progress.stages.formats.media_types import Kind, kind_of
from sse_progress.stages.formats.text import language
from sse_progress.stages.scans import malware, nsfw, word_lists

__all__ = ["prepare"]

_LIBRARIES = {
    "image": ("PIL.ImageCms", "PIL.ImageOps"),
    "video": ("av", "PIL.Image"),
    "audio": ("av",),
    "pdf": ("pypdfium2", "PIL.Image"),
    "office": ("olefile",),
}


def prepare(upload: Upload) -> None:
    """Load what files like `upload` need, by its detected type, or as claimed before there is one.

    A type that is wrong costs time, nothing else.
    """
    known = "validating" in upload.results
    media_type = upload.content_type if known else upload.claimed_type
    kind = kind_of(media_type)
    detection.warm()
    malware.load_rules(upload.options.yara_rules)
    for name in _LIBRARIES.get(kind, ()):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    if kind == "image":
        images.load_plugins(heif=True)
    if kind in ("video", "audio") and importlib.util.find_spec("av") is not None:
        clips.decoders()
    if not known:
        return
    if kind in ("image", "video", "pdf", "office") and nsfw.available():
        nsfw.model()
    if _in_a_language(kind, upload) and language.language_available():
        language.identifier()
    word_lists.warm()


def _in_a_language(kind: Kind, upload: Upload) -> bool:
    """Whether it may have words enough to ask in which language they are: half a second of CPU."""
    if kind in ("pdf", "office", "archive"):
        return True
    if kind == "text" and upload.size >= language.LEAST_LETTERS:
        return True
    # File names and fields are looked at whatever the file is; most are too short for a language.
    said = word_lists.texts_of(upload.filename, upload.fields)
    return any(language.long_enough(text) for _, text in said)
