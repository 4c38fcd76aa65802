"""gzip for lists, histories and replays: everything is read as it was without it."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.web.content_coding import REPLAY_BYTES, BlockGzip, accepts_gzip


@given(st.lists(st.binary(max_size=3 * REPLAY_BYTES), max_size=6))
def test_each_piece_can_be_read_when_it_is_sent(pieces: list[bytes]) -> None:
    """Long ones and short ones; and the whole is a gzip file."""
    encode, reader = BlockGzip(), zlib.decompressobj(16 + zlib.MAX_WBITS)
    sent = b""
    for piece in pieces:
        block = encode(piece)
        sent += block
        assert reader.decompress(block) == piece
    sent += encode(b"end", final=True)
    assert gzip.decompress(sent) == b"".join(pieces) + b"end"


def test_a_piece_longer_than_a_block() -> None:
    """Random bytes do not get shorter, and a stored block holds 65535."""
    encode, body = BlockGzip(), bytes(200_000)
    assert gzip.decompress(encode(body, final=True)) == body
    short = BlockGzip()
    first = short(b"a" * (REPLAY_BYTES - 1))
    assert len(first) == 10 + 5 + REPLAY_BYTES - 1


def test_a_replay_gets_short_and_a_frame_stays_as_it_is() -> None:
    """5 bytes more for a frame; a tenth for many of them."""
    encode = BlockGzip()
    encode(b"")
    frame = b'id: e-1\ndata: {"type":"progress","uploadId":"u","stage":"analyzing"}\n\n'
    assert len(encode(frame)) == len(frame) + 5
    assert len(encode(frame * 200)) < len(frame) * 20


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("gzip", True),
        ("GZIP;q=0.1", True),
        ("br, *", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=x", False),
        ("br;q=1.0, deflate", False),
    ],
)
def test_who_accepts_gzip(value: str, accepted: bool) -> None:
    """RFC 9110 §12.5.3; without the header nobody is assumed to."""
    assert accepts_gzip({"headers": [(b"accept-encoding", value.encode())]}) is accepted
    assert not accepts_gzip({"headers": []})
