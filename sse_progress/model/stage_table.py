"""The stages of an upload: their order, and their share of the whole percent.

A table is a value, since a kind of upload may have stages of its own. The terminal stages are the
same in every table, so that a client that knows none of the others still sees the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

__all__ = [
    "DEFAULT_TABLE",
    "TERMINAL",
    "Stage",
    "StageTable",
    "Status",
    "Title",
    "in_languages",
    "percent",
    "status_of_stage",
]

TERMINAL = frozenset({"complete", "error", "cancelled"})
_TERMINAL_RANK = 1000
"""Of the terminal stages in every table: above all others, of which there are at most 50."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_NO_TITLES: Mapping[str, str] = MappingProxyType({})

Title: TypeAlias = str | Mapping[str, str]
"""In English, or by language: `{"en": "Subtitles", "de": "Untertitel"}`."""


class Stage(NamedTuple):
    """A row of the stage table: its place in the order and its share of the whole percent."""

    name: str
    rank: int
    lo: int
    hi: int
    terminal: bool = False
    title: str = ""
    titles: Mapping[str, str] = _NO_TITLES
    """The title by language, where it has one in several."""


def in_languages(title: Title, *, otherwise: str) -> tuple[str, Mapping[str, str]]:
    """A title in English (`otherwise`, if it has none), and by language.

    Raises ValueError if a language is no code as `de` is."""
    if isinstance(title, str):
        return title or otherwise, _NO_TITLES
    for language in title:
        if _LANGUAGE.fullmatch(language) is None:
            raise ValueError(f"{language!r} is no language ({_LANGUAGE.pattern})")
    return title.get("en", otherwise), MappingProxyType(dict(title))


_ENDS = (
    Stage("complete", _TERMINAL_RANK, 100, 100, terminal=True, title="Done"),
    Stage("error", _TERMINAL_RANK + 1, 0, 0, terminal=True, title="Failed"),
    Stage("cancelled", _TERMINAL_RANK + 1, 0, 0, terminal=True, title="Cancelled"),
)


class StageTable(Mapping[str, Stage]):
    """Stages by name, in their order, the terminal ones last."""

    def __init__(self, stages: Iterable[tuple[str, int, int, Title]]) -> None:
        """`stages` are (name, lo, hi, title), their ranges rising within 0-99, which may touch.

        Raises ValueError, which says what is wrong with them.
        """
        rows = [_row(at, name, lo, hi, title) for at, (name, lo, hi, title) in enumerate(stages, 1)]
        _check(rows)
        self._rows = {row.name: row for row in (*rows, *_ENDS)}

    @classmethod
    def for_files(cls, work: Sequence[tuple[str, int, int, Title]]) -> StageTable:
        """A table of stages of one's own, with the rows that every file passes where `work` does
        not name them; they take what room it leaves of their usual ranges."""
        named = {name for name, *_ in work}
        least = min((lo for _, lo, _, _ in work), default=99)
        most = max((hi for _, _, hi, _ in work), default=0)
        before = [
            (name, min(lo, least), min(hi, least), title)
            for name, lo, hi, title in _BEFORE_WORK
            if name not in named
        ]
        after = [
            (name, max(lo, most), hi, title)
            for name, lo, hi, title in _AFTER_WORK
            if name not in named
        ]
        return cls([*before, *work, *after])

    def __getitem__(self, name: str) -> Stage:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def work(self) -> tuple[str, ...]:
        """The rows that stage functions may fill; the others are the service's own."""
        own = {name for name, *_ in (*_BEFORE_WORK, *_AFTER_WORK)} | TERMINAL
        return tuple(name for name in self._rows if name not in own)


_BEFORE_WORK = (("receiving", 0, 9, "Upload"), ("file_received", 10, 10, "Stored"))
_AFTER_WORK = (("finalizing", 95, 99, "Record"),)


def _row(rank: int, name: str, lo: int, hi: int, title: Title) -> Stage:
    text, titles = in_languages(title, otherwise=_title(name))
    return Stage(name, rank, lo, hi, title=text, titles=titles)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _check(rows: Sequence[Stage]) -> None:
    if not 0 < len(rows) <= 50:
        raise ValueError(f"there are {len(rows)} stages; 1 to 50 are possible")
    for row in rows:
        if _NAME.fullmatch(row.name) is None or row.name in TERMINAL:
            raise ValueError(f"{row.name!r} cannot be the name of a stage ({_NAME.pattern})")
        if not 0 <= row.lo <= row.hi <= 99:
            raise ValueError(
                f"{row.name} has the range {row.lo}-{row.hi}, which is not within 0-99"
            )
    for earlier, later in pairwise(rows):
        if later.lo < earlier.hi:
            raise ValueError(
                f"{later.name} begins at {later.lo}, but {earlier.name} before it ends at "
                f"{earlier.hi}"
            )
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("two stages have the same name")


DEFAULT_TABLE = StageTable.for_files(
    (
        ("validating", 20, 29, "Check"),
        ("analyzing", 30, 69, "Analysis"),
        ("moderating", 70, 84, "Moderation"),
        ("processing", 85, 94, "Processing"),
    )
)

Status = Literal["pending", "receiving", "processing", "complete", "error", "cancelled"]


def status_of_stage(stage: str | None) -> Status:
    """The coarse status of an upload whose latest event is of `stage` (None: no event yet)."""
    if stage is None:
        return "pending"
    if stage in ("receiving", "complete", "error", "cancelled"):
        return stage  # type: ignore[return-value]
    return "processing"


def percent(stage: str, stage_progress: int, table: StageTable = DEFAULT_TABLE) -> int:
    """Percent of the whole upload, 0-100, for `stage_progress` (0-100) within `stage`.

    The journal's script does the same for each event; tests hold the two against each other.
    """
    row = table[stage]
    return min(row.hi, row.lo + stage_progress * (row.hi - row.lo + 1) // 100)
