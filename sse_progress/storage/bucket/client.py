"""Objects of one bucket below a prefix: put, got, listed, copied, deleted.

Owns how failures of the server are told: everything but "there is no such object" is Unavailable,
and a server that was not reached is asked by one caller at a time until it answers. What the
objects mean is decided elsewhere. Every function blocks, but for `stream`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar
from xml.etree import ElementTree

import httpx
import obstore
import structlog
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from sse_progress.model.errors import Unavailable
from sse_progress.storage.bucket.signing import signed_headers, signed_url
from sse_progress.storage.bucket.url import BucketUrl, Credentials

__all__ = ["Bucket", "BucketState", "Found", "Leftover"]

log = structlog.get_logger(__name__)

BucketState = Literal["ok", "unreachable", "denied", "no_bucket", "clock_skew"]

RETRY_S = 10.0
REQUEST_S = 30.0
CONNECT_S = 3.0
PROBE_S = 2.0
RETRY_AFTER_S = 5
_DELETE_AT_ONCE = 1000

T = TypeVar("T")


class Found(NamedTuple):
    """An object of a listing; `path` is below the bucket's prefix, `modified` the server's time."""

    path: str
    size: int
    modified: datetime
    etag: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Leftover(NamedTuple):
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    began: datetime


class Bucket:
    """One bucket. Any number of threads may use it at the same time."""

    def __init__(self, url: BucketUrl, credentials: Credentials) -> None:
        self.url, self._credentials = url, credentials
        self._store = _store(url, credentials, request_s=REQUEST_S, retry_s=RETRY_S)
        self._probe = _store(url, credentials, request_s=PROBE_S, retry_s=0)
        self._away = threading.Event()
        self._trial = threading.Lock()
        self.knows_conditions = True

    # ---- objects

    def get(self, path: str) -> bytes | None:
        """An object's bytes; None if there is none. For small ones."""
        return self._call(lambda: bytes(obstore.get(self._store, path).bytes()), missing=None)

    def get_range(self, path: str, start: int, end: int) -> bytes | None:
        """Bytes `start` to `end` (exclusive) of an object; None if there is none."""
        return self._call(
            lambda: bytes(obstore.get_range(self._store, path, start=start, end=end)), missing=None
        )

    def pieces(self, path: str, *, piece_bytes: int) -> Iterator[bytes] | None:
        """An object's bytes as they come, about `piece_bytes` at a time; None if there is none."""
        got = self._call(lambda: obstore.get(self._store, path), missing=None)
        return None if got is None else self._pieces(got, piece_bytes)

    def _pieces(self, got: Any, piece_bytes: int) -> Iterator[bytes]:
        stream = iter(got.stream(min_chunk_size=piece_bytes))
        while (piece := self._call(lambda: next(stream, None))) is not None:
            yield bytes(piece)

    def head(self, path: str) -> Found | None:
        return self._call(lambda: _found(obstore.head(self._store, path)), missing=None)

    def put(self, path: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        self._call(lambda: obstore.put(self._store, path, data, use_multipart=False))

    def create(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one; False if there is another one.

        A server that does not know the condition is asked first; of two that do so in the same
        moment both may then succeed.
        """
        if self.knows_conditions:
            try:
                self._call(lambda: obstore.put(self._store, path, data, mode="create"))
            except _Exists:
                # A repeated request may meet what its first try wrote.
                return self.get(path) == data
            except Unavailable as exc:
                if not _not_implemented(exc.__cause__):
                    raise
                log.info("the bucket knows no conditional writes", bucket=str(self.url))
                self.knows_conditions = False
            else:
                return True
        there = self.get(path)
        if there is not None:
            return there == data
        self.put(path, data)
        return True

    def copy(self, source: str, target: str) -> bool:
        """Copy within the bucket; False if there is no source."""

        def work() -> bool:
            obstore.copy(self._store, source, target)
            return True

        return self._call(work, missing=False)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; those that are not there are no failure."""
        for at in range(0, len(paths), _DELETE_AT_ONCE):
            some = list(paths[at : at + _DELETE_AT_ONCE])
            self._call(partial(obstore.delete, self._store, some), missing=None)

    def listing(self, prefix: str) -> Iterator[Found]:
        """Objects below `prefix`, which is whole names of the path, in the order of their keys."""
        pages = iter(obstore.list(self._store, prefix))
        while (page := self._call(lambda: next(pages, None))) is not None:
            yield from map(_found, page)

    @contextlib.contextmanager
    def writer(self, path: str, *, part_bytes: int) -> Iterator[Callable[[bytes], None]]:
        """A large object, written piece by piece; a few parts at a time are on their way."""
        writer = self._call(
            lambda: obstore.open_writer(
                self._store, path, buffer_size=part_bytes, max_concurrency=2
            )
        )

        def write(data: bytes) -> None:
            self._call(lambda: writer.write(data))

        yield write
        # Without this nothing becomes of it, and its parts stay until somebody aborts them.
        self._call(writer.close)

    async def stream(self, path: str, *, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` of an object, as they come. Raises Unavailable."""
        try:
            got = await obstore.get_async(self._store, path, options={"range": (start, end)})
            async for piece in got.stream():
                yield bytes(piece)
        except (BaseError, OSError) as exc:
            raise _unavailable() from exc

    # ---- what obstore cannot sign

    def signed_url(
        self,
        method: str,
        path: str,
        *,
        expires_s: int,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """A URL for somebody without a key; `headers` have to be sent as they are."""
        return signed_url(
            self.url,
            self._credentials,
            method,
            self.url.key(path),
            now=datetime.now(UTC),
            expires_s=expires_s,
            query=query,
            headers=headers,
        )

    def leftovers(self, prefix: str) -> list[Leftover]:
        """Multipart uploads below `prefix` that nobody has ended; the first thousand."""
        query = {"uploads": "", "prefix": self.url.key(prefix)}
        tree = ElementTree.fromstring(self._request("GET", "", query))  # noqa: S314  # the server's
        space = tree.tag.partition("}")[0] + "}" if tree.tag.startswith("{") else ""
        return [
            Leftover(
                one.findtext(f"{space}Key") or "",
                one.findtext(f"{space}UploadId") or "",
                datetime.fromisoformat(one.findtext(f"{space}Initiated") or ""),
            )
            for one in tree.iter(f"{space}Upload")
        ]

    def abort(self, leftover: Leftover) -> None:
        self._request("DELETE", leftover.key, {"uploadId": leftover.upload_id})

    def _request(self, method: str, key: str, query: Mapping[str, str]) -> str:
        address, headers = signed_headers(
            self.url, self._credentials, method, key, now=datetime.now(UTC), query=query
        )
        try:
            answer = httpx.request(
                method, address, headers=headers, timeout=REQUEST_S, follow_redirects=False
            )
        except httpx.HTTPError as exc:
            raise _unavailable() from exc
        if answer.status_code not in (200, 204, 404):
            log.warning("bucket refused", method=method, status=answer.status_code)
            raise _unavailable()
        return answer.text

    # ---- whether it can be used

    def state(self) -> BucketState:
        """Whether objects can be written, asked by a write, within seconds."""
        try:
            obstore.put(self._probe, "health", b"", use_multipart=False)
        except (BaseError, OSError) as exc:
            return _state(exc)
        self._away.clear()
        return "ok"

    def _call(self, work: Callable[[], T], *, missing: Any = ...) -> T:
        """Do `work`; `missing` is what a missing object is instead (else Unavailable)."""
        if not self._away.is_set():
            return self._tried(work, missing)
        if not self._trial.acquire(blocking=False):
            raise _unavailable()
        try:
            return self._tried(work, missing)
        finally:
            self._trial.release()

    def _tried(self, work: Callable[[], T], missing: Any) -> T:
        try:
            result = work()
        except (AlreadyExistsError, PreconditionError) as exc:
            self._away.clear()
            raise _Exists from exc
        except (BaseError, OSError) as exc:
            state = _state(exc)
            if isinstance(exc, FileNotFoundError) and state != "no_bucket" and missing is not ...:
                self._away.clear()
                return missing  # type: ignore[no-any-return]
            if state == "unreachable":
                self._away.set()
            log.warning("bucket cannot be used", bucket=str(self.url), state=state)
            raise _unavailable() from exc
        self._away.clear()
        return result


class _Exists(Exception):
    """There is an object of this name already."""


def _store(url: BucketUrl, keys: Credentials, *, request_s: float, retry_s: float) -> S3Store:
    more: dict[str, Any] = {"session_token": keys.token} if keys.token else {}
    return S3Store(
        url.bucket,
        prefix=url.prefix or None,
        endpoint=url.base if not url.path_style else url.endpoint,
        region=url.region,
        access_key_id=keys.access_key,
        secret_access_key=keys.secret_key,
        **more,
        virtual_hosted_style_request=not url.path_style,
        # Over TLS the payload needs no signature of its own: half a CPU second a GiB.
        unsigned_payload=url.endpoint.startswith("https:"),
        client_options={
            "allow_http": True,
            "timeout": timedelta(seconds=request_s),
            "connect_timeout": timedelta(seconds=min(CONNECT_S, request_s)),
        },
        retry_config={
            "max_retries": 20 if retry_s else 0,
            "retry_timeout": timedelta(seconds=retry_s),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )


def _found(meta: Any) -> Found:
    return Found(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"] or "")


def _unavailable() -> Unavailable:
    return Unavailable("The storage cannot be used right now.", retry_after_s=RETRY_AFTER_S)


def _not_implemented(cause: BaseException | None) -> bool:
    return "501 Not Implemented" in str(cause) or "<Code>NotImplemented<" in str(cause)


def _state(exc: BaseException) -> BucketState:
    """What is wrong, by the server's error code; that is all of its text which is looked at."""
    text = str(exc)
    if "NoSuchBucket" in text:
        return "no_bucket"
    if "RequestTimeTooSkewed" in text:
        return "clock_skew"
    if any(code in text for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId")):
        return "denied"
    return "denied" if "403 Forbidden" in text or "AccessDenied" in text else "unreachable"
