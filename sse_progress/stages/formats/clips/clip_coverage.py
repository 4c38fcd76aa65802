"""Which of a video's announced pictures came out of the decoder, by the time they are shown.

Packets and frames are not compared by number: a packet may be one field of a frame, or none of it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["Coverage"]

_HELD = 1
"""A gap between frames with one packet in it is none: that packet is the second field."""


class Coverage:
    """Times of announced and of decoded pictures, in units of the stream's time base."""

    def __init__(self) -> None:
        self._announced, self._shown = array("q"), array("q")
        self._expected = 0
        self._from: int | None = None

    def announce(self, packet: Packet[Any], *, may_repeat: bool) -> None:
        """A picture that is to be shown; what comes before the first key frame is not counted."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if self._from is None and packet.is_keyframe:
            self._from = stamp
            self._announced, self._expected = array("q"), 0
        if may_repeat or (stamp is not None and self._from is not None and stamp < self._from):
            return
        self._expected += 1
        if stamp is not None:
            self._announced.append(stamp)

    def show(self, frame: Any) -> None:
        if frame.pts is not None:
            self._shown.append(frame.pts)

    def missing_share(self, decoded: int, *, per_frame: int) -> float:
        """The share of the announced time, 0-1, for which there is no picture.

        Where frames or packets bear no time, they are counted: `per_frame` packets for each.
        """
        if not self._expected:
            return 0.0
        if 2 * len(self._shown) < decoded or 2 * len(self._announced) < self._expected:
            return max(1 - decoded * per_frame / self._expected, 0.0)
        wanted, shown = sorted(self._announced), sorted(self._shown)
        slot = (wanted[-1] - wanted[0]) / max(len(wanted) - 1, 1) or 1.0
        ends = [wanted[0] - 1, *(one for one in shown if one >= wanted[0]), wanted[-1] + 1]
        missing = 0.0
        for before, after in pairwise(ends):
            first = bisect_right(wanted, before)
            held = _HELD if before != ends[0] else 0
            if bisect_left(wanted, after) - first > held:
                missing += min(after, wanted[-1] + slot) - wanted[first + held]
        return missing / (wanted[-1] + slot - wanted[0])
