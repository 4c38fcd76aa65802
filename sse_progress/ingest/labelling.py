"""The labels of an upload that begins: checked against its kind, also where a form gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sse_progress.model.ids import valid_upload_id
from sse_progress.model.kinds import DEFAULT_KIND, Kind, Kinds, Priority
from sse_progress.model.labels import PREFIX, Labels

__all__ = ["Labelling"]


class Labelling:
    """What is known of one upload's labels. `allowed`: kinds that its owner may upload; None: all.

    `kind` is the one that was named, or the default one until a form's fields are known.
    """

    def __init__(
        self,
        labels: Labels,
        kinds: Kinds,
        *,
        allowed: frozenset[str] | None,
        priority: Priority | None = None,
    ) -> None:
        """Raises UnknownKind, or Forbidden for a kind that was named."""
        self.labels = labels
        self.kind: Kind = kinds.of(labels)
        if labels.kind:
            kinds.permitted(labels, allowed=allowed, file=True)
        self._kinds, self._allowed, self._priority = kinds, allowed, priority

    @property
    def priority(self) -> Priority:
        """What was asked for, else the kind's."""
        return self._priority or self.kind.priority

    @property
    def most_bytes(self) -> int:
        """The largest file that may still turn out to be allowed."""
        return self.kind.max_bytes or 0 if self.labels.kind else self._kinds.max_bytes

    def settle(self, more: Iterable[tuple[str, str]] = ()) -> Kind:
        """All labels are known, with `more` names and values of a form or of metadata.

        Raises UnknownKind, InvalidContext, MissingContext or Forbidden.
        """
        self.labels = self.labels.over(Labels.of(self._counting(more)))
        self.kind = self._kinds.check(self.labels, allowed=self._allowed)
        return self.kind

    def settle_by_form(self, fields: Mapping[str, str | list[str]]) -> int:
        """The same, with fields that came before the file; returns the largest file, bytes."""
        return self.settle(_pairs(fields)).max_bytes or 0

    def _counting(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Fields of a form are the client's own, so that only what can be a label is one."""
        for name, value in pairs:
            if name == "kind":
                counts = self._kinds.configured or value == DEFAULT_KIND
            elif name == "batch":
                counts = valid_upload_id(value)
            else:
                counts = name.startswith(PREFIX)
            if counts:
                yield name, value


def _pairs(fields: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one
