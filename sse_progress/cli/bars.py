"""How uploads look in a terminal: a bar for each, and a line for each that has ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from sse_progress.cli.display import AWAY, amount, counts, plain, waiting
from sse_progress.cli.stage_titles import StageTitles
from sse_progress.cli.words import words
from sse_progress.client import BatchEvent, Event, Phase, QueuePlace

__all__ = ["Bars", "bars_for"]

NARROW, WIDE = 72, 110
"""Columns below which bytes and speed are left out; from which the stage's words are shown."""


def bars_for(titles: StageTitles) -> Bars | None:
    """None where the cursor cannot move."""
    console = Console(highlight=False, markup=False, emoji=False)
    return None if console.is_dumb_terminal else Bars(console, titles)


class Bars:
    """A bar for each upload under way; one that ended becomes a line above them."""

    def __init__(
        self,
        console: Console,
        titles: StageTitles | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._now = console, now
        self._titles = titles or StageTitles()
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
        self._names[key] = plain(name)
        self._speeds[key] = _Speed()
        self._tasks[key] = self._progress.add_task(
            "", total=100, name=self._names[key], stage=words().say("connecting")
        )

    async def learn(self, event: Event) -> None:
        await self._titles.learn(event)

    def event(self, key: str, event: Event) -> None:
        stage = self._stages[key] = plain(self._titles.stage(event))
        receiving = event.stage == "receiving"
        fields: dict[str, Any] = {
            "stage": stage,
            "message": plain(self._titles.message(event)),
            "speed": self._speeds[key].text(event.bytes, self._now()) if receiving else "",
        }
        if event.bytes is not None:
            fields["bytes"] = amount(event.bytes, event.total)
        elif not receiving:
            fields["bytes"] = ""
        eta = event.eta_seconds
        due = None if eta is None else self._now() + eta
        self._progress.update(self._tasks[key], completed=event.progress or 0, due=due, **fields)

    def phase(self, key: str, phase: Phase) -> None:
        say = words().say
        text = say(phase) if phase in AWAY else self._stages.get(key, say("connecting"))
        self._progress.update(self._tasks[key], stage=text, due=None)

    def place(self, key: str, place: QueuePlace) -> None:
        self._progress.update(
            self._tasks[key],
            stage=words().place(place.queue_position),
            bytes=words().starts(place.starts_in_seconds),
            message=waiting(place),
        )

    def leave(self, key: str, *, well: bool, text: str) -> None:
        self._progress.remove_task(self._tasks.pop(key))
        mark, style = ("✓", "green") if well else ("✗", "red")
        if not self._console.encoding.startswith("utf"):
            mark = "+" if well else "x"
        line = Text.assemble((mark, style), " ", (self._names[key], "bold"), " ", plain(text))
        self._console.print(line, soft_wrap=True)

    def remark(self, text: str) -> None:
        self._console.print(Text(plain(text), "dim"), soft_wrap=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:
        if self._all is None:
            self._all = self._progress.add_task("", total=100)
            self._speeds[""] = _Speed()
        speed = self._speeds[""].text(there, self._now()) if there < whole else ""
        self._progress.update(
            self._all,
            completed=event.progress or 0,
            name=counts(event),
            stage=words().say("all files"),
            bytes=amount(there, whole),
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
