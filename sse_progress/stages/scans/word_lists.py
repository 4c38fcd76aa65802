"""Words that mark an upload for review: in its name, its fields and its text.

Never a refusal, since words alone prove little. Our list and the operator's match whole words;
glin-profanity, if installed, adds many languages.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from sse_progress.model.media import Reason
from sse_progress.model.stage_api import Report
from sse_progress.model.text import clean_text
from sse_progress.stages.formats.media_types import types_of_extension
from sse_progress.stages.formats.text.language import language_of

__all__ = [
    "NO_PROFANITY_FILTER",
    "WordList",
    "load_words",
    "profanity_available",
    "texts_of",
    "warm",
]

NO_PROFANITY_FILTER = "words beyond the built-in list (glin-profanity is not installed)"
TEXT_LIMIT_CHARACTERS = 1_000_000
"""So much extracted text is looked at by the lists."""
PROFANITY_LIMIT_CHARACTERS = 100_000
"""So much of it by glin-profanity, which takes some 5 s for a million characters."""
_PIECE_CHARACTERS = 20_000
_SHOWN = 5

_LEET = str.maketrans("0134579@$", "oieastgas")
_TOKEN = re.compile(r"[\w@$]+")


def _plain(text: str) -> str:
    """Folded for comparison: no case, no accents, no compatibility forms, digits as letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LEET)


class WordList:
    """Words and phrases to look for, as whole words."""

    def __init__(self, words: Iterable[str]) -> None:
        folded = (tuple(_TOKEN.findall(_plain(word))) for word in words)
        self._phrases = frozenset(phrase for phrase in folded if phrase)
        self._longest = max(map(len, self._phrases), default=0)

    def found(self, text: str) -> Counter[str]:
        """The listed words in `text`, in their folded spelling, with their number."""
        tokens = _TOKEN.findall(_plain(text))
        hits: Counter[str] = Counter()
        for length in range(1, self._longest + 1):
            for at in range(len(tokens) - length + 1):
                phrase = tuple(tokens[at : at + length])
                if phrase in self._phrases:
                    hits[" ".join(phrase)] += 1
        return hits

    def check(self, text: str, where: str, report: Report | None = None) -> list[Reason]:
        """Why to review `text`: at most one reason of each list.

        glin-profanity reads English and the language that the text is in: all of its 24 at once
        find a Turkish insult in every "I am".
        """
        listed: Counter[str] = Counter()
        known: Counter[str] = Counter()
        languages = _languages(text)
        for at in range(0, len(text), _PIECE_CHARACTERS):
            piece = text[at : at + _PIECE_CHARACTERS]
            listed += self.found(piece)
            if profanity_available() and at < PROFANITY_LIMIT_CHARACTERS:
                known += _profanity(piece, languages)
            if report is not None:
                done = min(at + _PIECE_CHARACTERS, len(text))
                report(done / len(text), f"Reading {done} of {len(text)} characters")
        reasons = [_reason("words:list", where, listed)] if listed else []
        return reasons + ([_reason("words:glin-profanity", where, known)] if known else [])


def _reason(rule: str, where: str, hits: Counter[str]) -> Reason:
    shown = ", ".join(_masked(word) for word, _ in hits.most_common(_SHOWN))
    total = hits.total()
    return Reason(
        rule=rule,
        where=clean_text(where, 80),
        detail=clean_text(f"{total} word{'s' * (total > 1)} to look at: {shown}", 120),
    )


def _masked(word: str) -> str:
    """Recognisable for who wrote it, and no insult to who reads the verdict."""
    return word[:1] + "*" * min(len(word) - 1, 12)


def load_words(path: str | None) -> WordList:
    """The built-in list and the one at `path`, one a line, `#` begins a comment. Raises OSError."""
    own = files("sse_progress.stages") / "words"
    lines = [
        line
        for item in own.iterdir()
        if item.name.endswith(".txt")
        for line in item.read_text(encoding="utf-8").splitlines()
    ]
    if path is not None:
        lines += Path(path).read_text(encoding="utf-8").splitlines()
    return WordList(line.partition("#")[0].strip() for line in lines)


# ---- glin-profanity


def profanity_available() -> bool:
    return importlib.util.find_spec("glin_profanity") is not None


_NAMES = {
    "ar": "arabic",
    "zh": "chinese",
    "cs": "czech",
    "da": "danish",
    "nl": "dutch",
    "eo": "esperanto",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "hi": "hindi",
    "hu": "hungarian",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "no": "norwegian",
    "nb": "norwegian",
    "nn": "norwegian",
    "fa": "persian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "es": "spanish",
    "sv": "swedish",
    "th": "thai",
    "tr": "turkish",
}
"""ISO 639-1 to the filter's own names."""


def _languages(text: str) -> tuple[str, ...]:
    code, confidence = language_of(text)
    if code in _NAMES and (confidence or 0) > 0.5:
        return ("english", _NAMES[code])
    return ("english",)


_SHORT_CHARACTERS = 1000
_DIGITS = 1000
_INNOCENT = frozenset(("bs", "xx", "cum"))
"""What the filter finds in source code and in every filler text ("cum sociis natoque")."""


def warm() -> None:
    """Load the filter for most texts, if it is installed; a first use makes its expressions."""
    if profanity_available():
        for obfuscation in ("standard", "basic"):
            _filter(("english",), obfuscation).check_profanity("plain words")


@functools.lru_cache(maxsize=4)
def _filter(languages: tuple[str, ...], obfuscation: str) -> Any:
    from glin_profanity import Filter

    return Filter(
        {"languages": list(languages), "detect_leetspeak": True, "obfuscation": obfuscation}
    )


def _profanity(text: str, languages: tuple[str, ...]) -> Counter[str]:
    """Words the filter knows; letters split by dots and masks only in what is short as a title."""
    obfuscation = "standard" if len(text) < _SHORT_CHARACTERS else "basic"
    words = _filter(languages, obfuscation).check_profanity(_few_digits(text))
    found = words.get("profane_words") or ()
    return Counter(
        str(word) for word in found if word not in _INNOCENT and not _is_cut(str(word), text)
    )


def _is_cut(word: str, text: str) -> bool:
    """The filter ends words at letters that are not ASCII: "conçu" is no "con"."""
    around = [
        text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 1]
        for found in re.finditer(re.escape(word), text, re.IGNORECASE)
    ]
    beside = [any(c.isalpha() for c in letters) for letters in around]
    return any(not letters.isascii() for letters in around) and all(beside)


def _few_digits(text: str) -> str:
    """`text` with only its first 1,000 digits; letters are what words are made of.

    The filter's time grows with the square of a run of digits, whatever stands between them:
    100,000 would be minutes.
    """
    if sum(map(str.isnumeric, text)) <= _DIGITS:
        return text
    number = itertools.count(1)
    return "".join(c for c in text if not c.isnumeric() or next(number) <= _DIGITS)


# ---- what there is to read


def texts_of(filename: str, fields: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    """(where, text) of everything the client wrote about the file."""
    stem, _, extension = filename.rpartition(".")
    known = stem and types_of_extension(extension.lower())  # .ass is a kind of subtitles
    yield "filename", (stem if known else filename).replace("_", " ")
    for name, value in fields.items():
        yield f"field name {name}", name
        for text in value if isinstance(value, list) else [value]:
            yield f"field {name}", text
