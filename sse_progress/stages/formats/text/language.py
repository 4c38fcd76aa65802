"""Which language a text is in, by py3langid where that is installed."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

__all__ = [
    "LEAST_LETTERS",
    "NO_LANGUAGE",
    "SAMPLE_CHARACTERS",
    "identifier",
    "language_available",
    "language_of",
    "long_enough",
]

SAMPLE_CHARACTERS = 20_000
"""So much of a text's beginning decides its language."""
LEAST_LETTERS = 20
"""Below that a guess is worth nothing (measured: 6 of 10 two-word texts)."""
_LEAST_CONFIDENCE = 0.5
_NO_LANGUAGE = "zxx"  # ISO 639-2: no linguistic content
NO_LANGUAGE = "language (py3langid is not installed)"


def language_available() -> bool:
    return importlib.util.find_spec("py3langid") is not None


def language_of(sample: str) -> tuple[str | None, float | None]:
    """ISO 639-1 code and confidence (0-1) of a text; None if too short or not recognisable.

    A guess that is as likely wrong as right is none.
    """
    if not long_enough(sample) or not language_available():
        return None, None
    language, confidence = identifier().classify(sample[:SAMPLE_CHARACTERS])
    if confidence < _LEAST_CONFIDENCE or language == _NO_LANGUAGE:
        return None, None
    return str(language), round(float(confidence), 3)


def long_enough(sample: str) -> bool:
    """Whether there are so many letters that their language can be told."""
    return sum(map(str.isalpha, sample[:SAMPLE_CHARACTERS])) >= LEAST_LETTERS


@functools.cache
def identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
