"""How uploads look: plain lines for a log, JSON for a program; a person's bars are in `bars`.

Knows events, not how they come. Nothing that the service or a file name says can move the cursor
or colour the screen.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO

from sse_progress.cli.stage_titles import StageTitles
from sse_progress.cli.words import words
from sse_progress.client import AsyncClient, BatchEvent, Event, Phase, QueuePlace
from sse_progress.model.events import encode_json
from sse_progress.model.text import clean_text

__all__ = [
    "AWAY",
    "Lines",
    "Ndjson",
    "Screen",
    "amount",
    "counts",
    "plain",
    "screen_for",
    "waiting",
]

AWAY: tuple[Phase, ...] = ("reconnecting", "polling")


class Screen(Protocol):
    """Where the events of some uploads go. `key` is an upload's id, `name` what a person calls it.

    Between `enter` and `leave` of an upload come its events, phases and places in the queue, before
    each event a `learn`; `leave` says in one line how it ended. `overall` shows a batch, of whose
    `whole` bytes so many are `there`. Use all of it inside `with screen.on():`.
    """

    def on(self) -> AbstractContextManager[object]: ...
    def enter(self, key: str, name: str) -> None: ...
    async def learn(self, event: Event) -> None: ...
    def event(self, key: str, event: Event) -> None: ...
    def phase(self, key: str, phase: Phase) -> None: ...
    def place(self, key: str, place: QueuePlace) -> None: ...
    def leave(self, key: str, *, well: bool, text: str) -> None: ...
    def remark(self, text: str) -> None: ...
    def overall(self, event: BatchEvent, there: int, whole: int) -> None: ...


def screen_for(client: AsyncClient, *, as_json: bool) -> Screen:
    """The screen that standard output can show, of uploads of this client's service."""
    if as_json:
        return Ndjson(sys.stdout, sys.stderr)
    titles = StageTitles(client)
    if sys.stdout.isatty():
        from sse_progress.cli.bars import bars_for

        if bars := bars_for(titles):
            return bars
    return Lines(sys.stdout, titles)


class Ndjson:
    """One event a line, each flushed, and nothing else; what failed is said on `err`."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err
        self._names: dict[str, str] = {}
        self._overall: BatchEvent | None = None

    def on(self) -> AbstractContextManager[object]:
        return nullcontext()

    def enter(self, key: str, name: str) -> None:
        self._names[key] = plain(name)

    async def learn(self, event: Event) -> None:
        pass

    def event(self, key: str, event: Event) -> None:  # noqa: ARG002  # the event names its upload
        self._out.write(encode_json(event).decode() + "\n")
        self._out.flush()

    def phase(self, key: str, phase: Phase) -> None:
        pass

    def place(self, key: str, place: QueuePlace) -> None:
        pass  # no event

    def leave(self, key: str, *, well: bool, text: str) -> None:
        if not well:
            print(f"{self._names[key]}: {plain(text)}", file=self._err, flush=True)

    def remark(self, text: str) -> None:
        print(plain(text), file=self._err, flush=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:  # noqa: ARG002  # bytes: each event's own
        if event is not self._overall:
            self._overall = event
            self.event("", event)


class Lines:
    """A line for each stage, for each break of the stream, and for the end.

    A place in the queue is a line when it is known first, with the first estimate, and each time
    that it has halved since.
    """

    def __init__(self, out: TextIO, titles: StageTitles | None = None) -> None:
        self._out, self._titles = out, titles or StageTitles()
        self._names: dict[str, str] = {}
        self._stages: dict[str, str] = {}
        self._places: dict[str, QueuePlace] = {}
        self._counts = ""

    def on(self) -> AbstractContextManager[object]:
        return nullcontext()

    def enter(self, key: str, name: str) -> None:
        self._names[key] = plain(name)

    async def learn(self, event: Event) -> None:
        await self._titles.learn(event)

    def event(self, key: str, event: Event) -> None:
        if event.stage is None or event.terminal or self._stages.get(key) == event.stage:
            return
        self._stages[key] = event.stage
        stage, message = self._titles.stage(event), self._titles.message(event)
        self._say(key, f"{stage} {event.progress or 0}% {message}")

    def phase(self, key: str, phase: Phase) -> None:
        if phase in AWAY:
            self._say(key, words().say(phase))

    def place(self, key: str, place: QueuePlace) -> None:
        said = self._places.get(key)
        moved = said is None or place.queue_position * 2 <= said.queue_position
        fresh = said is None or (said.starts_in_seconds is None) > (place.starts_in_seconds is None)
        if moved or fresh:
            self._places[key] = place
            self._say(key, waiting(place))

    def leave(self, key: str, *, well: bool, text: str) -> None:
        self._say(key, f"{words().say('complete' if well else 'failed')}: {text}")

    def remark(self, text: str) -> None:
        print(plain(text), file=self._out, flush=True)

    def overall(self, event: BatchEvent, there: int, whole: int) -> None:
        if counts(event) != self._counts:
            self._counts = counts(event)
            self.remark(f"{event.batch_id}: {self._counts}, {amount(there, whole)}")

    def _say(self, key: str, text: str) -> None:
        print(f"{self._names[key]}: {plain(text)}", file=self._out, flush=True)


def amount(count: int, total: int | None) -> str:
    """`12.3/40.5 MB`, or `12.3 MB` where the whole is not known."""
    if total is None:
        return words().size(count)
    (there, unit), (whole, whole_unit) = words().size(count).split(), words().size(total).split()
    return (
        f"{there}/{whole} {unit}" if unit == whole_unit else f"{there} {unit}/{whole} {whole_unit}"
    )


def waiting(place: QueuePlace) -> str:
    """`waiting, 3rd in line, about 2 min`."""
    where, when = words().place(place.queue_position), words().starts(place.starts_in_seconds)
    return f"{words().say('waiting')}, {where}, {when}"


def counts(event: BatchEvent) -> str:
    """`6 of 10`, and how many of these did not complete."""
    items = event.items or {}
    well, total = items.get("complete", 0), items.get("total", 0)
    badly = items.get("error", 0) + items.get("cancelled", 0)
    say = words().say
    ended = say("{done} of {total}", done=well + badly, total=total)
    return f"{ended}, {say('{count} failed', count=badly)}" if badly else ended


def plain(text: str) -> str:
    """One line without anything that a terminal would act on."""
    return clean_text(text, 400)


def quiet_stdout() -> None:
    """After a broken pipe: nothing that Python still wants to flush may fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
