"""How uploads look in a terminal: bars for a person, plain lines for a log, JSON for a program.

Knows events, not how they come. Nothing that the service or a file name says can move the cursor
or colour the screen.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from sse_progress.cli.words import words
from sse_progress.client import BatchEvent, Event, Phase, QueuePlace
from sse_progress.model.events import encode_json
from sse_progress.model.text import clean_text

__all__ = ["Bars", "Lines", "Ndjson", "Screen", "screen_for"]

NARROW, WIDE = 72, 110
"""Columns below which bytes and speed are left out; from which the stage's words are shown."""

_AWAY: tuple[Phase, ...] = ("reconnecting", "polling")


class Screen(Protocol):
    """Where the events of some uploads go. `key` is an upload's id, `name` what a person calls it.

    Between `enter` and `leave` of an upload come its events, phases and places in the queue;
    `leave` says in one line how it ended. `overall` shows a batch, of whose `whole` bytes so many
    are `there`. Use all of it inside `with screen.on():`.
    """

    def on(self) -> AbstractContextManager[object]: ...
    def enter(self, key: str, name: str) -> None: ...
    def event(self, key: str, event: Event) -> None: ...
    def phase(self, key: str, phase: Phase) -> None: ...
    def place(self, key: str, place: QueuePlace) -> None: ...
    def leave(self, key: str, *, well: bool, text: str) -> None: ...
    def remark(self, text: str) -> None: ...
    def overall(self, event: BatchEvent, there: int, whole: int) -> None: ...


def screen_for(*, as_json: bool) -> Screen:
    """The screen that standard output can show."""
    if as_json:
        return Ndjson(sys.stdout, sys.stderr)
    console = Console(highlight=False, markup=False, emoji=False)
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Bars(console)
    return Lines(sys.stdout)


class Ndjson:
    """One event a line, each flushed, and nothing else; what failed is said on `err`."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err
        self._names: dict[str, str] = {}
        self._overall: BatchEvent | None = None

    def on(self) -> AbstractContextManager[object]:
        return nullcontext()

    def enter(self, key: str, name: str) -> None:
        self._names[key] = _plain(name)

    def event(self, key: str, event: Event) -> None:  # noqa: ARG002  # the event names its upload
        self._out.write(encode_json(event).decode() + "\n")
        self._out.flush()

    def phase(self, key: str, phase: Phase) -> None:
        pass

    def place(self, key: str, place: QueuePlace) -> None:
        pass  # no event

    def leave(self, key: str, *, well: bool, text: str) -> None:
        if not well:
            print(f"{self._names[key]}: {_plain(text)}", file=self._err, flush=True)

    def remark(self, text: str) -> None:
        print(_plain(text), file=self._err, flush=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:  # noqa: ARG002  # bytes: each event's own
        if event is not self._overall:
            self._overall = event
            self.event("", event)


class Lines:
    """A line for each stage, for each break of the stream, and for the end.

    A place in the queue is a line when it is known first, with the first estimate, and each time
    that it has halved since.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._names: dict[str, str] = {}
        self._stages: dict[str, str] = {}
        self._places: dict[str, QueuePlace] = {}
        self._counts = ""

    def on(self) -> AbstractContextManager[object]:
        return nullcontext()

    def enter(self, key: str, name: str) -> None:
        self._names[key] = _plain(name)

    def event(self, key: str, event: Event) -> None:
        if event.stage is None or event.terminal or self._stages.get(key) == event.stage:
            return
        self._stages[key] = event.stage
        stage, message = words().stage(event.stage), words().message(event)
        self._say(key, f"{stage} {event.progress or 0}% {message}")

    def phase(self, key: str, phase: Phase) -> None:
        if phase in _AWAY:
            self._say(key, words().say(phase))

    def place(self, key: str, place: QueuePlace) -> None:
        said = self._places.get(key)
        moved = said is None or place.queue_position * 2 <= said.queue_position
        fresh = said is None or (said.starts_in_seconds is None) > (place.starts_in_seconds is None)
        if moved or fresh:
            self._places[key] = place
            self._say(key, _waiting(place))

    def leave(self, key: str, *, well: bool, text: str) -> None:
        self._say(key, f"{words().say('complete' if well else 'failed')}: {text}")

    def remark(self, text: str) -> None:
        print(_plain(text), file=self._out, flush=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:
        if _counts(event) != self._counts:
            self._counts = _counts(event)
            self.remark(f"{event.batch_id}: {self._counts}, {_amount(there, whole)}")

    def _say(self, key: str, text: str) -> None:
        print(f"{self._names[key]}: {_plain(text)}", file=self._out, flush=True)


class Bars:
    """A bar for each upload under way; one that ended becomes a line above them."""

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._now = console, now
        columns: list[ProgressColumn] = [
            _Field("name", width=24 if console.width >= WIDE else 16),
            _Field("stage", width=words().stage_width),
            BarColumn(bar_width=None, table_column=Column(ratio=2, min_width=6)),
            TextColumn("{task.completed:>3.0f}%", markup=False),
        ]
        if console.width >= NARROW:
            columns += [
                _Field("bytes", width=14, right=True),
                _Field("speed", width=10, right=True),
            ]
        columns.append(_Remaining(now))
        if console.width >= WIDE:
            columns.append(_Field("message", ratio=3))
        self._progress = Progress(*columns, console=console, expand=True)
        self._tasks: dict[str, TaskID] = {}
        self._names: dict[str, str] = {}
        self._stages: dict[str, str] = {}
        self._speeds: dict[str, _Speed] = {}
        self._all: TaskID | None = None

    def on(self) -> AbstractContextManager[object]:
        return self._progress

    def enter(self, key: str, name: str) -> None:
        self._names[key] = _plain(name)
        self._speeds[key] = _Speed()
        self._tasks[key] = self._progress.add_task(
            "", total=100, name=self._names[key], stage=words().say("connecting")
        )

    def event(self, key: str, event: Event) -> None:
        stage = self._stages[key] = _plain(words().stage(event.stage or ""))
        receiving = event.stage == "receiving"
        fields: dict[str, Any] = {
            "stage": stage,
            "message": _plain(words().message(event)),
            "speed": self._speeds[key].text(event.bytes, self._now()) if receiving else "",
        }
        if event.bytes is not None:
            fields["bytes"] = _amount(event.bytes, event.total)
        elif not receiving:
            fields["bytes"] = ""
        eta = event.eta_seconds
        due = None if eta is None else self._now() + eta
        self._progress.update(self._tasks[key], completed=event.progress or 0, due=due, **fields)

    def phase(self, key: str, phase: Phase) -> None:
        say = words().say
        text = say(phase) if phase in _AWAY else self._stages.get(key, say("connecting"))
        self._progress.update(self._tasks[key], stage=text, due=None)

    def place(self, key: str, place: QueuePlace) -> None:
        self._progress.update(
            self._tasks[key],
            stage=words().place(place.queue_position),
            bytes=words().starts(place.starts_in_seconds),
            message=_waiting(place),
        )

    def leave(self, key: str, *, well: bool, text: str) -> None:
        self._progress.remove_task(self._tasks.pop(key))
        mark, style = ("✓", "green") if well else ("✗", "red")
        if not self._console.encoding.startswith("utf"):
            mark = "+" if well else "x"
        line = Text.assemble((mark, style), " ", (self._names[key], "bold"), " ", _plain(text))
        self._console.print(line, soft_wrap=True)

    def remark(self, text: str) -> None:
        self._console.print(Text(_plain(text), "dim"), soft_wrap=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:
        if self._all is None:
            self._all = self._progress.add_task("", total=100)
            self._speeds[""] = _Speed()
        speed = self._speeds[""].text(there, self._now()) if there < whole else ""
        self._progress.update(
            self._all,
            completed=event.progress or 0,
            name=_counts(event),
            stage=words().say("all files"),
            bytes=_amount(there, whole),
            speed=speed,
        )


class _Speed:
    """Bytes a second over the latest events."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=12)

    def text(self, count: int | None, now: float) -> str:
        if count is not None:
            self._seen.append((now, count))
        if len(self._seen) < 2:
            return ""
        (since, before), (until, after) = self._seen[0], self._seen[-1]
        if until <= since:
            return ""
        return f"{words().size(int((after - before) / (until - since)))}/s"


class _Field(ProgressColumn):
    """A named field of the task, cut to its column."""

    def __init__(
        self, name: str, *, width: int | None = None, ratio: int | None = None, right: bool = False
    ) -> None:
        justify: Literal["left", "right"] = "right" if right else "left"
        super().__init__(
            Column(width=width, ratio=ratio, justify=justify, no_wrap=True, overflow="ellipsis")
        )
        self._name = name

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get(self._name, "")), no_wrap=True, overflow="ellipsis")


class _Remaining(ProgressColumn):
    """The service's own estimate, counted down between events."""

    max_refresh = 0.5

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(Column(width=7, justify="right", no_wrap=True))
        self._now = now

    def render(self, task: Task) -> Text:
        due = task.fields.get("due")
        if due is None:
            return Text("")
        minutes, seconds = divmod(max(round(due - self._now()), 0), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}")


def _amount(count: int, total: int | None) -> str:
    """`12.3/40.5 MB`, or `12.3 MB` where the whole is not known."""
    if total is None:
        return words().size(count)
    (there, unit), (whole, whole_unit) = words().size(count).split(), words().size(total).split()
    return (
        f"{there}/{whole} {unit}" if unit == whole_unit else f"{there} {unit}/{whole} {whole_unit}"
    )


def _waiting(place: QueuePlace) -> str:
    """`waiting, 3rd in line, about 2 min`."""
    where, when = words().place(place.queue_position), words().starts(place.starts_in_seconds)
    return f"{words().say('waiting')}, {where}, {when}"


def _counts(event: BatchEvent) -> str:
    """`6 of 10`, and how many of these did not complete."""
    items = event.items or {}
    well, total = items.get("complete", 0), items.get("total", 0)
    badly = items.get("error", 0) + items.get("cancelled", 0)
    say = words().say
    ended = say("{done} of {total}", done=well + badly, total=total)
    return f"{ended}, {say('{count} failed', count=badly)}" if badly else ended


def _plain(text: str) -> str:
    """One line without anything that a terminal would act on."""
    return clean_text(text, 400)


def quiet_stdout() -> None:
    """After a broken pipe: nothing that Python still wants to flush may fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
