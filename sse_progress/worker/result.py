"""What stages returned: checked when it comes, and in the end what is kept of it, `media`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sse_progress.model.filenames import clean_filename, distinct_filename
from sse_progress.model.stage_api import Upload
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.model.urls import url_of

__all__ = ["check_result", "media_of", "named_apart"]

FILES_LIMIT = 100
_WORD = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_Name = Annotated[str, Meta(min_length=1, max_length=150)]
_MediaType = Annotated[
    str, Meta(pattern=rf"\A{_WORD}/{_WORD}(?:; ?{_WORD}={_WORD})?\Z", max_length=255)
]


class _File(msgspec.Struct, rename="camel"):
    name: _Name
    content_type: _MediaType


class _Original(msgspec.Struct):
    name: _Name


class _Known(msgspec.Struct, rename="camel"):
    """Members of a result that the service acts on; a stage may add others."""

    files: Annotated[list[_File], Meta(max_length=FILES_LIMIT)] = []
    original: _Original | None = None


class _Validated(_Known, rename="camel"):
    content_type: _MediaType | None = None


def check_result(stage: str, result: Mapping[str, Any]) -> None:
    """Raise ValueError if a member that the service acts on has another shape than it must have.

    A decoder that an attacker controls can return anything: a path where a name belongs, a header
    where a media type belongs.
    """
    known = msgspec.convert(result, _Validated if stage == "validating" else _Known)
    names = [file.name for file in known.files]
    names += [known.original.name] if known.original else []
    for name in names:
        if name != clean_filename(name):
            raise ValueError(f"not a name of a file: {name!r}")


def named_apart(
    files: Sequence[dict[str, Any]], filename: str, results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Derived files as a function names them, renamed where the original or `results` have a name.

    The same files get the same names in another attempt. ValueError if one is named twice.
    """
    names = [file["name"] for file in files]
    if len(set(names)) < len(names):
        raise ValueError(f"a derived file is named twice: {names}")
    taken = {filename, *(file["name"] for result in results for file in result.get("files", ()))}
    named = []
    for file in files:
        name = distinct_filename(file["name"], taken)
        taken.add(name)
        named.append({**file, "name": name})
    return named


def media_of(upload: Upload, *, prefix: str) -> dict[str, Any]:
    """The `media` member of the `complete` event."""
    results = upload.results
    kept: dict[str, Any] = {}
    for result in results.values():
        kept = result.get("original", kept)  # rewritten without metadata: what is served, then
    own = {name: result for name, result in results.items() if name not in DEFAULT_TABLE}
    return {
        "id": upload.id,
        "filename": upload.filename,
        "contentType": upload.content_type,
        "size": kept.get("size", upload.size),
        "sha256": kept.get("sha256", upload.sha256),
        "fields": upload.fields,
        "url": url_of(upload.id, prefix=prefix, name=upload.filename),
        "files": [
            {**file, "url": url_of(upload.id, prefix=prefix, name=file["name"])}
            for result in results.values()
            for file in result.get("files", [])
        ],
        "analysis": results.get("analyzing", {}),
        "moderation": results.get("moderating", {}),
        "createdAt": upload.created_at,
        **({"results": own} if own else {}),
    }
