"""The journal's Lua scripts, and the names of their arguments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from itertools import repeat
from typing import Any

__all__ = ["APPEND", "APPEND_OPTIONAL", "BATCH", "PLAIN", "READ", "SHORTEN", "Script"]

APPEND = (
    "op",
    "fence",
    "n",
    "epoch",
    "owner",
    "channel",
    "lease_ms",
    "ttl_open_s",
    "ttl_done_s",
)
"""Arguments of append.lua, explained there: those of each call."""

APPEND_OPTIONAL = (
    "stage",
    "rank",
    "lo",
    "hi",
    "sp",
    "head",
    "middle",
    "tail",
    "tags",
    "terminal",
    "first",
    "stage_tail",
    "nonce",
    "producer",
    "rate",
    "seen_epoch",
    "seen_seq",
    "about",
    "result_field",
    "result",
    "then_stage",
    "then_rank",
    "then_lo",
    "then_hi",
    "then_sp",
    "then_head",
    "then_middle",
    "then_tail",
    "queued_id",
    "queued_ttl_s",
    "queued_channel",
    "queued_owner",
    "queued_head_start",
    "queued_lease_ms",
    "listed_id",
    "listed_ms",
    "listed_ttl_s",
    "owned_us",
    "owned_ttl_s",
    "owned_most",
    "listed_channel",
)
"""Those that some calls have, the most usual first; up to `tags` those of a plain event."""

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


PLAIN = "plain"
"""The part of append.lua that is only there to be quick."""
_COMMON = ("time", "common")
_PARTS = {"append": ("time", "event", PLAIN, "common")}

_ARGUMENT = re.compile(r"\b(AT?)\.(\w+)")
_ABSENT = repeat(b"")


class Script:
    """A Lua script, and the digest by which Redis knows it.

    The script says `A.name` for an argument, and `AT.name` for its place: the order of `names`, and
    of `optional` ones after them, is declared here and nowhere else. In what is sent that is a
    place in ARGV, since a table would have to be made with each call. An optional argument that is
    not given is '' there, and is not sent where none follows that is. `prepared` is what
    `script_for` makes of the source; `library` are functions that it may call; `without` is a part
    that is left out, for tests.
    """

    def __init__(
        self,
        name: str,
        names: tuple[str, ...],
        *,
        optional: tuple[str, ...] = (),
        library: str = "",
        prepared: Callable[[str], str] = str,
        without: str = "",
    ) -> None:
        folder = files("sse_progress.journal") / "lua"
        self._names, self._optional = names, optional
        self._places = {name: at for at, name in enumerate((*names, *optional), 1)}
        parts = [part for part in _PARTS.get(name, _COMMON) if part != without]
        text = "".join([(folder / f"{part}.lua").read_text() for part in (*parts, name)])
        text = library + _ARGUMENT.sub(self._argument, text)
        self.source = prepared("local ARGV = ARGV\n" + text)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Values in the script's order; raises KeyError if one is missing, or is not declared."""
        needed = len(self._names)
        given = [values[name] for name in self._names]
        if len(values) > needed:
            last = max(map(self._places.__getitem__, values))
            given += map(values.get, self._optional[: last - needed], _ABSENT)
        return given

    def _argument(self, found: re.Match[str]) -> str:
        at = self._places[found[2]]
        if found[1] == "AT":
            return str(at)
        return f"ARGV[{at}]" if at <= len(self._names) else f"(ARGV[{at}] or '')"
