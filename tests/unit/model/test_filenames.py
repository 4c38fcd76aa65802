"""What becomes of a client's file name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.model.filenames import LIMIT_BYTES, clean_filename, distinct_filename

NAMES = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('./\\ -:\0\u202e\u200d\u2028\u0301\u0338\ufffd<>"|?*\n\ud800éCON'),
    ),
    max_size=200,
)


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Résumé (2) – final.pdf", "Résumé (2) – final.pdf"),
        ("写真.png", "写真.png"),
        ("e\u0301.txt", "é.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\me\\cat.gif", "cat.gif"),
        ("a/b\\c/d.txt", "d.txt"),
        ("/", "file"),
        ("", "file"),
        ("..", "file"),
        (" . - . ", "file"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("a\0b.png", "ab.png"),
        ("shell.php\0.jpg", "shell.php.jpg"),
        ("a\r\nSet-Cookie: x.txt", "a Set-Cookie_ x.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\u2028b.txt", "a b.txt"),
        ('a"b.txt', "a_b.txt"),
        ("a.txt:stream", "a.txt_stream"),
        ("not\ufffdutf8.txt", "not_utf8.txt"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1 .tar.gz", "_com1 .tar.gz"),
        ("LPT².log", "_LPT².log"),
        ("console.log", "console.log"),
        ("name. . .", "name"),
        ("\ud83d.txt", "txt"),
    ],
)
def test_a_name_becomes_a_plain_base_name(given_name: str, cleaned: str) -> None:
    """Paths, control and direction characters and names with a meaning elsewhere lose it."""
    assert clean_filename(given_name) == cleaned


@pytest.mark.parametrize(
    ("given_name", "suffix"),
    [
        ("x" * 500 + ".jpeg", ".jpeg"),
        ("写" * 200 + ".tar.gz", ".gz"),
        ("🦊" * 100 + ".webp", ".webp"),
        ("x" * 500, ""),
        ("a." + "b" * 500, ""),
    ],
)
def test_a_long_name_keeps_its_extension(given_name: str, suffix: str) -> None:
    """A long name is cut before its extension, between characters, to at most 150 bytes."""
    cleaned = clean_filename(given_name)
    assert LIMIT_BYTES - 4 < len(cleaned.encode()) <= LIMIT_BYTES
    assert cleaned.endswith(suffix)
    assert given_name.startswith(cleaned.removesuffix(suffix))


@given(NAMES)
def test_every_name_becomes_a_harmless_one(name: str) -> None:
    """Whatever comes, the result keeps every promise of the docstring, and is left alone then."""
    cleaned = clean_filename(name)
    assert 1 <= len(cleaned.encode()) <= LIMIT_BYTES
    assert not set(cleaned) & set('/\\\0<>:"|?*')
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in cleaned)
    assert cleaned[0] not in " .-"
    assert cleaned[-1] not in " ."
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean_filename(cleaned) == cleaned


@given(NAMES, st.integers(1, 12))
def test_names_are_told_apart_by_a_number(name: str, times: int) -> None:
    """However often a name comes, each copy has its own, cleaned, with the extension kept."""
    taken: list[str] = []
    for _ in range(times):
        taken.append(distinct_filename(name, taken))
    assert taken[0] == clean_filename(name)
    assert len(set(taken)) == times
    assert [clean_filename(each) for each in taken] == taken
    assert distinct_filename("a.tar.gz", ["a.tar.gz", "a.tar-2.gz"]) == "a.tar-3.gz"
