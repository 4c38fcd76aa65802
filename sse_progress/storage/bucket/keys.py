"""Names of objects below the prefix. No other module joins them.

    parts/<digest>/<body>/<chunk>             bytes of a body (`chain`), `accepted-<writer>`
    resting/<digest>                          what is announced of a body that may rest
    open/<digest>                             stored, not published: manifest and chunks
    work/<digest>/<attempt>/                  made by an attempt, and kept until it is published
    work/<digest>/position                    the journal position noted last
    objects/<dd>/<digest>/<attempt>/          published: `original`, `files/<number>`; where the
    objects/<prefix>/<dd>/<digest>/<attempt>/ kind has a prefix, below that (the manifest has it)
    records/<dd>/<digest>                     says that it is published, and where
    removed/<digest>                          removed before it was published: the kind's prefix
    retentions/<kind>=<days>                  what kinds have promised (`storage.promises`)
    owners/<owner's digest>/<body>-<size>     what each user keeps, where that is limited
    format                                    which releases may use it (`storage.format`)

`digest` stands for an upload's id, `body` is random, `<dd>` the digest's first two digits. An
upload is *stored* by one put of `open/`, *published* by one put of `records/`; what comes before
either is reached by nobody. Nothing that a client chose is part of a key.
"""

from __future__ import annotations

import secrets

from sse_progress.storage.manifest import digest_of

__all__ = [
    "OPEN",
    "OWNERS",
    "PARTS",
    "PUBLISHED",
    "RECORDS",
    "REMOVED",
    "RESTING",
    "WORK",
    "Keys",
    "kept_key",
    "new_name",
]

PARTS, RESTING, OPEN, WORK = "parts", "resting", "open", "work"
PUBLISHED, RECORDS, REMOVED, OWNERS = "objects", "records", "removed", "owners"


def new_name() -> str:
    """Random; 16 hex digits."""
    return secrets.token_hex(8)


class Keys:
    """The keys of one upload, given by its id or, from a listing, by its digest."""

    def __init__(self, upload_id: str = "", *, digest: str = "") -> None:
        digest = self.digest = digest or digest_of(upload_id)
        self.open = f"{OPEN}/{digest}"
        self.resting = f"{RESTING}/{digest}"
        self.parts = f"{PARTS}/{digest}"
        self.work = f"{WORK}/{digest}"
        self.record = f"{RECORDS}/{digest[:2]}/{digest}"
        self.mark = f"{self.work}/position"
        self.removed = f"{REMOVED}/{digest}"

    def published(self, storage_prefix: str) -> str:
        """Below it are the published files of an upload; the prefix is its manifest's."""
        top = f"{PUBLISHED}/{storage_prefix}" if storage_prefix else PUBLISHED
        return f"{top}/{self.digest[:2]}/{self.digest}"

    def body(self, body: str) -> str:
        """Below it are the chunks of one body."""
        return f"{self.parts}/{body}"


def kept_key(owner: str, body: str, size: int) -> str:
    """Counts `size` bytes of `body` as kept by `owner`."""
    return f"{OWNERS}/{digest_of(owner)}/{body}-{size}"
