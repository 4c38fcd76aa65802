"""The reader's language, and everything that the commands say in it.

The environment names it, as for other programs: the first of `LC_ALL`, `LC_MESSAGES` and `LANG`
that is set. English is what the code says; a terminal that is not of UTF-8 gets that, too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from sse_progress.cli.sentences import LANGUAGES, SENTENCES
from sse_progress.client import Event

__all__ = ["Words", "language_of", "words"]

STATUSES = ("pending", "receiving", "processing", "complete", "error", "cancelled")
FAMILIES = ("image", "video", "audio", "text")
"""Of media types: those that have a word for people."""

HOLES = {"n": r"\d+", "bytes": r"\d+", "seconds": r"[\d.]+"}
"""Of a sentence on what was not checked: a count or a size has digits, a name anything."""

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
UNITS = {
    "de": {"bytes": "Bytes"},
    "fr": {"bytes": "octets", "kB": "ko", "MB": "Mo", "GB": "Go", "TB": "To"},
}


def language_of(environment: Mapping[str, str], encoding: str | None) -> str:
    """`de`, `es`, `fr` or `en`."""
    locale = next((environment[name] for name in VARIABLES if environment.get(name)), "")
    language = locale.replace(".", "_").split("_")[0].lower()
    spoken = language in LANGUAGES and (encoding or "").lower().startswith("utf")
    return language if spoken else "en"


def words() -> Words:
    """In the language of this process."""
    out = sys.__stdout__  # while bars are shown, another stands in for `sys.stdout`
    return _words(language_of(os.environ, None if out is None else out.encoding))


class Words:
    """Sentences and numbers in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._place = LANGUAGES.index(language) if language in LANGUAGES else None
        told = _told().get(language, {})
        self._stages, self._messages = told.get("stage", {}), told.get("message", {})
        self._errors = told.get("error", {})
        unchecked: dict[str, str] = told.get("unchecked", {})
        self._unchecked = [(_pattern(english), text) for english, text in unchecked.items()]

    def say(self, sentence: str, **values: object) -> str:
        """One of `SENTENCES`, filled."""
        own = SENTENCES[sentence]
        return (sentence if self._place is None else own[self._place]).format(**values)

    def stage(self, name: str) -> str:
        """The title of a usual one; in English, and of any other, its name."""
        return self._stages.get(name, name)

    def message(self, event: Event) -> str:
        text = self._messages.get(event.message_key or "")
        return event.message if text is None else _filled(text, event.message_args or {})

    def error(self, code: str, detail: str) -> str:
        """What went wrong; a code without a text is told as the service does."""
        if code == "cancelled":
            return self._messages.get("end.cancelled", detail)
        return self._errors.get(code, detail)

    def place(self, position: int) -> str:
        """`3rd in line`."""
        if position == 1:
            return self.say("next in line")
        return self.say("{place} in line", place=f"{position}{self._ordinal_end(position)}")

    def starts(self, seconds: int | None) -> str:
        """When its turn comes: `about 2 min`; less than a minute is not told to the second."""
        if seconds is None:
            return self.say("no estimate")
        if seconds < 60:
            return self.say("under a minute")
        minutes = round(seconds / 60)
        if minutes < 90:
            return self.say("about {time}", time=self.say("{count} min", count=minutes))
        return self.say("about {time}", time=self.say("{count} h", count=round(minutes / 60)))

    def unchecked(self, note: str) -> str:
        """What was not checked; one that is not known, such as a plug-in's, as it is."""
        for pattern, text in self._unchecked:
            if found := pattern.fullmatch(note):
                values = found.groupdict()
                if "note" in values:
                    values["note"] = self.unchecked(values["note"])
                return _filled(text, values)
        return note

    def status(self, name: str) -> str:
        """How far an upload is, as `list` says it; one that is not known here by its name."""
        return self.say(name) if name in STATUSES else name

    def media_type(self, content_type: str) -> str:
        """`image/jpeg`; in other languages `Bild`, or nothing where there is no such word."""
        if self._place is None:
            return content_type
        family = content_type.partition("/")[0]
        return self.say(family) if family in FAMILIES else ""

    def size(self, count: int) -> str:
        """`3.4 MB`, or `3,4 MB`."""
        number, unit = decimal(count).split()
        if self._place is not None:
            number = number.replace(".", ",")
        return f"{number} {UNITS.get(self.language, {}).get(unit, unit)}"

    @property
    def stage_width(self) -> int:
        """Columns for a stage's name, or a place in the queue."""
        return max(13, *map(len, (*self._stages.values(), self.place(1), self.place(20))))

    def _ordinal_end(self, number: int) -> str:
        ends = {"de": ".", "es": ".º", "fr": "e"}
        if self.language in ends:
            return ends[self.language]
        if number % 100 in (11, 12, 13):
            return "th"
        return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")

    @property
    def status_width(self) -> int:
        """Columns for a status."""
        return max(10, *(len(self.status(name)) for name in STATUSES))


@cache
def _words(language: str) -> Words:
    return Words(language)


@cache
def _told() -> dict[str, dict[str, dict[str, str]]]:
    made: dict[str, Any] = json.loads(
        Path(__file__).with_name("locales.json").read_text(encoding="utf-8")
    )
    return made


def _pattern(sentence: str) -> re.Pattern[str]:
    """What finds a sentence again: the browser's own is in `page/unchecked.js`."""
    parts = re.split(r"\{(\w+)\}", sentence)
    named = [
        f"(?P<{part}>{HOLES.get(part, '.+')})" if at % 2 else re.escape(part)
        for at, part in enumerate(parts)
    ]
    return re.compile("".join(named))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Holes without a value stay: the service may be of another release."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
