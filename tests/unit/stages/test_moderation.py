"""The verdict: refused by name, or marked for review with reasons, or approved; never silent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from sse_progress.model.errors import Rejected
from sse_progress.model.media import Moderation
from sse_progress.model.stage_api import Options
from sse_progress.stages.moderation import moderate
from sse_progress.stages.scans import malware
from sse_progress.stages.scans import word_lists as words
from sse_progress.stages.scans.screening import RULES
from tests.helpers.media import jpeg
from tests.unit.stages.helpers import Desk, refusal, through
from tests.unit.stages.test_archives import EICAR, zipped


def verdict(desk: Desk, *arguments: object, **keywords: object) -> dict[str, object]:
    upload, _ = through(desk.upload(*arguments, **keywords), "moderating")  # type: ignore[arg-type]
    result = upload.results["moderating"]
    msgspec.convert(result, Moderation)
    return result


def with_options(desk: Desk, **changes: object) -> Options:
    return msgspec.structs.replace(desk.options, **changes)


# ---- malware


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EICAR, "notes.txt"),
        (EICAR + b"\r\n", "notes.txt"),
        (zipped({"readme.txt": b"hi", "eicar.com": EICAR}), "a.zip"),
        (zipped({"inner.zip": zipped({"eicar.com": EICAR})}), "a.zip"),
    ],
)
def test_eicar_is_found(desk: Desk, content: bytes, name: str) -> None:
    """The scanner test file is `malware` as a file, in an archive, and in an archive within."""
    error = refusal(desk.upload(content, name), "moderating")
    assert error.code == "malware"
    assert "EICAR" in error.detail


def test_the_word_of_a_decoder_is_not_taken_for_the_file(desk: Desk) -> None:
    """`validating` may have been taken over while it decoded: the file is looked at again."""
    upload = msgspec.structs.replace(
        desk.upload(EICAR, "notes.txt"),
        results={
            "validating": {
                "contentType": "text/plain",
                "checks": ["size", "type by content", RULES],
                "reasons": [],
            }
        },
    )
    with pytest.raises(Rejected, match="malware"):
        moderate(upload, lambda *_: None)


def test_text_about_eicar_is_no_malware(desk: Desk) -> None:
    """The test string counts at the beginning alone, as its definition says."""
    assert verdict(desk, b"The file contains " + EICAR, "notes.txt")["verdict"] == "approved"


def test_a_rule_may_ask_for_review(desk: Desk) -> None:
    """A match of a rule with `verdict = "review"` completes and gives its reason."""
    result = verdict(desk, b"powershell -enc " + b"QUJD" * 20 + b"\n", "howto.txt")
    assert result["verdict"] == "review"
    assert result["reasons"] == [
        {
            "rule": "yara:PowerShell_Hidden_Command",
            "where": "file",
            "detail": "a text that starts PowerShell with a hidden command",
        }
    ]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"%PDF-1.4\n<< /S /Launch /Win << /F (cmd.exe) >> >>\n%%EOF", "PDF_Starts_Program"),
        (b'<w:instrText>DDEAUTO c:\\windows\\cmd.exe "/k x"</w:instrText>', "Office_DDE"),
        (b"{\\rtf1 {\\object 4571756174696F6E2E33}}", "RTF_Equation_Editor"),
        (b"<?php @eval(base64_decode($_POST['x']));", "PHP_Runs_Request"),
        (b"GIF89a\x00\x00 x" * 20 + b"<?php system($_GET['x']);", "PHP_Runs_Request"),
    ],
)
def test_each_rule_of_ours_matches_what_it_describes(content: bytes, name: str) -> None:
    """Every built-in rule has an example that it refuses, by its own name."""
    with pytest.raises(malware.Rejected, match=name):
        malware.load_rules(None).check_bytes(content, "example")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"# Web shells\n\n" + b"Words. " * 20 + b"```php\n<?php eval($_POST['x']);\n```\n", "PHP"),
        (b"# DDE\n\n```xml\n<w:instrText>DDEAUTO c:\\cmd.exe</w:instrText>\n```\n", "Office"),
    ],
)
def test_a_text_that_quotes_is_marked_and_not_refused(content: bytes, name: str) -> None:
    """A page about attacks is none: a person looks at it."""
    (reason,) = malware.load_rules(None).check_bytes(content, "example")
    assert reason.rule.startswith(f"yara:{name}")
    assert reason.rule.endswith("_Quoted")


def test_rules_of_the_operator_come_on_top(desk: Desk, tmp_path: Path) -> None:
    """A directory of `.yar` files is compiled beside ours, and a change in it is seen."""
    directory = tmp_path / "rules"
    directory.mkdir()
    rule = 'rule Ours { meta: description = "a secret plan" strings: $a = "plan 9" condition: $a }'
    (directory / "own.yar").write_text(rule)
    options = with_options(desk, yara_rules=str(directory))
    error = refusal(desk.upload(b"this is plan 9\n", "a.txt", options=options), "moderating")
    assert (error.code, error.detail) == ("malware", "The file is a secret plan (Ours).")
    assert refusal(desk.upload(EICAR, "a.txt", options=options), "moderating").code == "malware"
    (directory / "own.yar").write_text(rule.replace("plan 9", "plan 10"))
    assert verdict(desk, b"this is plan 9\n", "a.txt", options=options)["verdict"] == "approved"


def test_a_configured_check_that_cannot_run_passes_nothing(desk: Desk, tmp_path: Path) -> None:
    """A missing or broken rule directory, digest list or word list is a failure, not a pass."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "own.yar").write_text("rule { nonsense")
    digests = tmp_path / "digests"
    digests.write_text("not a digest\n")
    for options in (
        with_options(desk, yara_rules=str(broken)),
        with_options(desk, yara_rules=str(tmp_path / "missing")),
        with_options(desk, bad_sha256=str(digests)),
        with_options(desk, bad_sha256=str(tmp_path / "missing")),
        with_options(desk, word_list=str(tmp_path / "missing")),
    ):
        with pytest.raises((OSError, ValueError)):
            through(desk.upload(b"text\n", "a.txt", options=options), "moderating")


# ---- digests


def test_known_bad_digests_are_refused(desk: Desk, tmp_path: Path) -> None:
    """A file on the digest list is refused, alone and inside an archive; others are not."""
    bad = b"harmless, but unwanted\n"
    listed = tmp_path / "digests"
    listed.write_text(f"# unwanted\n\n{hashlib.sha256(bad).hexdigest().upper()}  copy-of-it.txt\n")
    options = with_options(desk, bad_sha256=str(listed))
    for content, name in ((bad, "a.txt"), (zipped({"b.txt": bad}), "a.zip")):
        error = refusal(desk.upload(content, name, options=options), "moderating")
        assert error.code == "moderation_refused"
    good = verdict(desk, b"wanted\n", "a.txt", options=options)
    assert "list of refused files" in good["checks"]  # type: ignore[operator]


# ---- words


@pytest.mark.parametrize(
    ("name", "fields", "content", "where"),
    [
        ("what_a_fucking_day.txt", {}, b"A calm text.\n", "filename"),
        ("a.txt", {"title": "You sh1t"}, b"A calm text.\n", "field title"),
        ("a.txt", {"tags": ["nice", "bitch"]}, b"A calm text.\n", "field tags"),
        ("a.txt", {}, "A text about some f\u00fccking thing.\n".encode(), "text"),
    ],
)
def test_words_mark_for_review(
    desk: Desk, name: str, fields: dict[str, str | list[str]], content: bytes, where: str
) -> None:
    """Listed words in name, fields or text mark for review, say where, and are not spelled out."""
    result = verdict(desk, content, name, fields=fields)
    assert result["verdict"] == "review"
    reasons = result["reasons"]
    assert isinstance(reasons, list)
    assert {reason["where"] for reason in reasons} == {where}
    assert "words:list" in {reason["rule"] for reason in reasons}
    assert not any(word in str(reasons) for word in ("fuck", "sh1t", "shit", "bitch"))


@pytest.mark.parametrize(
    "text",
    [
        "Holiday in Scunthorpe with the class, near Sussex and Penistone",
        "I am at the beach, and we assess the assignments",
        "Ich bin am Strand und sehe dem Sonnenuntergang zu, das war ein guter Tag",
        "IMG_20260115_103000",
    ],
)
def test_innocent_words_are_not_marked(desk: Desk, text: str) -> None:
    """Words that merely contain a listed one, and other languages' small words, are fine."""
    result = verdict(desk, (text + "\n").encode(), "a.txt", fields={"title": text})
    assert result["verdict"] == "approved", result


@pytest.mark.parametrize("digit", ["1", "1 ", "5\u200b", "½"])
def test_long_numbers_do_not_hold_the_filter(desk: Desk, digit: str) -> None:
    """The filter is fed few digits of a text, since each costs it more than the one before."""
    text = (digit * 30_000)[:15_000] + " what the fuck\n"
    fed = words._few_digits(text)
    assert sum(map(str.isnumeric, fed)) == 1000
    assert fed.endswith(" what the fuck\n")
    assert verdict(desk, text.encode(), "a.txt")["verdict"] == "review"
    assert words._few_digits("sh1t 4 you") == "sh1t 4 you"


def test_an_extension_is_no_word(desk: Desk) -> None:
    """Subtitles called `.ass` are not marked for it; a word that is no extension is."""
    assert verdict(desk, b"[Script Info]\nTitle: x\n", "film.ass")["verdict"] == "approved"
    assert verdict(desk, b"[Script Info]\nTitle: x\n", "film ass.ass")["verdict"] == "review"
    assert verdict(desk, b"[Script Info]\nTitle: x\n", "what.fuck")["verdict"] == "review"


def test_words_of_the_operator(desk: Desk, tmp_path: Path) -> None:
    """The operator's list adds words and phrases, whatever their case and accents."""
    own = tmp_path / "words.txt"
    own.write_text("# ours\nProject Phönix\nbanana\n")
    options = with_options(desk, word_list=str(own))
    result = verdict(desk, b"about PROJECT phonix and a Banana\n", "a.txt", options=options)
    assert result["verdict"] == "review"
    assert "2 words" in str(result["reasons"])
    assert verdict(desk, b"a project, a bananas\n", "a.txt", options=options)["reasons"] == []


def test_missing_profanity_filter_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without glin-profanity the own list still works, and the answer says what is missing."""
    monkeypatch.setattr(words, "profanity_available", lambda: False)
    result = verdict(desk, b"what the fuck\n", "a.txt")
    assert result["verdict"] == "review"
    assert words.NO_PROFANITY_FILTER in result["notChecked"]  # type: ignore[operator]


def test_reasons_are_bounded(desk: Desk) -> None:
    """However many fields swear, the verdict stays small."""
    fields = {f"f{number}": "shit " * 50 for number in range(100)}
    result = verdict(desk, jpeg(64, 48), "a.jpg", fields=fields)
    reasons = result["reasons"]
    assert isinstance(reasons, list)
    assert len(reasons) == 20
    assert len(msgspec.json.encode(result)) < 8192


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Biome est conçu dès le départ pour être utilisé dans un éditeur.", "approved"),
        ("Cet outil est conçu pour toi, espèce de con, et pour toute ta famille.", "review"),
    ],
)
def test_a_word_does_not_end_at_an_accent(desk: Desk, sentence: str, verdict: str) -> None:
    """The filter of many languages takes "con" out of "conçu"; by itself it is still found."""
    text = f"{sentence} La documentation complète est disponible en ligne. " * 3
    upload, _ = through(desk.upload(text.encode(), "LISEZMOI.txt"), "moderating")
    assert upload.results["moderating"]["verdict"] == verdict
