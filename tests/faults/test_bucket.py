"""Object storage on two hosts without a shared disk, and what happens when the bucket or a worker
is lost in the middle of anything."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from sse_progress.storage.bucket.storage import BucketStorage
from sse_progress.storage.bucket.url import Credentials, parse_bucket_url
from sse_progress.storage.manifest import digest_of
from tests.helpers import s3_client
from tests.helpers.hosts import WorkerHost
from tests.helpers.redis_server import RedisServer
from tests.helpers.s3_proxy import Fault, S3Proxy, Seen
from tests.helpers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, read_events
from tests.helpers.waiting import eventually, wait_until
from tests.wire.words import check_journal, journal_of, new_id

pytestmark = pytest.mark.faults

MIB = 1024**2
LARGE = (b"Some words, and more of them.\n" * 700_000)[: 20 * MIB - 7]


class Hosts(NamedTuple):
    """A web host and a worker host; what they ask of the bucket goes through `proxy`."""

    web: Service
    worker: WorkerHost
    proxy: S3Proxy
    s3: S3Server
    prefix: str
    gates: Path

    def listed(self) -> list[str]:
        """Without the probe of `/readyz`, and notes of removals."""
        return [
            key for key in self.all_keys() if key != "health" and not key.startswith("removed/")
        ]

    def all_keys(self) -> list[str]:
        found = s3_client.keys(self.s3.endpoint, "media", prefix=f"{self.prefix}/")
        return [key.removeprefix(f"{self.prefix}/") for key in found]

    def url(self, upload_id: str) -> str:
        return f"{self.web.url}/upload/{upload_id}"


@pytest.fixture(scope="module")
def hosts(s3_server: S3Server) -> Iterator[Hosts]:
    prefix = f"f{secrets.token_hex(6)}"
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sp-")))
        redis = RedisServer(root)
        redis.start()
        gates = root / "gates"
        gates.mkdir()
        stack.callback(redis.close)
        proxy = stack.enter_context(S3Proxy(s3_server.port))
        env = {
            **s3_server.env,
            "SSE_PROGRESS_STORAGE": s3_server.setting(
                "media", prefix=prefix, endpoint=proxy.endpoint
            ),
            "SSE_PROGRESS_REDIS_URL": redis.url,
            "SSE_PROGRESS_LEASE_S": "1",
            "SSE_PROGRESS_WORKER_CONCURRENCY": "4",
            "SSE_PROGRESS_PIPELINE": "tests.faults.bucket_stages:pipeline",
            "SSE_PROGRESS_STAGE_READABLE": str(gates),
        }
        web = stack.enter_context(
            Service(root / "web", {**env, "SSE_PROGRESS_WORKER_PROCESSES": "0"})
        )
        worker = stack.enter_context(WorkerHost(root / "worker", env))
        yield Hosts(web, worker, proxy, s3_server, prefix, gates)


@pytest.fixture(autouse=True)
def clean(hosts: Hosts) -> Iterator[None]:
    """Each test begins with a bucket that works."""
    hosts.proxy.fault = lambda _: None
    yield
    hosts.proxy.fault = lambda _: None


def form(content: bytes) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("words.txt", content, "text/plain")}


def send_form(url: str, upload_id: str, content: bytes) -> None:
    headers = {"X-Upload-ID": upload_id, "Prefer": "respond-async"}
    answer = httpx.post(f"{url}/upload", files=form(content), headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text


def send_plain(url: str, upload_id: str, content: bytes) -> None:
    named = {"Content-Type": "text/plain", "Prefer": "respond-async"}
    at = f"{url}/upload/{upload_id}?filename=words.txt"
    assert httpx.put(at, content=content, headers=named, timeout=60).status_code == 202


def send_tus(url: str, upload_id: str, content: bytes) -> None:
    tus, half = {"Tus-Resumable": "1.0.0"}, len(content) // 2
    metadata = f"filename {base64.b64encode(b'words.txt').decode()}"
    created = httpx.post(
        f"{url}/upload",
        headers={
            **tus,
            "X-Upload-ID": upload_id,
            "Upload-Length": str(len(content)),
            "Upload-Metadata": metadata,
        },
    )
    assert created.status_code == 201, created.text
    for offset, part in ((0, content[:half]), (half, content[half:])):
        at_rest = httpx.head(f"{url}/upload/{upload_id}", headers=tus)
        assert at_rest.headers["upload-offset"] == str(offset)
        answer = httpx.patch(
            f"{url}/upload/{upload_id}",
            content=part,
            headers={
                **tus,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
            },
            timeout=60,
        )
        assert answer.status_code == 204, answer.text


def send_draft(url: str, upload_id: str, content: bytes) -> None:
    half = len(content) // 2
    named = {"Content-Disposition": 'attachment; filename="words.txt"'}
    created = httpx.post(
        f"{url}/upload",
        content=content[:half],
        headers={**named, "X-Upload-ID": upload_id, "Upload-Complete": "?0"},
    )
    assert created.status_code == 201, created.text
    answer = httpx.patch(
        f"{url}/upload/{upload_id}",
        content=content[half:],
        headers={
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(half),
            "Upload-Complete": "?1",
            "Prefer": "respond-async",
        },
        timeout=60,
    )
    assert answer.status_code == 202, answer.text


SENDERS: dict[str, Callable[[str, str, bytes], None]] = {
    "form": send_form,
    "plain": send_plain,
    "tus": send_tus,
    "draft": send_draft,
}


async def finished(hosts: Hosts, upload_id: str) -> list[dict[str, object]]:
    """Its events, once it is complete; nothing but its files and its record is in the bucket."""
    frames = await journal_of(hosts.web, upload_id)
    check_journal(frames)
    events = [frame.json for frame in frames]
    assert events[-1]["stage"] == "complete", events[-1]
    await eventually(
        lambda: {key.partition("/")[0] for key in hosts.listed()} <= {"objects", "records"},
        f"all is tidied up ({upload_id})",
    )
    return events


# ---- the whole way


@pytest.mark.parametrize("dialect", SENDERS)
async def test_every_dialect_arrives_in_the_bucket(hosts: Hosts, dialect: str) -> None:
    """Web and worker have different disks, on which nothing stays; the file is served whole."""
    upload_id, content = new_id(), LARGE if dialect == "form" else LARGE[: MIB + 1]
    await asyncio.to_thread(SENDERS[dialect], hosts.web.url, upload_id, content)
    events = await finished(hosts, upload_id)
    file = httpx.get(f"{hosts.url(upload_id)}/files/words.txt", timeout=60)
    assert (file.status_code, file.content) == (200, content)
    assert file.headers["content-disposition"] == 'attachment; filename="words.txt"'
    if dialect == "form":
        stored = [event for event in events if event["stage"] == "finalizing" and "bytes" in event]
        assert [event["bytes"] for event in (stored[0], stored[-1])] == [0, len(content) + 10]
        assert {event["total"] for event in stored} == {len(content) + 10}
    assert hosts.web.files() == []
    assert hosts.worker.files() == ["lock"]
    assert httpx.delete(f"{hosts.url(upload_id)}/files").status_code == 204
    assert hosts.listed() == []
    assert httpx.get(hosts.url(upload_id)).json()["deleted"] is True


async def test_files_are_served_by_range_or_by_a_redirect(hosts: Hosts) -> None:
    """Ranges, conditions and HEAD as from a disk; a redirect leads to the bucket for a minute."""
    upload_id = new_id()
    await asyncio.to_thread(send_plain, hosts.web.url, upload_id, LARGE)
    await finished(hosts, upload_id)
    url = f"{hosts.url(upload_id)}/files/words.txt"
    part = httpx.get(url, headers={"Range": "bytes=8388600-8388615"})
    assert (part.status_code, part.content) == (206, LARGE[8388600:8388616])
    several = httpx.get(url, headers={"Range": "bytes=0-4,100-104"})
    assert several.status_code == 206
    assert LARGE[100:105] in several.content
    assert httpx.get(url, headers={"Range": f"bytes={len(LARGE)}-"}).status_code == 416
    # A unit that is not known is ignored (RFC 9110 §14.2).
    assert httpx.get(url, headers={"Range": "lines=1-2"}).status_code == 200
    head = httpx.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(LARGE)))
    changed = httpx.get(url, headers={"Range": "bytes=0-4", "If-Range": '"another"'})
    assert changed.status_code == 200
    assert httpx.get(f"{hosts.url(upload_id)}/files/other").status_code == 404
    with tempfile.TemporaryDirectory(prefix="sp-") as directory:
        env = {**hosts.web.env, "SSE_PROGRESS_S3_SERVE": "redirect", "SSE_PROGRESS_PORT": "0"}
        env["SSE_PROGRESS_DATA_DIR"] = f"{directory}/data"
        with Service(Path(directory), env) as redirecting:
            there = url.replace(hosts.web.url, redirecting.url)
            answer = httpx.get(there)
            assert (answer.status_code, answer.headers["cache-control"]) == (
                307,
                "private, no-store",
            )
            file = httpx.get(answer.headers["location"], timeout=60)
            assert (file.status_code, file.content) == (200, LARGE)
            assert file.headers["content-disposition"] == 'attachment; filename="words.txt"'
            assert file.headers["content-type"].startswith("text/plain")
            assert httpx.head(there).headers["content-length"] == str(len(LARGE))
            log = redirecting.log
    assert "X-Amz" not in log
    httpx.delete(f"{hosts.url(upload_id)}/files")


async def test_a_cancelled_upload_leaves_nothing(hosts: Hosts) -> None:
    """While its stage runs on another host."""
    upload_id = new_id()
    await asyncio.to_thread(send_plain, hosts.web.url, upload_id, b"wait for me")
    await eventually(
        lambda: httpx.get(hosts.url(upload_id)).json()["stage"] == "analyzing", "it is worked on"
    )
    assert httpx.delete(hosts.url(upload_id)).status_code == 204
    await eventually(lambda: hosts.listed() == [], "nothing is left")
    assert httpx.get(hosts.url(upload_id)).json()["status"] == "cancelled"


# ---- straight to the bucket


def begin(hosts: Hosts, size: int, upload_id: str) -> httpx.Response:
    given = {"Prefer": "direct", "Upload-Length": str(size), "X-Upload-ID": upload_id}
    named = {"Content-Disposition": 'attachment; filename="words.txt"'}
    return httpx.post(
        f"{hosts.web.url}/upload", headers={**given, **named, "Content-Type": "text/plain"}
    )


def signed(hosts: Hosts, upload_id: str, *numbers: int, **more: object) -> list[dict[str, Any]]:
    answer = httpx.post(f"{hosts.url(upload_id)}/parts", json={"numbers": list(numbers), **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["parts"]
    assert [part["number"] for part in found] == list(numbers)
    return found


def put(part: dict[str, Any], content: bytes) -> int:
    assert part["method"] == "PUT"
    headers = {**part["headers"], "content-length": str(len(content))}
    return httpx.put(part["url"], headers=headers, content=content, timeout=60).status_code


async def test_a_sender_puts_the_bytes_itself(hosts: Hosts) -> None:
    """In any order; nobody says what is there, and the stream has it all the same."""
    upload_id, size = new_id(), len(LARGE)
    answer = begin(hosts, size, upload_id)
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "direct")
    told = answer.json()
    assert (told["uploadId"], told["partSize"]) == (upload_id, 8 * MIB)
    assert [part["number"] for part in told["parts"]] == [1, 2, 3]
    assert sum(part["length"] for part in told["parts"]) == size
    assert told["expiresAt"][:16] == httpx.get(hosts.url(upload_id)).json()["expiresAt"][:16]
    pieces = {
        part["number"]: LARGE[part["offset"] : part["offset"] + part["length"]]
        for part in told["parts"]
    }
    last, first = signed(hosts, upload_id, 3, 1)
    assert put(last, pieces[3]) == 200
    await eventually(
        lambda: httpx.get(hosts.url(upload_id)).json().get("bytes") == len(pieces[3]),
        "the stream has what nobody reported",
    )
    early = httpx.post(f"{hosts.url(upload_id)}/parts/1")
    assert (early.status_code, early.json()["code"]) == (409, "mismatching_offset")
    assert put(first, pieces[1]) == 200
    done = httpx.post(f"{hosts.url(upload_id)}/parts/1")
    assert (done.status_code, done.json()["bytes"]) == (200, len(pieces[1]) + len(pieces[3]))
    missing = httpx.post(f"{hosts.url(upload_id)}/complete")
    assert (missing.status_code, missing.json()["code"]) == (409, "mismatching_offset")
    assert missing.json()["detail"] == "Not in the bucket: part 2."
    digest = hashlib.sha256(pieces[2]).hexdigest()
    [middle] = signed(hosts, upload_id, 2, sha256=[digest])
    assert put(middle, bytes(len(pieces[2]))) == 400
    assert put(middle, pieces[2] + b"more") == 403
    assert put(middle, pieces[2][:-1]) == 403
    assert put(middle, pieces[2]) == 200
    assert put(middle, pieces[2]) == 412  # each part once
    for _ in range(2):
        complete = httpx.post(f"{hosts.url(upload_id)}/complete", timeout=60)
        assert complete.status_code == 200, complete.text
        assert complete.json()["data"]["media"]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    events = await finished(hosts, upload_id)
    assert not any(event.get("paused") for event in events)
    file = httpx.get(f"{hosts.url(upload_id)}/files/words.txt", timeout=60)
    assert file.content == LARGE
    assert put(middle, pieces[2]) == 200  # late: where nothing is ever read
    assert httpx.get(f"{hosts.url(upload_id)}/files/words.txt", timeout=60).content == LARGE
    httpx.delete(f"{hosts.url(upload_id)}/files")


async def test_direct_uploads_that_make_no_sense(hosts: Hosts) -> None:
    """Other uploads' ids, numbers and digests that are none, too much of everything."""
    upload_id, other = new_id(), new_id()
    assert begin(hosts, 2**31, new_id()).status_code == 413
    assert begin(hosts, 20 * MIB, upload_id).status_code == 201
    again = begin(hosts, 20 * MIB, upload_id)
    assert (again.status_code, again.json()["upload"]["status"]) == (409, "receiving")
    url = hosts.url(upload_id)
    for body in (
        {"numbers": []},
        {"numbers": [0]},
        {"numbers": [4]},
        {"numbers": ["1"]},
        {"numbers": list(range(1, 1002))},
        {"numbers": [1], "sha256": ["00"]},
        {"numbers": [1], "sha256": ["00" * 32, "00" * 32]},
        {},
    ):
        assert httpx.post(f"{url}/parts", json=body).status_code == 400, body
    assert httpx.post(f"{url}/parts/x").status_code == 400
    assert httpx.post(f"{url}/parts/99").status_code == 400
    assert httpx.post(f"{hosts.url(new_id())}/complete").status_code == 404
    created = httpx.post(
        f"{hosts.web.url}/upload",
        headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5", "X-Upload-ID": other},
    )
    assert created.status_code == 201
    assert httpx.post(f"{hosts.url(other)}/parts", json={"numbers": [1]}).status_code == 400
    for one in (upload_id, other):
        assert httpx.delete(hosts.url(one)).status_code == 204
    assert httpx.post(f"{url}/parts", json={"numbers": [1]}).status_code == 410
    assert httpx.post(f"{url}/complete").status_code == 410
    await eventually(lambda: hosts.listed() == [], "nothing is left")


# ---- the bucket is away


async def test_a_bucket_that_is_away_costs_no_byte(hosts: Hosts) -> None:
    """Uploads are answered 503 with Retry-After, a resumable one keeps its offset; `/readyz` says
    what is wrong, and all goes on when the bucket is back."""
    upload_id = new_id()
    tus = {"Tus-Resumable": "1.0.0"}
    with httpx.Client(base_url=hosts.web.url, timeout=60) as client:
        client.post("/upload", headers={**tus, "X-Upload-ID": upload_id, "Upload-Length": "200000"})
        append = {**tus, "Content-Type": "application/offset+octet-stream"}

        def patch(offset: int, content: bytes) -> httpx.Response:
            headers = {**append, "Upload-Offset": str(offset)}
            return client.patch(f"/upload/{upload_id}", headers=headers, content=content)

        assert patch(0, b"x" * 100_000).status_code == 204
        hosts.proxy.fault = lambda seen: 403 if seen.method != "GET" else None
        refused = patch(100_000, b"y" * 100_000)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["storage"]) == (503, "denied")
        hosts.proxy.fault = lambda _: "drop"
        whole = client.post("/upload", files=form(b"words"), headers={"X-Upload-ID": new_id()})
        assert (whole.status_code, whole.headers["retry-after"]) == (503, "5")
        wait_until(
            lambda: client.get("/readyz").json()["checks"]["storage"] == "unreachable",
            "it is told that the bucket is away",
        )
        hosts.proxy.fault = lambda _: None
        wait_until(lambda: client.get("/readyz").status_code == 200, "the bucket is back")
        head = client.head(f"/upload/{upload_id}", headers=tus)
        assert head.headers["upload-offset"] == "100000"
        assert patch(100_000, b"y" * 100_000).status_code == 204
    await finished(hosts, upload_id)
    file = httpx.get(f"{hosts.url(upload_id)}/files/{upload_id}", timeout=60)
    httpx.delete(f"{hosts.url(upload_id)}/files")
    assert file.status_code in (200, 404)  # named by nobody


async def test_all_but_new_uploads_goes_on_without_a_bucket(hosts: Hosts) -> None:
    """Streams, states, lists and histories; the stage that has its file goes on to its end, and
    publishing waits, and says so, until the bucket is back."""
    done, running, gate = new_id(), new_id(), hosts.gates / "open"
    await asyncio.to_thread(send_form, hosts.web.url, done, b"some words")
    await finished(hosts, done)
    await asyncio.to_thread(send_form, hosts.web.url, running, b"wait for %b" % bytes(gate))
    told = ""
    async with EventStream(f"{hosts.url(running)}/progress") as stream:
        async for frame in stream:
            if frame.stage == "analyzing" and frame.json["stageProgress"] == 50:
                break
        hosts.proxy.fault = lambda _: "drop"
        for path in (f"/upload/{running}", f"/upload/{done}", f"/upload/{done}/history"):
            answer = await asyncio.to_thread(httpx.get, hosts.web.url + path, timeout=60)
            assert answer.status_code == 200, (path, answer.text)
        listed = await asyncio.to_thread(httpx.get, f"{hosts.web.url}/uploads", timeout=60)
        assert {done, running} <= {one["uploadId"] for one in listed.json()["uploads"]}
        late = await read_events(f"{hosts.url(done)}/progress")
        assert late[-1].stage == "complete"
        refused = await asyncio.to_thread(
            httpx.post, f"{hosts.web.url}/upload", files=form(b"words"), timeout=60
        )
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        gate.touch()
        async for frame in stream:
            told = str(frame.json.get("message"))
            if frame.terminal or "trying again" in told:
                break
        assert "trying again" in told
        hosts.proxy.fault = lambda _: None
        async for frame in stream:
            if frame.terminal:
                break
        assert frame.stage == "complete"
    check_journal(await journal_of(hosts.web, running))
    for upload_id in (done, running):
        assert httpx.delete(f"{hosts.url(upload_id)}/files").status_code == 204


async def test_publishing_is_tried_again(hosts: Hosts) -> None:
    """A bucket that takes no object ends no upload; the stream says what it waits for."""
    upload_id = new_id()
    refused = threading.Event()

    def fault(seen: Seen) -> Fault:
        if seen.method == "PUT" and "/objects/" in seen.target and not refused.is_set():
            refused.set()
            return 403
        return None

    hosts.proxy.fault = fault
    await asyncio.to_thread(send_form, hosts.web.url, upload_id, LARGE[:1000])
    events = await finished(hosts, upload_id)
    assert refused.is_set()
    assert any("trying again" in str(event["message"]) for event in events)
    httpx.delete(f"{hosts.url(upload_id)}/files")


# ---- workers are killed


MOMENTS = {
    "fetch": ("GET", "/parts/"),
    "publish": ("PUT", "/objects/"),
    "record": ("PUT", "/records/"),
    "delete": ("POST", "delete"),
}


async def test_a_worker_may_die_at_any_moment(hosts: Hosts) -> None:
    """With its host, while it fetches, publishes, writes the record or deletes what led there: the
    next one brings each upload to its one end."""
    ids = {name: new_id() for name in MOMENTS}
    reached = {name: threading.Event() for name in MOMENTS}
    go = threading.Event()

    def fault(seen: Seen) -> Fault:
        for name, (method, part) in MOMENTS.items():
            ours = digest_of(ids[name])
            if reached[name].is_set() or seen.method != method or part not in seen.target:
                continue
            if ours in seen.target or ours.encode() in seen.body:
                reached[name].set()
                assert go.wait(60)
                return "drop"
        return None

    hosts.proxy.fault = fault
    for upload_id in ids.values():
        await asyncio.to_thread(send_form, hosts.web.url, upload_id, LARGE[: 9 * MIB])
    for name, event in reached.items():
        assert await asyncio.to_thread(event.wait, 60), name
    hosts.worker.end(signal.SIGKILL)
    go.set()
    hosts.worker.start()
    for name, upload_id in ids.items():
        frames = await journal_of(hosts.web, upload_id)
        check_journal(frames)
        assert frames[-1].json["stage"] == "complete", name
        file = httpx.get(f"{hosts.url(upload_id)}/files/words.txt", timeout=60)
        assert file.content == LARGE[: 9 * MIB], name
        assert httpx.delete(f"{hosts.url(upload_id)}/files").status_code == 204
    await eventually(lambda: hosts.listed() == [], "nothing is left")
    assert s3_client.uploads(hosts.s3.endpoint, "media", prefix=f"{hosts.prefix}/") == []
    await eventually(lambda: hosts.worker.files() == ["lock"], "the dead one's disk is swept")


async def test_what_a_worker_put_after_a_removal_goes_though_it_died(
    hosts: Hosts, tmp_path: Path
) -> None:
    """Its upload is cancelled while the original is on its way, and it is killed, with its host,
    before it has noticed. Who sweeps a day later finds the file by the note of the removal."""
    upload_id = new_id()
    digest = digest_of(upload_id)
    putting, go, following, dead = (threading.Event() for _ in range(4))

    def fault(seen: Seen) -> Fault:
        if seen.method != "PUT" or "/objects/" not in seen.target or digest not in seen.target:
            return None
        if seen.target.endswith("/original"):
            putting.set()
            assert go.wait(60)
            return None
        following.set()
        assert dead.wait(60)
        return "drop"

    hosts.proxy.fault = fault
    # In two chunks: a file of one is copied from it, which fails once that is gone.
    await asyncio.to_thread(send_tus, hosts.web.url, upload_id, LARGE[:1000])
    assert await asyncio.to_thread(putting.wait, 60)
    answer = await asyncio.to_thread(httpx.delete, hosts.url(upload_id), timeout=60)
    assert answer.status_code == 204
    assert hosts.listed() == []
    go.set()
    assert await asyncio.to_thread(following.wait, 60)
    hosts.worker.end(signal.SIGKILL)
    dead.set()
    hosts.worker.start()
    left = hosts.listed()
    assert [key.rpartition("/")[2] for key in left] == ["original"], left
    for later_s, there in ((2 * 3600, left), (25 * 3600, [])):
        _sweep(hosts, tmp_path / str(later_s), later_s)
        assert hosts.listed() == there
    assert not any(digest in key for key in hosts.all_keys())


def _sweep(hosts: Hosts, work: Path, later_s: float) -> None:
    """What each leading worker does every ten minutes, by a clock that is later."""
    url = hosts.s3.setting("media", prefix=hosts.prefix)
    BucketStorage(
        parse_bucket_url(url, environment={}),
        Credentials(ACCESS_KEY, SECRET_KEY),
        work,
        work_bytes=MIB,
        now=lambda: time.time() + later_s,
    ).sweep()


async def test_two_workers_share_the_work(hosts: Hosts, tmp_path: Path) -> None:
    """Uploads at once, over two worker hosts: each comes to its one end."""
    ids = [new_id() for _ in range(6)]
    with WorkerHost(tmp_path, hosts.worker.env):
        sending = (
            asyncio.to_thread(send_form, hosts.web.url, upload_id, upload_id.encode() * 100)
            for upload_id in ids
        )
        await asyncio.gather(*sending)
        for upload_id in ids:
            frames = await journal_of(hosts.web, upload_id)
            check_journal(frames)
            assert frames[-1].json["stage"] == "complete"
            file = httpx.get(f"{hosts.url(upload_id)}/files/words.txt")
            assert file.content == upload_id.encode() * 100
    for upload_id in ids:
        assert httpx.delete(f"{hosts.url(upload_id)}/files").status_code == 204
    await eventually(lambda: hosts.listed() == [], "nothing is left")
