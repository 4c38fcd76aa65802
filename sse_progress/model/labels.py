"""What an upload is labelled with: its kind, its context, and the batch that it belongs to.

One vocabulary wherever labels are given or asked for: `kind=…&context.<key>=…&batch=…`. Which kinds
there are is in model/kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from sse_progress.model.errors import InvalidContext, InvalidUploadId, UnknownKind
from sse_progress.model.ids import valid_upload_id

__all__ = ["KIND_NAME", "NO_LABELS", "PREFIX", "Labels"]

CONTEXT_KEYS = 8
CONTEXT_BYTES = 512
VALUE_LENGTH = 128
JSON_BYTES = 700
"""Kind, context and batch as JSON: quotation marks and backslashes take two bytes there."""

PREFIX = "context."

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
KIND_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Labels of an upload, or what is asked for of them in a filter."""

    kind: str | None = None
    context: dict[str, str] = {}
    batch_id: str | None = None

    def __bool__(self) -> bool:
        return bool(self.kind or self.context or self.batch_id)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Labels:
        """The labels among `pairs` of names and values; other names are ignored.

        Raises InvalidContext, UnknownKind or InvalidUploadId, also where one is given twice.
        """
        kind: str | None = None
        batch_id: str | None = None
        context: dict[str, str] = {}
        for name, value in pairs:
            if name == "kind":
                if KIND_NAME.fullmatch(value) is None or kind not in (None, value):
                    raise UnknownKind
                kind = value
            elif name == "batch":
                if not valid_upload_id(value) or batch_id not in (None, value):
                    raise InvalidUploadId("The query parameter batch is not the id of a batch.")
                batch_id = value
            elif name.startswith(PREFIX):
                key = name.removeprefix(PREFIX)
                if key in context and context[key] != value:
                    raise InvalidContext("A context key is given twice.")
                context[key] = value
        if not (kind or context or batch_id):
            return NO_LABELS
        labels = cls(kind=kind, context=context, batch_id=batch_id)
        labels.check()
        return labels

    def check(self) -> None:
        """Raises InvalidContext."""
        if len(self.context) > CONTEXT_KEYS:
            raise InvalidContext(
                f"There are {len(self.context)} context keys, at most {CONTEXT_KEYS}."
            )
        for key, value in self.context.items():
            if _KEY.fullmatch(key) is None:
                raise InvalidContext(f"A context key has to match {_KEY.pattern}.")
            if not 0 < len(value) <= VALUE_LENGTH or not value.isprintable():
                raise InvalidContext(
                    f"The context value of {key} must be 1 to {VALUE_LENGTH} printable characters."
                )
        size = sum(len(key) + len(value.encode()) for key, value in self.context.items())
        if size > CONTEXT_BYTES:
            raise InvalidContext(f"The context has {size} bytes, at most {CONTEXT_BYTES}.")
        if len(msgspec.json.encode(self.members())) > JSON_BYTES:
            raise InvalidContext("Kind, context and batch are too large.")

    def members(self) -> dict[str, Any]:
        """As members of an event, without those that are not there."""
        found: dict[str, Any] = {}
        if self.kind:
            found["kind"] = self.kind
        if self.context:
            found["context"] = self.context
        if self.batch_id:
            found["batchId"] = self.batch_id
        return found

    def match(self, event: dict[str, Any]) -> bool:
        """Whether an event or a state has all of these labels; a `kind` that is not named there is
        `upload`."""
        if self.kind is not None and event.get("kind", "upload") != self.kind:
            return False
        if self.batch_id is not None and event.get("batchId") != self.batch_id:
            return False
        context = event.get("context") or {}
        return all(context.get(key) == value for key, value in self.context.items())

    def over(self, other: Labels) -> Labels:
        """These, and where they say nothing, those of `other`. Raises InvalidContext."""
        if not other:
            return self
        merged = Labels(
            kind=self.kind or other.kind,
            context={**other.context, **self.context},
            batch_id=self.batch_id or other.batch_id,
        )
        merged.check()
        return merged


NO_LABELS = Labels()
