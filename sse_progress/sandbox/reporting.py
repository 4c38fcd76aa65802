"""What a stage's process says to its worker: reports, few and in order, and the outcome."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic, process_time

import msgspec

from sse_progress.sandbox.messages import Outcome, Progress, frame

__all__ = ["Channel", "Reporter", "plain"]

INTERVAL_S = 0.02
"""At most one report passes in this time; of those between, the last one does."""
MESSAGE_LIMIT = 1000


class Channel:
    """Whole messages to the worker, from any thread. A forked copy of it is mute."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._reporter: Reporter | None = None
        os.register_at_fork(after_in_child=self._forget)

    def reporter(self) -> Reporter:
        """The `report` of the next task."""
        self._reporter = Reporter(self.send)
        return self._reporter

    def send(self, message: Progress | Outcome) -> None:
        data = memoryview(frame(msgspec.json.encode(message)))
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def _forget(self) -> None:
        os.close(self._descriptor)
        if self._reporter is not None:
            self._reporter.forget()


class Reporter:
    """The `report` of one task: remembers the furthest fraction and lets few reports through.

    The last report of a burst goes out within 20 ms, even if the stage then says nothing for long.
    It may be called from any thread; in a process forked by the stage it does nothing.
    """

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._fraction = 0.0
        self._message: str | None = None
        self._next = 0.0
        self._waiting = False
        self._open = True
        self._work = threading.Event()
        self._closed = threading.Event()
        self._flusher: threading.Thread | None = None
        self._cpu_before_s = process_time()

    def __call__(self, fraction: float, message: str | None = None) -> None:
        with self._lock:
            if fraction > self._fraction:  # never true for a NaN
                self._fraction = min(fraction, 1.0)
            if message is not None:
                self._message = message
            if self._waiting or not self._open:
                return
            if monotonic() >= self._next:
                self._pass_on()
                return
            self._waiting = True
            self._work.set()
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._flush, daemon=True)
                self._flusher.start()

    def close(self) -> None:
        """Let the last report out; later ones are ignored."""
        with self._lock:
            if self._waiting:
                self._pass_on()
            self._open = False
        self._closed.set()
        self._work.set()
        if self._flusher is not None:
            self._flusher.join()

    def forget(self) -> None:
        """Fall silent, whatever a thread that is not here any more may hold locked."""
        self._lock = threading.Lock()
        self._open = False
        self._flusher = None
        self._waiting = False

    def _flush(self) -> None:
        while not self._closed.is_set():
            self._work.wait()
            self._closed.wait(INTERVAL_S)
            with self._lock:
                self._work.clear()
                if self._waiting and self._open:
                    self._pass_on()

    def _pass_on(self) -> None:
        message, self._message = self._message, None
        self._waiting = False
        text = None if message is None else plain(str(message))[:MESSAGE_LIMIT]
        cpu_s = round(process_time() - self._cpu_before_s, 3)
        self._send(Progress(float(self._fraction), text, cpu_s))
        self._next = monotonic() + INTERVAL_S


def plain(text: str) -> str:
    """`text` without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()
