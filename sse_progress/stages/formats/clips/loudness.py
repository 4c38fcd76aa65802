"""Loudness by EBU R 128, measured by FFmpeg's `ebur128` filter while sound is decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sse_progress.model.media_analysis import Loudness

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

__all__ = ["Meter"]

_SILENCE_LUFS = -70.0
"""The absolute gate of R 128: below it there is nothing to measure."""


class Meter:
    """Takes decoded frames of one stream; `result()` is None for silence and for odd layouts.

    The first frame tells the sample format: the container's word for it is a guess.
    """

    def __init__(self) -> None:
        import av

        self._again = (av.error.BlockingIOError, av.error.EOFError)
        self._error = av.error.FFmpegError
        self._values: dict[str, str] = {}
        self._graph: Any = None
        self.broken = False

    def _configure(self, frame: AudioFrame) -> None:
        import av

        graph = self._graph = av.filter.Graph()  # kept: its nodes do not hold it
        self._source = graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name
        )
        meter = graph.add("ebur128", "metadata=1:peak=true")
        self._sink = graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        graph.configure()

    def feed(self, frame: AudioFrame | None) -> None:
        """One frame; None ends the sound."""
        if self.broken or (frame is None and self._graph is None):
            return
        try:
            if self._graph is None and frame is not None:
                self._configure(frame)
            self._source.push(frame)
            while True:
                self._values = self._sink.pull().metadata or self._values
        except self._again:
            return
        except (self._error, ValueError):  # an odd layout, or another one in the middle
            self.broken = True

    def result(self) -> Loudness | None:
        integrated = self._value("I")
        if self.broken or integrated is None or integrated <= _SILENCE_LUFS:
            return None
        return Loudness(
            integrated_lufs=integrated,
            range_lu=self._value("LRA"),
            peak_dbfs=self._value("true_peak"),
        )

    def _value(self, name: str) -> float | None:
        try:
            value = float(self._values[f"lavfi.r128.{name}"])
        except (KeyError, ValueError):
            return None
        return round(value, 2) if math.isfinite(value) else None
