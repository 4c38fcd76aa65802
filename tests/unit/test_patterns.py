"""Regular expressions that every Python from 3.11 on understands in the same way."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "sse_progress"
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{\{?[0-9]*,?[0-9]*\}\}?)\+")


def test_no_group_has_a_possessive_quantifier() -> None:
    """CPython before 3.11.5, as Debian 12 has it, gets those wrong (gh-106052): `(?:; a)*+` matches
    the `; ` of `; b`. An atomic group, `(?>(?:; a)*)`, does the same in all versions."""
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert found == []
