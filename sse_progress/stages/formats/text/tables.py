"""Tables in text (CSV, RFC 4180): the delimiter that fits every row, rows and columns.

What no delimiter fits is said to be so: a wrong number is worse than none.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sse_progress.model.stage_api import Report

__all__ = ["Table", "delimiter_of", "is_regular_table", "table_of"]

_DELIMITERS = "\t;|,"
"""In order of preference where several fit: a comma is also a decimal sign and punctuation."""
_SAMPLE_CHARACTERS = 256 * 1024
_SAMPLE_ROWS = 100
_BATCH_ROWS = 1000
_MOSTLY = 0.9
_LONGEST_CELL_CHARACTERS = 16 * 1024 * 1024
NO_DELIMITER = "table (no delimiter fits its rows)"
NO_QUOTES = "table (its quotes do not pair, or a cell is too long)"
RAGGED = "columns (the rows differ in length)"


@dataclass(frozen=True)
class Table:
    """Rows, the first one included and empty lines not, and columns of each of them."""

    rows: int | None = None
    columns: int | None = None
    note: str | None = None


def table_of(path: Path, encoding: str, report: Report) -> Table:
    """Count the rows of the table at `path`; what cannot be said of it is in `note`."""
    size = max(path.stat().st_size, 1)
    lengths: Counter[int] = Counter()
    csv.field_size_limit(_LONGEST_CELL_CHARACTERS)
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        sample = file.read(_SAMPLE_CHARACTERS)
        delimiter, skipped = _announced(sample)
        try:
            delimiter = delimiter or delimiter_of(sample)
            if delimiter is None:
                return Table(note=NO_DELIMITER)
            file.seek(0)
            rows = itertools.islice(_rows(file, delimiter), skipped, None)
            while batch := Counter(map(len, itertools.islice(rows, _BATCH_ROWS))):
                lengths += batch
                done = min(raw.tell() / size, 1.0)
                report(done, f"Reading row {lengths.total()}")
        except csv.Error:
            return Table(note=NO_QUOTES)
    report(1.0, f"Read {lengths.total()} rows")
    columns = next(iter(lengths)) if len(lengths) == 1 else None
    return Table(rows=lengths.total(), columns=columns, note=RAGGED if len(lengths) > 1 else None)


def _rows(lines: Iterator[str] | io.TextIOBase, delimiter: str) -> Iterator[list[str]]:
    return filter(None, csv.reader(lines, delimiter=delimiter, strict=True))


def _announced(sample: str) -> tuple[str | None, int]:
    """The delimiter that a first line `sep=;` names, as spreadsheets write it."""
    first = sample.split("\n", 1)[0].strip()
    if len(first) == 5 and first.lower().startswith("sep=") and first[4] in _DELIMITERS:
        return first[4], 1
    return None, 0


def delimiter_of(sample: str) -> str | None:
    """The character that cuts (nearly) all rows into the same number of cells; None if none does.

    A text without any of the usual characters outside quotes is a table of one column.
    """
    fits: dict[str, float] = {}
    single = 0
    for delimiter in _DELIMITERS:
        lengths = _lengths(sample, delimiter)
        if not lengths:
            continue
        single += set(lengths) == {1}
        most, count = Counter(lengths).most_common(1)[0]
        if most >= 2 and count >= _MOSTLY * len(lengths):
            fits[delimiter] = count / len(lengths)
    if fits:
        return max(fits, key=lambda one: fits[one])  # the first of the best
    return "," if single == len(_DELIMITERS) else None


def _lengths(sample: str, delimiter: str) -> list[int] | None:
    """Cells of each of the first rows, but for one that the sample cuts; None if quotes fail."""
    lengths: list[int] = []
    cut = len(sample) >= _SAMPLE_CHARACTERS
    rows = _rows(iter(io.StringIO(sample, newline="")), delimiter)
    try:
        for row in itertools.islice(rows, _SAMPLE_ROWS):
            lengths.append(len(row))  # noqa: PERF401  # what was read before an error is kept
    except csv.Error:
        return lengths if cut and lengths else None
    return lengths[:-1] if cut and 1 < len(lengths) < _SAMPLE_ROWS else lengths


def is_regular_table(sample: str) -> bool:
    """Whether a text without a name is a table and no prose: equal rows, no blank after commas."""
    delimiter = delimiter_of(sample)
    lengths = _lengths(sample, delimiter) if delimiter else None
    if (
        delimiter is None
        or not lengths
        or len(lengths) < 2
        or len(set(lengths)) > 1
        or lengths[0] < 2
    ):
        return False
    return sample.count(delimiter + " ") * 2 < sample.count(delimiter)
