"""The journal's Lua scripts, and the names of their arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

__all__ = ["APPEND", "BATCH", "READ", "SHORTEN", "Script"]

APPEND = (
    "op",
    "fence",
    "n",
    "nonce",
    "epoch",
    "owner",
    "channel",
    "tags",
    "lease_ms",
    "ttl_open_s",
    "ttl_done_s",
    "producer",
    "rate",
    "seen_epoch",
    "seen_seq",
    "stage",
    "rank",
    "lo",
    "hi",
    "sp",
    "terminal",
    "first",
    "head",
    "middle",
    "tail",
    "stage_tail",
    "then_stage",
    "then_rank",
    "then_lo",
    "then_hi",
    "then_sp",
    "then_head",
    "then_middle",
    "then_tail",
    "result_field",
    "result",
    "about",
)
"""Arguments of append.lua, explained there."""

READ = ("owner", "claim", "epoch", "claim_ttl_s", "after_epoch", "after_seq", "limit", "about")
"""Arguments of read.lua, explained there."""

SHORTEN: tuple[str, ...] = ()
"""shorten.lua has none."""


BATCH = (
    "op",
    "epoch",
    "owner",
    "channel",
    "id",
    "item",
    "status",
    "total",
    "most",
    "work",
    "tags",
    "about",
    "ttl_open_s",
    "ttl_done_s",
)
"""Arguments of batch.lua, explained there."""


class Script:
    """A Lua script, and the digest by which Redis knows it.

    The script finds its arguments by name in the table `A`, made from `names`: their order is
    declared here and nowhere else. What is given beyond them is in the list `MORE`. `prepared` is
    what `script_for` makes of the source.
    """

    def __init__(
        self, name: str, names: tuple[str, ...], *, prepared: Callable[[str], str] = str
    ) -> None:
        folder = files("sse_progress.journal") / "lua"
        self._names = names
        fields = ", ".join(f"{field} = ARGV[{at}]" for at, field in enumerate(names, 1))
        self.source = prepared(
            f"local A, MORE = {{ {fields} }}, {{ unpack(ARGV, {len(names) + 1}) }}\n"
            + (folder / "common.lua").read_text()
            + (folder / f"{name}.lua").read_text()
        )
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Values in the script's order; raises KeyError if one is missing."""
        return [values[name] for name in self._names]
