"""Kinds of upload: what is accepted of each, which stages it passes, and what it must say.

Declared by the operator in a module of theirs (SSE_PROGRESS_KINDS) and only read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from sse_progress.model.errors import Forbidden, MissingContext, UnknownKind
from sse_progress.model.labels import KIND_NAME, Labels
from sse_progress.model.stage_table import DEFAULT_TABLE, StageTable, Title, in_languages

__all__ = ["DEFAULT_KIND", "Kind", "Kinds", "Priority"]

Priority: TypeAlias = Literal["high", "normal", "low"]

DEFAULT_KIND = "upload"
"""The kind of an upload that names none."""

PREFIX_MOST = 100
SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
TAKEN = re.compile(r"[0-9A-Fa-f]{2}")

StageRow = tuple[str, int, int] | tuple[str, int, int, Title]


@dataclass(frozen=True)
class Kind:
    """One kind of upload.

    `pipeline` is a list of (stage name, function) as SSE_PROGRESS_PIPELINE has it, or names one;
    None: the service's. `stages` are (name, lo, hi) or (name, lo, hi, title): percent ranges that
    rise within 0-99; None: the usual ones. For files `receiving`, `file_received` and `finalizing`
    are added where they are not named, and take what is left of 0-9, 10 and 95-99. Titles are
    in English, or by language: `{"en": "Subtitles", "de": "Untertitel"}`. With `stages`
    and no `pipeline` it is work that another service does, and takes no files. `allowed_types` are
    detected media types (`image/*` works), `max_bytes` the largest file; None: as the settings have
    them. `required` are the context keys that an upload must have. `retention_days`: how long
    finished uploads are kept. `priority` is that of its work. `storage_prefix`: below which
    directory (or key) of the published ones its files lie, `media/courses`.
    `cpu_s`: CPU seconds that all stages of one upload may take together, whatever its size,
    `timeout_s`: seconds of wall-clock time; None: as the settings say.
    """

    name: str
    title: Title = ""
    pipeline: Sequence[tuple[str, Any]] | str | None = None
    stages: Sequence[StageRow] | None = None
    allowed_types: Sequence[str] | None = None
    max_bytes: int | None = None
    required: Sequence[str] = ()
    retention_days: float | None = None
    priority: Priority = "normal"
    storage_prefix: str = ""
    cpu_s: float | None = None
    timeout_s: float | None = None
    table: StageTable = field(init=False, repr=False, compare=False)
    named: tuple[str, Mapping[str, str]] = field(init=False, repr=False, compare=False)
    """The title in English, and by language."""

    def __post_init__(self) -> None:
        if KIND_NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name!r} cannot be the name of a kind ({KIND_NAME.pattern})")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"kind {self.name}: max_bytes is {self.max_bytes}")
        for limit in ("retention_days", "cpu_s", "timeout_s"):
            if (value := getattr(self, limit)) is not None and value <= 0:
                raise ValueError(f"kind {self.name}: {limit} is {value}")
        if self.priority not in get_args(Priority):
            raise ValueError(f"kind {self.name}: {self.priority!r} is no priority")
        for option in ("required", "allowed_types"):
            if isinstance(getattr(self, option), str):
                raise TypeError(f"kind {self.name}: {option} must be a list")
        try:
            _check_prefix(self.storage_prefix)
            Labels(context=dict.fromkeys(self.required, "x")).check()
            table = self._own_table() if self.stages is not None else DEFAULT_TABLE
            named = in_languages(self.title, otherwise=self._name_in_words)
        except Exception as error:
            raise ValueError(f"kind {self.name}: {error}") from error
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "named", named)
        if isinstance(self.title, str):
            object.__setattr__(self, "title", named[0])

    def _own_table(self) -> StageTable:
        rows = [
            (row[0], row[1], row[2], row[3] if len(row) > 3 else "") for row in self.stages or ()
        ]
        return StageTable(rows) if self.external else StageTable.for_files(rows)

    @property
    def _name_in_words(self) -> str:
        return self.name.replace("-", " ").capitalize()

    @property
    def external(self) -> bool:
        """Its stages are done by another service: it takes no files."""
        return self.stages is not None and self.pipeline is None


def _check_prefix(prefix: str) -> None:
    """Its first segment is none of those below which files of other kinds lie."""
    segments = prefix.split("/")
    if prefix and (
        len(prefix) > PREFIX_MOST
        or any(SEGMENT.fullmatch(segment) is None for segment in segments)
        or TAKEN.fullmatch(segments[0])
    ):
        raise ValueError(
            f"storage_prefix is {prefix!r}; it must be of at most {PREFIX_MOST} characters, in "
            "segments of A-Z a-z 0-9 . _ - that do not begin with a dot, the first of them not two "
            "hex digits"
        )


class Kinds(Mapping[str, Kind]):
    """The kinds of a service, by name."""

    def __init__(
        self, kinds: Iterable[Kind] = (), *, max_bytes: int, allowed_types: Sequence[str]
    ) -> None:
        """`upload` is added where it is not among `kinds`; options that a kind leaves open are
        filled in. Raises ValueError if two have the same name."""
        given = tuple(kinds)
        self.configured = bool(given)
        self.declared = frozenset(kind.name for kind in given)
        self._kinds = {
            kind.name: replace(
                kind,
                max_bytes=kind.max_bytes or max_bytes,
                allowed_types=tuple(kind.allowed_types or allowed_types),
            )
            for kind in (*given, *_missing_default(given))
        }
        if len({kind.name for kind in given}) < len(given):
            raise ValueError("two kinds have the same name")

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def max_bytes(self) -> int:
        """Of the kind that allows the largest files."""
        return max(kind.max_bytes or 0 for kind in self._kinds.values())

    def of(self, labels: Labels) -> Kind:
        """The kind of an upload with these labels. Raises UnknownKind."""
        try:
            return self._kinds[labels.kind or DEFAULT_KIND]
        except KeyError:
            raise UnknownKind(
                f"There is no such kind of upload. The kinds are: {', '.join(self._kinds)}."
            ) from None

    def check(self, labels: Labels, *, allowed: frozenset[str] | None, file: bool = True) -> Kind:
        """The kind of a new upload, of a file or (`file` false) of another service's work.

        `allowed`: the kinds that its owner may upload; None: all.

        Raises UnknownKind, MissingContext or Forbidden.
        """
        kind = self.permitted(labels, allowed=allowed, file=file)
        missing = [key for key in kind.required if key not in labels.context]
        if missing:
            raise MissingContext(
                f"Uploads of the kind {kind.name} need the context {', '.join(missing)}."
            )
        return kind

    def permitted(self, labels: Labels, *, allowed: frozenset[str] | None, file: bool) -> Kind:
        """The same, for labels that may lack a context yet. Raises UnknownKind or Forbidden."""
        kind = self.of(labels)
        if allowed is not None and kind.name not in allowed:
            raise Forbidden("The token does not allow this kind of upload.")
        if file and kind.external:
            raise UnknownKind(f"The kind {kind.name} takes no files.")
        return kind


def _missing_default(given: Sequence[Kind]) -> tuple[Kind, ...]:
    if any(kind.name == DEFAULT_KIND for kind in given):
        return ()
    return (Kind(name=DEFAULT_KIND, title="Upload"),)
