"""Files in parts: what is asked next, and real ones over cuts, in both clients."""

from __future__ import annotations

import hashlib
import io
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.client import (
    AsyncClient,
    Client,
    Conflict,
    Pace,
    Refused,
    Unreachable,
    UploadFailed,
)
from sse_progress.client.base import BaseClient
from sse_progress.client.body import Body
from sse_progress.client.failures import BadAnswer, NotFound
from sse_progress.client.resuming import PART_BYTES, Parts
from sse_progress.client.sending import Accepted, Lost
from tests.cutting_uploads import CuttingUploads
from tests.helpers.service import Service
from tests.wire.words import new_id

PACE = Pace(retry_first_s=0.02, retry_limit_s=0.5, give_up_s=60, answer_s=0.1)
CONTENT = b"Some words, and more of them.\n" * 30_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def parts(size: int = 10, **more: Any) -> Parts:
    given: dict[str, Any] = {
        "url": "http://service",
        "size": size,
        "metadata": {"filename": "ü"},
        "known": False,
        "pace": Pace(),
        "now": lambda: 0.0,
        "chance": lambda: 0.0,
        **more,
    }
    return Parts("u1", **given)


def json_headers(**more: str) -> dict[str, str]:
    return {"content-type": "application/problem+json", **more}


def test_a_file_in_order() -> None:
    """Begun, then part after part from the offset that was told."""
    sending = parts(PART_BYTES + 5)
    ask = sending.next()
    assert (ask.method, ask.path) == ("POST", "/upload")
    assert ask.headers["Upload-Metadata"] == "filename w7w="
    assert ask.headers["Upload-Length"] == str(PART_BYTES + 5)
    sending.answered(ask, 201, {"upload-offset": "0"}, b"")
    ask = sending.next()
    assert (ask.method, ask.path, ask.start, ask.end) == ("PATCH", "/upload/u1", 0, PART_BYTES)
    sending.answered(ask, 204, {"upload-offset": str(PART_BYTES)}, b"")
    ask = sending.next()
    assert (ask.start, ask.end, ask.headers["Content-Length"]) == (PART_BYTES, PART_BYTES + 5, "5")
    assert sending.told is None
    sending.answered(ask, 204, {"upload-offset": str(PART_BYTES + 5)}, b"")
    assert isinstance(sending.told, Accepted)


def test_after_a_cut_it_asks_for_the_offset() -> None:
    """With a pause that doubles; a good answer ends the counting."""
    sending = parts(known=True)
    pauses = []
    for _ in range(3):
        sending.broke("gone")
        pauses.append(sending.next().pause_s)
    assert pauses == [1.5, 3.0, 6.0]
    ask = sending.next()
    assert (ask.method, ask.pause_s) == ("HEAD", 0)
    sending.answered(ask, 200, {"upload-offset": "4"}, b"")
    ask = sending.next()
    assert (ask.method, ask.start) == ("PATCH", 4)
    sending.broke("gone")
    assert sending.next().pause_s == 1.5


def test_a_service_that_stays_away_is_given_up() -> None:
    """After `give_up_s` without a good answer."""
    clock = itertools.count(0, 200)
    sending = parts(now=lambda: float(next(clock)))
    sending.broke("gone")
    assert sending.told is None
    sending.broke("gone")
    assert isinstance(sending.told, Lost)
    assert sending.told.sent is False


@pytest.mark.parametrize(
    ("status", "headers", "body", "then"),
    [
        (409, {}, b'{"code":"mismatching_offset"}', "HEAD"),
        (404, {}, b"", "POST"),
        (503, {"retry-after": "7"}, b'{"code":"unavailable"}', "HEAD"),
        (408, {}, b'{"code":"receive_timeout"}', "HEAD"),
        (429, {}, b'{"code":"rate_limited"}', "HEAD"),
    ],
)
def test_an_answer_after_which_it_goes_on(
    status: int, headers: dict[str, str], body: bytes, then: str
) -> None:
    """The offset is asked for, or the upload is begun anew."""
    sending = parts(known=True)
    sending.answered(sending.next(), status, json_headers(**headers), body)
    ask = sending.next()
    assert ask.method == then
    if headers:
        assert ask.pause_s == 7


@pytest.mark.parametrize("code", ["replaced", "cancelled", "upload_gone", "too_large"])
def test_an_answer_that_ends_it(code: str) -> None:
    """It is the caller's to see."""
    sending = parts(known=True)
    sending.answered(sending.next(), 200, {"upload-offset": "0"}, b"")
    status = {"upload_gone": 410, "too_large": 413}.get(code, 409)
    body = f'{{"code":"{code}","detail":"No."}}'.encode()
    sending.answered(sending.next(), status, json_headers(), body)
    assert isinstance(sending.told, Refused)
    assert sending.told.code == code


def test_a_beginning_whose_answer_was_lost() -> None:
    """The id is in use by what it began itself; any other upload is a conflict."""
    sending = parts()
    sending.broke("gone")
    body = b'{"code":"upload_id_in_use","upload":{"status":"receiving"}}'
    sending.answered(sending.next(), 409, json_headers(), body)
    assert sending.next().method == "HEAD"
    other = parts()
    body = b'{"code":"upload_id_in_use","upload":{"status":"complete"}}'
    other.answered(other.next(), 409, json_headers(), body)
    assert isinstance(other.told, Conflict)


def test_another_file_than_the_one_that_was_begun() -> None:
    """Its length is another one: nothing of it is sent."""
    for headers in ({"upload-offset": "3", "upload-length": "11"}, {"upload-offset": "11"}):
        sending = parts(known=True)
        sending.answered(sending.next(), 200, headers, b"")
        assert isinstance(sending.told, Refused)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 201, 204, 302, 400, 404, 409, 410, 413, 429, 500, 503]),
            st.sampled_from(["", "0", "4", "10", "99", "x", "-1"]),
            st.sampled_from([b"", b"{}", b'{"code":"replaced"}', b"[", b"null"]),
        ),
        max_size=12,
    )
)
def test_whatever_is_answered_it_asks_or_tells(answers: list[tuple[int, str, bytes]]) -> None:
    """Never beyond the file, and never without an end to come."""
    sending = parts()
    for status, offset, body in answers:
        if sending.told is not None:
            assert isinstance(sending.told, Accepted | Refused | BadAnswer | Lost)
            break
        ask = sending.next()
        assert 0 <= ask.start <= ask.end <= 10
        headers = json_headers(**{"upload-offset": offset} if offset else {})
        sending.answered(ask, status, headers, body)


def test_which_files_go_in_parts(tmp_path: Path) -> None:
    """Large ones by default; all, or none, if asked for; never a pipe or a list of values."""
    client = BaseClient("http://service", token=None, timeout=1, pace=None)

    def goes(content: bytes, resume: bool | None, fields: Any = None) -> bool:
        body = Body(io.BytesIO(content))
        return client._parts("u1", body, fields, resume, known=False) is not None

    large = bytes(8 * 1024**2)
    assert [goes(large, None), goes(large, False), goes(large, None, {"a": ["1"]})] == [
        True,
        False,
        False,
    ]
    assert [goes(b"x", None), goes(b"x", True), goes(b"x", True, {"a": "1"})] == [False, True, True]
    with pytest.raises(ValueError, match="without lists"):
        goes(b"x", True, {"a": ["1"]})


# ---- against the service


@pytest.fixture
def running(usual_service: Service) -> Service:
    return usual_service


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_bytes(CONTENT)
    return path


async def test_the_client_for_asyncio_goes_on_over_cuts(running: Service, file: Path) -> None:
    """Fields and name arrive, and every event is seen meanwhile."""
    seen: list[str] = []
    with CuttingUploads(running.url, cuts=[200_000, 100_000]) as proxy:
        async with AsyncClient(proxy.url, pace=PACE) as client:
            media = await client.upload(
                file,
                resume=True,
                fields={"album": "Sea"},
                on_event=lambda event: seen.append(event.stage or ""),
            )
        assert proxy.made == 2
    assert (media.sha256, media.filename, media.fields) == (DIGEST, "words.txt", {"album": "Sea"})
    assert seen[-1] == "complete"


def test_the_client_for_threads_goes_on_with_what_was_begun(running: Service, file: Path) -> None:
    """A first call gave up in the middle; the second one, with the same id, sends the rest."""
    upload_id = new_id()
    with CuttingUploads(running.url, cuts=[200_000] * 50) as proxy:
        hasty = Pace(retry_first_s=0.02, give_up_s=0, lost_s=0.1, opening_s=1)
        with Client(proxy.url, pace=hasty) as client, pytest.raises(Unreachable):
            client.upload(file, id=upload_id, resume=True)
    with Client(running.url, pace=PACE) as client:
        assert client.state(upload_id).status == "receiving"
        with pytest.raises(Conflict):
            client.upload(file, id=upload_id)
        with pytest.raises(UploadFailed, match="inconsistent_length"):
            client.upload(io.BytesIO(b"another file"), id=upload_id, resume=True)
        assert client.upload(file, id=upload_id, resume=True).sha256 == DIGEST
        with pytest.raises(NotFound):
            client.state(new_id())
