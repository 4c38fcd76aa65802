"""Encodings are facts: what is named reads the text right, and what is not certain is not named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sse_progress.stages.formats.text.encodings import encoding_of
from tests.unit.stages.helpers import Desk, through

TEXTS = {
    "german": "Der schnelle braune Fuchs springt über den Hund. Größe, Maße und Öl für alle.",
    "french": "L'été dernier, nous avons visité une très belle forêt; ça nous a plu, même à Noël.",
    "spanish": "El niño comió una manzana por la mañana. ¿Cómo está usted? Canción de España.",
    "portuguese": "A ação não é só do João; as crianças também estão à espera de uma solução.",
    "italian": "Perché è così difficile? La città è più bella di quanto pensassi, però costa.",
    "swedish": "Räksmörgås är gott på sommaren. Många älskar att åka till sjön på lördag.",
    "english": "“It’s a café,” she said, naïve as ever… The price is £5.",
    "polish": "Zażółć gęślą jaźń. Proszę przyjść na spotkanie w środę, będziemy rozmawiać.",
    "czech": "Příliš žluťoučký kůň úpěl ďábelské ódy. Děkuji vám za pomoc, přijdu zítra večer.",
    "hungarian": "Árvíztűrő tükörfúrógép. Köszönöm szépen, holnap este találkozunk a könyvtárban.",
    "turkish": "Pijamalı hasta yağız şoföre çabucak güvendi. Teşekkür ederim, yarın görüşürüz.",
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю. Привет, как дела?",
    "ukrainian": "Привіт, як справи? Ми прийдемо завтра ввечері, щоб поговорити про книжки.",
    "greek": "Καλημέρα σας, πώς είστε σήμερα; Θα έρθουμε αύριο το βράδυ για να μιλήσουμε.",
    "hebrew": "שלום לכולם, מה שלומכם היום? נבוא מחר בערב כדי לדבר על הספרים.",
    "arabic": "مرحبا بكم جميعا، كيف حالكم اليوم؟ سوف نأتي غدا مساء لنتحدث عن الكتب.",
    "thai": "สวัสดีครับ วันนี้เป็นอย่างไรบ้าง พรุ่งนี้เราจะมาคุยกันเรื่องหนังสือ",
    "japanese": "こんにちは、今日は良い天気ですね。明日の夜、図書館で話しましょう。カタカナ。",
    "simplified": "你好,今天天气很好。明天晚上我们在图书馆讨论这本书,欢迎大家参加。",
    "traditional": "你好,今天天氣很好。明天晚上我們在圖書館討論這本書,歡迎大家參加。",
    "korean": "안녕하세요, 오늘 날씨가 좋네요. 내일 저녁에 도서관에서 책에 대해 이야기합시다.",
}
LEGACY = [
    *(("german", c) for c in ("latin-1", "cp1252", "utf-16-le", "utf-16-be")),
    *((name, "cp1252") for name in ("french", "spanish", "portuguese", "italian", "swedish")),
    ("english", "cp1252"),
    *((name, c) for name in ("polish", "czech", "hungarian") for c in ("cp1250", "iso8859_2")),
    ("turkish", "cp1254"),
    *(("russian", codec) for codec in ("cp1251", "koi8-r", "cp866")),
    *(("ukrainian", codec) for codec in ("cp1251", "koi8-u")),
    *(("greek", codec) for codec in ("cp1253", "iso8859_7")),
    ("hebrew", "cp1255"),
    ("arabic", "cp1256"),
    ("thai", "cp874"),
    *(("japanese", codec) for codec in ("shift_jis", "cp932", "euc_jp", "iso2022_jp")),
    *(("simplified", codec) for codec in ("gbk", "gb18030")),
    ("traditional", "big5"),
    *(("korean", codec) for codec in ("euc_kr", "cp949")),
]


@pytest.mark.parametrize(("name", "codec"), LEGACY)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_named_encoding_reads_the_text(
    tmp_path: Path, name: str, codec: str, ending: str
) -> None:
    """Texts of 21 languages in their old encodings are read as they were written."""
    text = (TEXTS[name] + ending) * 2
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(codec))
    found = encoding_of(path)
    assert found is not None
    assert path.read_bytes().decode(found) == text


@pytest.mark.parametrize("name", TEXTS)
def test_utf8_is_proved(tmp_path: Path, name: str) -> None:
    """Valid UTF-8 is UTF-8, whatever language it is in."""
    path = tmp_path / "a.txt"
    path.write_text(TEXTS[name], encoding="utf-8")
    assert encoding_of(path) == "utf-8"


@pytest.mark.parametrize(
    "data",
    [
        b"costs \xa35\n",  # a pound sign, or a Polish letter
        "Prix: été ".encode() + "été\n".encode("latin-1"),  # two encodings in one file
        bytes(range(0x80, 0x100)) + b"\n",
        "山本".encode("shift_jis") + b"\n",
        TEXTS["russian"].encode("cp1251") + b"\n" + "日本語のテキスト".encode("shift_jis") + b"\n",
    ],
)
def test_what_is_not_certain_is_not_named(desk: Desk, data: bytes) -> None:
    """No encoding, no number of characters and no language are claimed, and the answer says so."""
    upload, _ = through(desk.upload(data, "a.txt"), "moderating")
    facts = upload.results["analyzing"]
    assert facts.keys().isdisjoint({"encoding", "characters", "language"})
    assert facts["lines"] == data.count(b"\n")
    for results in ("analyzing", "moderating"):
        note = "characters beyond ASCII (the encoding is not known)"
        assert note in upload.results[results]["notChecked"]
