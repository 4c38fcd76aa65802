"""The files that are made from others: what they hold, and whether they are current.

`browser/client/service/wire.js` gives the browser the stage table, the pattern of upload ids, the
codes that say nothing about a file, and the intervals that both sides have to agree on.

The Python client for threads, `client/_sync`, is the one for asyncio with words replaced, as in
httpcore; the `backend.py` of either is written by hand.

`cli/locales.json` has what the browser's locale files say of stages, events and errors, and of what
was not checked.

`docs/reference` has a page for each entry point of the npm package, made from the comments in its
declarations.

`browser/page/page.built.js` and its like are what the service's own pages load, one file in place
of the modules that they import one after the other.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from sse_progress.model.errors import PROBLEMS
from sse_progress.model.ids import UPLOAD_ID_PATTERN
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sse_progress"

WIRE = """\
/**
 * What the service and the browser have to agree on. Made by scripts/generate from
 * model/stage_table.py, model/ids.py, model/errors.py and settings/declared.py: change those.
 */

/** Every stage in order: its place, its share of the whole percent, its title in `GET /config`. */
export const STAGE_TABLE = /** @type {{const}} */ ([
{stages}
]);

/** An upload id matches this as a whole. */
export const UPLOAD_ID_PATTERN = {pattern};

/** Codes that say nothing about the file itself: sending it again may succeed. */
export const FAILURE_CODES = [
{codes}
];

/** Milliseconds of silence before a heartbeat, where the service is not set otherwise. */
export const HEARTBEAT_MS = {heartbeat};

/** Milliseconds that a POST waits for its result, where the service is not set otherwise. */
export const ANSWER_WAIT_MS = {answer};
"""


def wire_js() -> str:
    """The module of constants, formatted as biome does."""
    stages = (
        f'  {{ name: "{row.name}", rank: {row.rank}, lo: {row.lo}, hi: {row.hi},'
        f' terminal: {json.dumps(row.terminal)}, title: "{row.title}" }},'
        for row in DEFAULT_TABLE.values()
    )
    codes = (
        f"  {json.dumps(problem.code)},"
        for problem in PROBLEMS
        # `cancelled` is an end of its own
        if not problem.about_file and problem.code not in DEFAULT_TABLE
    )
    return WIRE.format(
        stages="\n".join(stages),
        pattern=json.dumps(UPLOAD_ID_PATTERN),
        codes="\n".join(codes),
        heartbeat=f"{Settings.heartbeat_s * 1000:_}",
        answer=f"{Settings.answer_wait_s * 1000:_}",
    )


SYNC = [
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\baclosing\b", "closing"),
    (r"\baclose\b", "close"),
    (r"\banext\b", "next"),
    (r"\baiter_(\w+)\b", r"iter_\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b_async\b", "_sync"),
]
"""Pattern and replacement; they are applied in docstrings, too."""

MADE = "# Made from {source} by scripts/generate: change that.\n"


def sync_of(source: Path) -> str:
    """A module of the client for asyncio as one for threads, formatted."""
    text = source.read_text(encoding="utf-8")
    for pattern, replacement in SYNC:
        text = re.sub(pattern, replacement, text)
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", str(source)]
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        text = subprocess.run(  # noqa: S603  # our own files
            [*ruff, *command, *name, "-"], input=text, capture_output=True, text=True, check=True
        ).stdout
    return MADE.format(source=source.relative_to(ROOT)) + text


def sync_client() -> dict[Path, Callable[[], str]]:
    return {
        PACKAGE / "client/_sync" / path.name: partial(sync_of, path)
        for path in sorted((PACKAGE / "client/_async").glob("*.py"))
        if path.name not in ("__init__.py", "backend.py")
    }


def _by_node(script: str) -> str:
    command = ["node", str(ROOT / "scripts" / script)]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return made.stdout


@cache
def references() -> dict[str, str]:
    """By page, with TypeScript's own parser; fails where something public has no comment."""
    made: dict[str, str] = json.loads(_by_node("reference.mjs"))
    return made


def reference(name: str) -> str:
    return references()[name]


def locales_json() -> str:
    return _by_node("locales.mjs")


ESBUILD = ROOT / "tests/js/node_modules/.bin/esbuild"
BUILT = "/* Made by scripts/generate from {source} and what it imports: change those. */"


def built(source: Path) -> str:
    """A page's program with all modules that it imports; readable, each under its name."""
    options = ["--bundle", "--format=esm", "--charset=utf8"]
    banner = f"--banner:js={BUILT.format(source=source.name)}"
    made = subprocess.run(  # noqa: S603  # our own files
        [ESBUILD, source.relative_to(ROOT), *options, banner, "--log-level=warning"],
        cwd=ROOT,  # the names of the modules in what is made are relative to this
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return made.stdout


PAGES = {
    path.with_suffix(".built.js"): partial(built, path)
    for path in (PACKAGE / "browser/page/page.js", PACKAGE / "browser/page/review/review.js")
}
"""Beside their sources, so that addresses relative to the module stay right."""

ENTRY_POINTS = ("browser", "panel", "drop", "react", "vue", "uppy")
"""Of the npm package, by the pages about them."""

FILES: dict[Path, Callable[[], str]] = {
    PACKAGE / "browser/client/service/wire.js": wire_js,
    PACKAGE / "cli/locales.json": locales_json,
    **sync_client(),
    **{ROOT / f"docs/reference/{name}.md": partial(reference, name) for name in ENTRY_POINTS},
    **PAGES,
}
"""Those made from others of them come after these."""


def main(options: list[str]) -> int:
    if options not in ([], ["--check"]):
        print(__doc__, "Options: --check", file=sys.stderr)
        return 2
    stale = 0
    for path, make in FILES.items():
        made = make()
        if path.exists() and path.read_text(encoding="utf-8") == made:
            continue
        stale += 1
        if options:
            print(f"{path.relative_to(ROOT)} is out of date: run scripts/generate")
        else:
            path.write_text(made, encoding="utf-8")
    return 1 if options and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
