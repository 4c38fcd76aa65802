"""For mkdocs: links that lead out of docs/ become plain text, and decisions are listed."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]*)[^)]*\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    folder = posixpath.dirname(page.file.src_uri)

    def without(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        return link[1] if target.startswith("../") else link[0]

    text = _LINK.sub(without, markdown)
    return f"{text}\n{_decisions(page)}" if page.file.src_uri == "decisions/README.md" else text


def _decisions(page: Any) -> str:
    folder = Path(page.file.abs_src_path).parent
    others = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    titles = [path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in others]
    return "\n".join(
        f"- [{title}]({path.name})" for title, path in zip(titles, others, strict=True)
    )
