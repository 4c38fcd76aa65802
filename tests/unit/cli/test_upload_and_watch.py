"""The commands `upload` and `watch`, as people and programs use them."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sse_progress.cli.bars import Bars
from sse_progress.cli.display import Lines
from sse_progress.cli.upload_command import upload_command
from sse_progress.cli.watch_command import watch_command
from sse_progress.client import BatchEvent, Event, QueuePlace
from tests.client_driver import QUICK, bounded  # noqa: F401
from tests.fake_service import REFUSED, STORY, Answer, FakeService, Play, Receive, event
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("bounded")

RESULT = "image/jpeg, 3 bytes, approved, not checked: malware"

PATIENT = replace(QUICK, opening_s=30)
"""These tests are about what is printed: on a busy machine no stream is taken for held back."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(300))
    return path


def start(
    *words: str | Path, env: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """`sse-progress …` as a process of its own, with output buffered as it is for everybody."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "sse_progress", *map(str, words)],
        env={**usual, "SSE_PROGRESS_TOKEN": "", **(env or {})},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@contextmanager
def running(*words: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = start(*words, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


# ---- plain lines


def test_a_line_for_each_stage(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal every stage is one line, the result another; the exit code is 0."""
    with FakeService(gate=3) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "photo.jpg: receiving 0% In receiving",
        "photo.jpg: file_received 10% In file_received",
        "photo.jpg: validating 20% In validating",
        "photo.jpg: analyzing 30% In analyzing",
        f"photo.jpg: complete: {RESULT}, {service.url}/upload/u/files/photo.jpg",
    ]
    assert err == ""


def test_drops_are_resumed_and_said(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken stream is a line, no failure, and no stage is lost or told twice."""
    with FakeService(streams=[Play(5, "cut", torn=9), Play()], gate=3) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("photo.jpg: reconnecting") == 1
    assert sum("validating" in line for line in lines) == 1


def test_a_refused_file(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal is one line with its code, and the exit code is 1."""
    with FakeService(REFUSED, gate=3) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "photo.jpg: failed: The file holds malware (malware)."
    )


def test_one_failure_among_many_is_a_failure(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be read fails alone: the others complete, and the exit code is 1."""
    gone = tmp_path / "gone"
    gone.write_bytes(b"x")
    real = Path.open

    def open_(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path == gone:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, FakeService() as service:
        patch.setattr(Path, "open", open_)
        assert upload_command([gone, photo], url=service.url, pace=PATIENT) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "gone: failed: cannot be read: Permission denied" in lines
    assert any(line.startswith("photo.jpg: complete") for line in lines)


def test_four_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight files go four by four: never more, and not one by one."""
    files = [tmp_path / f"{n}.jpg" for n in range(8)]
    for file in files:
        file.write_bytes(b"x")
    counts: list[int] = [0]

    class Counting(Lines):
        def enter(self, key: str, name: str) -> None:
            counts.append(counts[-1] + 1)
            super().enter(key, name)

        def leave(self, key: str, *, well: bool, text: str) -> None:
            counts.append(counts[-1] - 1)
            super().leave(key, well=well, text=text)

    screen = Counting(io.StringIO())
    monkeypatch.setattr(
        "sse_progress.cli.upload_command.screen_for", lambda client, *, as_json: screen
    )
    with FakeService(together=4) as service:  # POSTs wait there until they are four
        assert upload_command(files, url=service.url, pace=PATIENT) == 0
        assert len(service.asked("POST")) == 8
    assert max(counts) == 4


# ---- JSON


def test_json_is_one_event_a_line_and_nothing_else(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every event of the journal in order, each a line; nothing on the other stream."""
    with FakeService(streams=[Play(4, "cut"), Play()], gate=3) as service:
        code = upload_command([photo], url=service.url, upload_id="u", as_json=True, pace=PATIENT)
    assert code == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    for line, of in zip(lines, STORY, strict=True):
        assert line == {**of, "media": line["media"]} if "media" in of else line == of
    assert lines[-1]["media"]["sha256"] == "ab" * 32
    assert err == ""


def test_json_of_a_failure(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is the last event; for people it is said on standard error."""
    with FakeService(REFUSED, gate=3) as service:
        assert upload_command([photo], url=service.url, as_json=True, pace=PATIENT) == 1
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "malware"
    assert err == "photo.jpg: The file holds malware (malware).\n"


def test_json_lines_come_at_once(photo: Path) -> None:
    """Each line is flushed as its event comes, also into a pipe."""
    with (
        FakeService(cancel_gate=4) as service,
        running("upload", "--json", "--url", service.url, photo) as process,
    ):
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["stage"] == "receiving"
        assert process.poll() is None


def test_a_reader_that_leaves(photo: Path) -> None:
    """`… --json | head -1` ends without a traceback."""
    with (
        FakeService(cancel_gate=4) as service,
        running("upload", "--json", "--url", service.url, photo) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        service.let_go()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


# ---- wrong use, and what to do


def test_wrong_use_sends_nothing(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line that says what is wrong, and no request."""
    with FakeService() as service:
        for files, options, said in (
            ([], {}, "Name at least one file."),
            ([tmp_path / "none.jpg"], {}, "No such file"),
            ([photo, tmp_path], {}, "is a directory: name the files in it."),
            ([photo, photo], {"upload_id": "a"}, "--id names one upload, and these are 2 files."),
            ([photo], {"upload_id": "a b"}, "'a b' is not a valid upload id"),
            ([photo], {"url": "localhost:8000"}, "'localhost:8000' is not a URL such as"),
        ):
            given: dict[str, Any] = {"url": service.url, **options}
            assert upload_command(files, **given) == 2
            out, err = capsys.readouterr()
            assert said in err
            assert len(err.splitlines()) == 1
            assert out == ""
        assert watch_command("a/b", url=service.url) == 2
        assert not service.requests


def test_nobody_there(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address, the reason and what to do, once; the exit code is 1."""
    with FakeService() as service:
        url = service.url
    assert upload_command([photo, photo], url=url, pace=PATIENT) == 1
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"photo.jpg: failed: cannot reach {url}: connection refused. Is the service running? "
        "`sse-progress serve` starts one, --url names another.",
        "photo.jpg: failed: not sent",
    ]
    assert watch_command("u", url=url, pace=PATIENT) == 1
    assert "`sse-progress serve` starts one" in capsys.readouterr().out


REFUSALS = {
    "Give a valid token in SSE_PROGRESS_TOKEN or --token.": Answer.problem(401, "unauthenticated"),
    "It belongs to another user, or the token lacks the scope.": Answer.problem(403, "forbidden"),
    "(upload_id_in_use). Choose another --id, or none.": Answer.problem(409, "upload_id_in_use"),
    "Not now (unavailable). Try again in 7 s.": Answer.problem(
        503, "unavailable", "Not now.", **{"retry-after": 7}
    ),
    "--url names another.": Answer(404, b"", content_type="text/html"),
}


@pytest.mark.parametrize(("said", "answer"), REFUSALS.items())
def test_a_refusal_says_what_to_do(
    photo: Path, capsys: pytest.CaptureFixture[str], answer: Answer, said: str
) -> None:
    """Each refusal is one line: what was said, its code, and the way out."""
    with FakeService([], streams=[Play(then="hold")], posts=[Receive(answer)]) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(said)


def test_a_busy_service_is_asked_again(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """429 is waited out, three tries in all."""
    busy = Receive(Answer.problem(429, "too_many_uploads", **{"retry-after": 0}))
    with FakeService(gate=3, posts=[busy, busy, Receive()]) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 0
        assert len(service.asked("POST")) == 3
    with FakeService(gate=0, posts=[busy]) as service:
        assert upload_command([photo], url=service.url, pace=PATIENT) == 1
        assert len(service.asked("POST")) == 3
    assert "too_many_uploads" in capsys.readouterr().out


def test_the_token_stays_out_of_sight(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from the environment unless given, goes into the header, and is never printed."""
    monkeypatch.setenv("SSE_PROGRESS_TOKEN", "secret-one")
    with FakeService() as service:
        upload_command([photo], url=service.url, pace=PATIENT)
        watch_command("u", url=service.url, token="secret-two", pace=PATIENT)
        sent = [request.headers["authorization"] for request in service.requests]
    assert set(sent[:3]) == {"Bearer secret-one"}
    assert set(sent[3:]) == {"Bearer secret-two"}
    out, err = capsys.readouterr()
    assert "secret" not in out + err


# ---- watch


def test_watching_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole journal is shown, then the result; 0 if it completed, 1 if not."""
    with FakeService(known=True) as service:
        assert watch_command("u", url=service.url, pace=PATIENT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "u: receiving 0% In receiving"
    assert lines[-1] == f"u: complete: {RESULT}, {service.url}/upload/u/files/photo.jpg"
    with FakeService(REFUSED, known=True) as service:
        assert watch_command("u", url=service.url, pace=PATIENT) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("malware (malware).")
    with FakeService([*STORY[:3], event("cancelled", message="Gone.")]) as service:
        assert watch_command("u", url=service.url, as_json=True, pace=PATIENT) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["stage"] == "cancelled"


def test_watching_what_has_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown upload is waited for, and that is said."""
    with FakeService(known=False) as service:
        assert watch_command("u", url=service.url, pace=PATIENT) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "This upload has not begun: waiting for it. Ctrl-C leaves."
    )


def test_leaving_a_watch_cancels_nothing() -> None:
    """Ctrl-C on `watch` ends with 130 and leaves the upload alone."""
    with (
        FakeService(cancel_gate=4, known=True) as service,
        running("watch", "--url", service.url, "u") as process,
    ):
        assert process.stdout is not None
        assert b"receiving" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"the upload goes on" in process.stdout.read()
        assert not service.asked("DELETE")


# ---- Ctrl-C on upload


def test_ctrl_c_cancels_on_the_service(photo: Path) -> None:
    """One Ctrl-C deletes what is under way, waits for its end, and exits with 130."""
    journal = [*STORY[:5], event("cancelled", message="Cancelled.")]
    with (
        FakeService(journal, gate=3, cancel_gate=5) as service,
        running("upload", "--url", service.url, photo, "--id", "mine") as process,
    ):
        assert process.stdout is not None
        while b"validating" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        out = process.stdout.read().decode()
        assert [request.path for request in service.asked("DELETE")] == ["/upload/mine"]
    assert out.splitlines() == [
        "Cancelling on the service. Ctrl-C again leaves at once.",
        "photo.jpg: failed: Cancelled (cancelled).",
    ]


def test_ctrl_c_twice_leaves_at_once(photo: Path) -> None:
    """A second Ctrl-C waits for nobody, not even for a pipe that gives nothing: exit code 130."""
    pipe = photo.with_name("pipe")
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    with (
        FakeService(gate=2, deletes=Answer(204, then="hold")) as service,
        running("upload", "--url", service.url, pipe) as process,
    ):
        assert process.stdout is not None
        assert b"receiving" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert b"Cancelling" in process.stdout.readline()
        wait_until(lambda: bool(service.asked("DELETE")), "the service was asked to cancel")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout.read() == b"pipe: failed: left\n"
    os.close(writer)


# ---- a real terminal


def screen_of(
    *words: str | Path,
    columns: int = 100,
    env: dict[str, str] | None = None,
    when: tuple[str, Callable[[], None]] = ("", lambda: None),
) -> tuple[int, str]:
    """Exit code and everything that the command wrote into a terminal of `columns`.

    Once the text `when[0]` is on it, `when[1]` is called.
    """
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    both = {"TERM": "xterm-256color", "COLUMNS": str(columns), **(env or {})}
    process = start(*words, env=both, stdin=child, stdout=child, stderr=child)
    os.close(child)
    written = b""
    text, act = when
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the other side is closed
            break
        written += part
        if text and text in ESCAPES.sub("", written.decode("utf-8", "replace")):
            text = ""
            act()
    os.close(parent)
    return process.wait(60), written.decode()


ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


def test_a_terminal_shows_bars(photo: Path) -> None:
    """In a terminal each file is a bar with stage and percent, and its result a line above."""
    with FakeService(gate=3, cancel_gate=8) as service:
        code, written = screen_of(
            *("upload", "--url", service.url, photo), when=(" 45%", service.let_go)
        )
    assert code == 0
    text = ESCAPES.sub("", written)
    assert re.search(r"photo\.jpg +analyzing +[━╸╺]+ +45%", text)
    assert f"✓ photo.jpg {RESULT}, {service.url}/upload/u/files/photo.jpg" in text.replace(
        "\r\n", ""
    )
    hidden, shown = written.rfind("\x1b[?25l"), written.rfind("\x1b[?25h")
    assert 0 <= hidden < shown


def test_nothing_in_a_text_reaches_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences and markup in names and messages come out as plain text."""
    evil = tmp_path / "a\x1b]0;owned\x07[red]b\n.jpg"
    evil.write_bytes(b"x")
    message = "\x1b[2J\x9b2J[bold]hi\r\u2028\u202e"
    error = {"code": "bad\x1b[31m", "detail": message, "stage": "validating"}
    journal = [event("receiving", message=message), event("error", message=message, error=error)]
    with FakeService(journal, gate=1) as service:
        code, written = screen_of("upload", "--url", service.url, evil, columns=140)
        assert upload_command([evil], url=service.url, pace=PATIENT) == 1
        plain = capsys.readouterr().out
    assert code == 1
    for text in (written, plain):
        assert "\x1b]0;" not in text
        assert "\x1b[2J" not in text
        assert not set(text) & set("\x07\x9b\u2028\u202e")
        assert "[red]b" in text
    assert "\x1b" not in plain
    assert len(plain.splitlines()) == 2


def test_a_dumb_terminal_gets_lines(photo: Path) -> None:
    """Where the cursor cannot move there are lines instead of bars."""
    with FakeService(gate=3) as service:
        code, written = screen_of("upload", "--url", service.url, photo, env={"TERM": "dumb"})
    assert code == 0
    assert "\x1b" not in written
    assert "photo.jpg: validating 20%" in written


def drawn(columns: int, *steps: tuple[float, Event | QueuePlace | str]) -> list[str]:
    """The last picture of a bar after events, places and phases at given times, as lines."""
    clock = [0.0]
    console = Console(
        file=io.StringIO(), width=columns, force_terminal=True, color_system=None, highlight=False
    )
    bars = Bars(console, now=lambda: clock[0])
    bars.enter("u", "holiday.mp4")
    for clock[0], step in steps:
        if isinstance(step, str):
            bars.phase("u", step)  # type: ignore[arg-type]
        elif isinstance(step, QueuePlace):
            bars.place("u", step)
        else:
            bars.event("u", step)
    with console.capture() as captured:
        console.print(bars._progress.get_renderable())
    return [line.rstrip() for line in captured.get().splitlines()]


def received(count: int, total: int | None = None, **more: Any) -> Event:
    return Event(
        type="progress",
        upload_id="u",
        stage="receiving",
        progress=3,
        bytes=count,
        total=total,
        **more,
    )


def test_what_a_bar_tells() -> None:
    """Bytes of the whole, speed over the latest events, time that is left, the stage's words."""
    steps = (
        (0.0, received(0, 40_000_000)),
        (2.0, received(10_000_000, 40_000_000, eta_seconds=70, message="Receiving the file")),
    )
    (line,) = drawn(130, *steps)
    assert re.fullmatch(
        r"holiday\.mp4 +receiving +[━╸╺]* +3% +10\.0/40\.0 MB +5\.0 MB/s +1:10 Receiving the file",
        line,
    )
    (narrow,) = drawn(60, *steps)
    assert re.fullmatch(r"holiday\.mp4 +receiving +[━╸╺]* +3% +1:10", narrow)
    (unknown,) = drawn(90, (0.0, received(500)))
    assert re.fullmatch(r"holiday\.mp4 +receiving +[━╸╺]* +3% +500 bytes", unknown)


def test_what_a_bar_tells_while_away() -> None:
    """A broken stream is said in the stage's place, and the stage is back when it is live."""
    analyzing = Event(type="progress", upload_id="u", stage="analyzing", progress=45, eta_seconds=9)
    (away,) = drawn(90, (0.0, analyzing), (1.0, "reconnecting"))
    assert re.fullmatch(r"holiday\.mp4 +reconnecting +━.* 45%", away)
    (back,) = drawn(90, (0.0, analyzing), (1.0, "reconnecting"), (2.0, "live"))
    assert re.fullmatch(r"holiday\.mp4 +analyzing +━.* 45%", back)


def test_a_batch_has_one_bar_for_all() -> None:
    """Its counts, its percent, and the bytes of all files; a log has a line for each count."""
    items = {"total": 10, "complete": 5, "error": 1, "cancelled": 0, "running": 2}
    event = BatchEvent(type="progress", batch_id="b", progress=60, stage="processing", items=items)
    console = Console(file=io.StringIO(), width=130, force_terminal=True, color_system=None)
    bars = Bars(console, now=lambda: 0.0)
    bars.overall(event, 41_000_000, 120_000_000)
    with console.capture() as captured:
        console.print(bars._progress.get_renderable())
    assert re.match(r"6 of 10, 1 failed +all files .* 60% +41.0/120.0 MB", captured.get())
    out = io.StringIO()
    lines = Lines(out)
    for there in (40_000_000, 41_000_000):
        lines.overall(event, there, 120_000_000)
    assert out.getvalue() == "b: 6 of 10, 1 failed, 40.0/120.0 MB\n"


def test_a_bar_tells_the_place_in_the_queue() -> None:
    """In the columns of stage and bytes, and in the sentence; work takes it away."""
    place = QueuePlace(upload_id="u", queue_position=3, starts_in_seconds=130)
    stored = Event(type="progress", upload_id="u", stage="file_received", progress=10)
    (line,) = drawn(130, (0, received(5)), (1, stored), (2, place))
    assert re.search(r" 3rd in line .* 10% +about 2 min .*waiting, 3rd in line", line)
    work = Event(type="progress", upload_id="u", stage="validating", progress=20, message="Works")
    (line,) = drawn(130, (0, stored), (1, place), (2, work))
    assert re.search(r" validating .* 20% +Works$", line)


def test_lines_say_a_place_when_it_has_halved() -> None:
    """And with the first estimate: not with each heartbeat."""
    out = io.StringIO()
    lines = Lines(out)
    lines.enter("u", "a")
    for position, seconds in [(9, None), (8, None), (8, 90), (7, 80), (5, 70), (4, 65), (1, 9)]:
        place = QueuePlace(upload_id="u", queue_position=position, starts_in_seconds=seconds)
        lines.place("u", place)
    assert out.getvalue().splitlines() == [
        "a: waiting, 9th in line, no estimate",
        "a: waiting, 8th in line, about 2 min",
        "a: waiting, 4th in line, about 1 min",
        "a: waiting, next in line, under a minute",
    ]


def test_lines_say_a_stage_once() -> None:
    """Many events of a stage are one line."""
    out = io.StringIO()
    lines = Lines(out)
    lines.enter("u", "a")
    for one in STORY:
        lines.event("u", Event(type="progress", upload_id="u", stage=one["stage"], progress=1))
    assert len(out.getvalue().splitlines()) == 4
