"""The streams of a clip by what they are, its packets, and frames out of one stream.

Streams are distinguished by type and disposition, packets by the stream that they carry. The empty
packets with which PyAV 18 ends name stream 0 whichever one they are for; they are not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sse_progress.model.text import clean_text

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

__all__ = ["Decoder", "codec_name", "covers", "late_streams", "moving_pictures", "packets"]

_DUMPED = r"^  Stream #0:{index}\b.*?: (?:Audio|Video): (\S+)(?: .*?)? \((\S+) / 0x[0-9A-F]+\)"
_STREAM = re.compile(r"^  Stream #0:(\d+)", re.MULTILINE)
_VP8_SHOWN = 0x10
_PLACEHOLDER_BYTES = 16
"""An MPEG-4 frame that only repeats the one before takes seven or eight bytes."""


def moving_pictures(clip: InputContainer) -> list[Any]:
    """The video streams that are no covers."""
    return [one for one in clip.streams.video if not _attached(one)]


def covers(clip: InputContainer) -> list[Any]:
    """The pictures that are attached to a clip: a cover, the pictures of chapters."""
    return [one for one in clip.streams.video if _attached(one)]


def _attached(stream: Any) -> bool:
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def codec_name(clip: InputContainer, stream: Any) -> str:
    """The codec of a stream by FFmpeg's name; its tag (fourcc) where FFmpeg has no name for it."""
    if stream.codec_context is not None:
        return str(stream.codec_context.codec.canonical_name)
    found = re.search(_DUMPED.format(index=stream.index), _dump(clip), re.MULTILINE)
    if found is None:
        return "without a name"
    return clean_text(found[2] if found[1] == "none" else found[1], 30)


def late_streams(clip: InputContainer) -> list[str]:
    """A note, once all packets were read, on streams that began in the middle of the file.

    MPEG and FLV have no list of their streams in front. PyAV gives no packets of such ones.
    """
    known = len(clip.streams)
    late = {int(one) for one in _STREAM.findall(_dump(clip))} - set(range(known))
    return [f"streams that begin in the middle of the file ({len(late)})"] if late else []


def _dump(clip: InputContainer) -> str:
    """FFmpeg's description: PyAV shows late streams, and tags without a decoder, nowhere else."""
    import av

    level = av.logging.get_level()
    try:
        av.logging.set_level(av.logging.INFO)
        return str(clip.dumps_format())  # type: ignore[attr-defined]  # not in PyAV's stubs
    finally:
        av.logging.set_level(level)


def packets(clip: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:
    """Every packet of the clip, or of `streams`, that carries data or a time.

    A stream that first appears in the middle (MPEG-TS, FLV) is passed over; after the last packet
    PyAV 18 raises IndexError for it.
    """
    try:
        for packet in clip.demux(*streams):
            if packet.size or packet.dts is not None or packet.pts is not None:
                yield packet
    except IndexError:
        return


class Decoder:
    """Frames out of the packets of one stream; a packet that cannot be decoded is counted.

    What fails before the first key packet is not: a recording may begin anywhere.
    """

    def __init__(self, stream: Any) -> None:
        import av

        self._error = av.error.FFmpegError
        self._context = stream.codec_context
        self._base = float(stream.time_base)
        self._is_vp8 = self._context.codec.canonical_name == "vp8"
        self._begun = stream.type != "video"
        self.failed = 0

    def frames(self, packet: Packet[Any] | None) -> list[Any]:
        """What comes out for `packet`; None ends the stream and gives what was held back."""
        if packet is not None:
            if not packet.size:  # it would end the stream
                return []
            self._begun = self._begun or packet.is_keyframe
        try:
            return list(self._context.decode(packet))
        except self._error:
            self.failed += self._begun
            return []

    def time_of(self, frame: Any) -> float | None:
        """When a frame is shown, in seconds; `frame.time` is not set on the last ones."""
        return None if frame.pts is None else frame.pts * self._base

    def announces_picture(self, packet: Packet[Any]) -> bool:
        """Whether a picture of its own is to be seen for this packet.

        None is for what an edit list cuts away, and for VP8's alternate references (RFC 6386 §9.1).
        """
        if not packet.size or packet.is_discard:
            return False
        if self._is_vp8:
            return bool(memoryview(packet)[0] & _VP8_SHOWN)
        return True

    def may_repeat(self, packet: Packet[Any]) -> bool:
        """Whether the packet may say only that the picture before stays."""
        return packet.size <= _PLACEHOLDER_BYTES
