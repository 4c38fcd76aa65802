"""What a moderation service is shown of a file: some pictures, made small, and its text.

The process that takes them is one that an attacker may own, so what it wrote is read here as the
upload itself would be: regular files of a bounded size, under names that are given here. Anything
else refuses the upload.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from sse_progress.model.errors import Rejected
from sse_progress.model.events import encode_json

__all__ = ["MOST_PICTURES", "TAKE", "TEXT_CHARACTERS", "Picture", "Samples", "picture_bytes"]

log = structlog.get_logger(__name__)

TAKE = "sse_progress.stages.services.sampling:take_samples"
"""The function that takes them, by its name: its module is imported in children only."""

MOST_PICTURES = 8
TEXT_CHARACTERS = 100_000
LIST_NAME = "samples.json"
LIST_BYTES = 8 * TEXT_CHARACTERS
PICTURE_BYTES = 1024 * 1024


class Picture(msgspec.Struct, frozen=True):
    """A JPEG file `name` beside the list; `where` in the file it was: "page 3"."""

    name: Annotated[str, Meta(pattern=r"\Asample-[0-9]{1,2}\.jpg\Z")]
    where: Annotated[str, Meta(max_length=100)]


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """`text`: the file's, from its start; None: it has none, or none that can be read here.

    `not_taken`: what nobody will see of the file, as `notChecked` says it.
    """

    pictures: Annotated[tuple[Picture, ...], Meta(max_length=MOST_PICTURES)] = ()
    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS)] | None = None
    not_taken: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=20)] = ()

    def save(self, directory: Path) -> None:
        (directory / LIST_NAME).write_bytes(encode_json(msgspec.to_builtins(self)))

    @classmethod
    def load(cls, directory: Path) -> Samples:
        """Raises Rejected: `corrupt_file`."""
        try:
            return msgspec.json.decode(_read(directory / LIST_NAME, LIST_BYTES), type=cls)
        except (OSError, ValueError) as error:
            raise _not_as_taken(error) from error


def picture_bytes(directory: Path, picture: Picture) -> bytes:
    """The JPEG file. Raises Rejected: `corrupt_file`."""
    try:
        return _read(directory / picture.name, PICTURE_BYTES)
    except (OSError, ValueError) as error:
        raise _not_as_taken(error) from error


def _not_as_taken(error: Exception) -> Rejected:
    log.error("samples refused", reason=str(error))
    return Rejected("corrupt_file", "No samples could be taken from this file.")


def _read(path: Path, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # opened by its descriptor
        about = os.fstat(descriptor)
        if not (stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_size <= most):
            raise ValueError(f"{path.name} is no regular file of at most {most} bytes")
        return file.read(most)
