"""The journal's Lua scripts."""

from __future__ import annotations

import hashlib
from importlib.resources import files

__all__ = ["Script"]


class Script:
    """A Lua script and the digest by which Redis knows it."""

    def __init__(self, name: str) -> None:
        folder = files("sse_progress.journal") / "lua"
        self.source = (folder / "common.lua").read_text() + (folder / f"{name}.lua").read_text()
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
