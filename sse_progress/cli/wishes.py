"""How files are to be sent, as the command line says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sse_progress.model.text import clean_text

__all__ = ["STANDARD_INPUT", "Wishes"]

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class Wishes:
    """The same for each file: `fields` and `context` as `name=value`."""

    fields: Sequence[str] = ()
    kind: str | None = None
    context: Sequence[str] = ()
    resume: bool = False

    def wrong(self) -> str | None:
        """What cannot be sent, in words."""
        for option, given in (("--field NAME", self.fields), ("--context KEY", self.context)):
            for text in given:
                if not text.partition("=")[0] or "=" not in text:
                    name = option.split()[0].lstrip("-")
                    return f"{clean_text(text)} is no {name}: {option}=VALUE"
        return None

    @property
    def values(self) -> dict[str, str | list[str]]:
        """The fields by name; one that is given several times has a list."""
        found: dict[str, list[str]] = {}
        for field in self.fields:
            name, _, value = field.partition("=")
            found.setdefault(name, []).append(value)
        return {name: values if len(values) > 1 else values[0] for name, values in found.items()}

    @property
    def labels(self) -> dict[str, str]:
        """The context by key."""
        return {key: value for key, _, value in (text.partition("=") for text in self.context)}
