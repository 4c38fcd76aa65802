"""Encodings of one byte a character: which of them makes a plausible text of some lines.

Scripts other than Latin are recognized by the frequencies of their letters, languages in Latin
letters by their alphabets. Where two readings differ and both are plausible, there is no answer.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter

from sse_progress.stages.formats.text.language import language_of

__all__ = ["latin_encoding", "script_encoding"]

_ASCII = bytes(range(128))
_ASCII_LETTERS = re.compile(rb"[A-Za-z]")


def _beyond_ascii(sample: bytes) -> Counter[int]:
    return Counter(sample.translate(None, _ASCII))


# ---- other scripts

_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оаинвіетрслкудмпзяьбгчйхцжюєїшщфґ"
_GREEK = "αοιετσνηυρπκμλςόίάέήδθχύγώωφβξζψϊΐϋΰ"
_HEBREW = "יולהאמרתבשנדכקעחפצזגסםטןץךף"
_ARABIC = "الينمتروبدعسةكفهقحأجشطصىخإضذئثزغءظؤآًٌَُِّْ"
_THAI = "านรกอเงมย่ลวดท้สตะปบคหแจพิีัุูไใ็โขชถซผธศ์ณึืภำฐฟษญฏฉๆฎฮฝฒ"
_SCRIPTS: tuple[tuple[str, str], ...] = (
    *((codec, _RUSSIAN) for codec in ("cp1251", "koi8-r", "cp866", "iso8859_5", "mac_cyrillic")),
    *((codec, _UKRAINIAN) for codec in ("cp1251", "koi8-u", "cp1125", "iso8859_5")),
    *((codec, _GREEK) for codec in ("cp1253", "iso8859_7")),
    *((codec, _HEBREW) for codec in ("cp1255", "iso8859_8")),
    *((codec, _ARABIC) for codec in ("cp1256", "iso8859_6")),
    ("cp874", _THAI),
)
_FEWEST = 20
_PUNCTUATION = "«»„“”‘’‚–—…№§°\xa0؟،؛·"
_CAPITAL = 0.3
_FOREIGN = 0.0005
_PLAUSIBLE = -4.0
_MARGIN = 0.25
"""In nats for each character, between the best reading and the next that differs."""


def script_encoding(sample: bytes) -> str | None:
    """The encoding of a text in Cyrillic, Greek, Hebrew, Arabic or Thai letters."""
    counts = _beyond_ascii(sample)
    total = counts.total()
    if total < _FEWEST or total < len(_ASCII_LETTERS.findall(sample)):
        return None
    readings: dict[str, tuple[bool, float, str]] = {}
    for codec, letters in _SCRIPTS:
        text = "".join(c or "\0" for c in _characters(counts, codec))
        pairs = zip(text, counts.values(), strict=True)
        score = sum(count * _weight(c, letters) for c, count in pairs) / total
        reading = (all(_is_known(c, letters) for c in text), score, codec)
        readings[text] = max(reading, readings.get(text, reading))
    (whole, best, codec), (second_whole, second, _) = sorted(readings.values(), reverse=True)[:2]
    clear = whole > second_whole or best - second > _MARGIN
    return codec if clear and best > _PLAUSIBLE else None


def _characters(counts: Counter[int], codec: str) -> list[str | None]:
    table = _table(codec)
    return [table[byte] for byte in counts]


@functools.cache
def _table(codec: str) -> list[str | None]:
    found: list[str | None] = []
    for byte in range(256):
        try:
            found.append(bytes((byte,)).decode(codec))
        except UnicodeDecodeError:
            found.append(None)
    return found


def _is_known(character: str, letters: str) -> bool:
    return character in _PUNCTUATION or character.lower() in letters


def _weight(character: str, letters: str) -> float:
    """The logarithm of about how often `character` stands in a text (Zipf, by rank)."""
    if character in _PUNCTUATION:
        return math.log(0.02)
    at = letters.find(character.lower())
    if at < 0:
        return math.log(_FOREIGN)
    frequency = 0.35 / (at + 4)
    return math.log(frequency if character in letters else frequency * _CAPITAL)


# ---- Latin letters

_ALPHABETS: dict[str, dict[str, str]] = {
    "cp1252": {
        "da": "æøåéü",
        "de": "äöüßéèà",
        "en": "éèêëïöüñçàâôîáíóúœæåäø",
        "es": "áéíóúüñçªº",
        "et": "äöüõšž",
        "fi": "äöåšžéü",
        "fr": "àâæçéèêëîïôœùûüÿ",
        "is": "áðéíóúýþæö",
        "it": "àèéìíîòóùú",
        "nl": "áéëïíóöúüèàçêôû",
        "no": "æøåéèêóòôü",
        "pt": "áâãàçéêíóôõúüªº",
        "sv": "åäöéüàáèøæ",
    },
    "cp1250": {
        "cs": "áčďéěíňóřšťúůýžöü",
        "hr": "čćđšž",
        "hu": "áéíóöőúüű",
        "pl": "ąćęłńóśźżéü",
        "ro": "ăâîşţ",
        "sk": "áäčďéíĺľňóôŕšťúýž",
        "sl": "čšžćđ",
    },
    "cp1254": {"tr": "çğıİöşüâîû"},
    "cp1257": {"lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "et": "äöüõšž"},
}
_ALPHABETS["iso8859_2"] = _ALPHABETS["cp1250"]
_SIGNS = "«»„“”‘’‚–—…•·†‡‰‹›§©®™€°\xa0\xad"
_LOOSE_SIGNS = "¹²³¼½¾ªº¿¡£¥¢µ±×÷¶´`¨"
"""Signs that never stand between two letters of a word."""
_WITHIN_A_WORD = re.compile(rf"[^\W\d_][{_LOOSE_SIGNS}][^\W\d_]")


_UTF8_WITHIN = re.compile(rb"[\xc2\xc3][\x80-\xbf]")
"""An accented letter in UTF-8: a text that holds one among other bytes is in two encodings."""


def latin_encoding(sample: bytes) -> str | None:
    """The encoding of a text in Latin letters with accents, by the alphabets of languages."""
    counts = _beyond_ascii(sample)
    if not counts or counts.total() > len(_ASCII_LETTERS.findall(sample)):
        return None
    if _UTF8_WITHIN.search(sample):
        return None
    readings: dict[str, tuple[str, set[str]]] = {}
    for codec, alphabets in _ALPHABETS.items():
        characters = _characters(counts, codec)
        if None in characters:
            continue
        text = "".join(c or "" for c in characters)
        languages = {language for language, letters in alphabets.items() if _spelled(text, letters)}
        if languages and not _WITHIN_A_WORD.search(sample.decode(codec, "replace")):
            readings.setdefault(text, (codec, set()))[1].update(languages)
    chosen = _chosen(sample, list(readings.values()))
    if chosen == "cp1252" and not any(0x80 <= byte < 0xA0 for byte in counts):
        return "latin-1"  # the two differ in these bytes only
    return chosen


def _spelled(text: str, letters: str) -> bool:
    known = letters + letters.upper() + _SIGNS + _LOOSE_SIGNS
    return all(c in known for c in text)


def _chosen(sample: bytes, readings: list[tuple[str, set[str]]]) -> str | None:
    if len(readings) < 2:
        return readings[0][0] if readings else None
    fitting = []
    for codec, languages in readings:
        language, _ = language_of(sample.decode(codec, "replace"))
        if language in languages:
            fitting.append(codec)
    return fitting[0] if len(fitting) == 1 else None
