# Made from sse_progress/client/_async/client.py by scripts/generate: change that.
"""The client: one service, one caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

import httpx

from sse_progress.client._sync.backend import OnEvent, Sides, call, pause, two_sides
from sse_progress.client._sync.jobs import Job
from sse_progress.client._sync.many import Many
from sse_progress.client._sync.streams import Download, Follow
from sse_progress.client.answers import check, file_path, upload_path
from sse_progress.client.base import Label, Token, in_use, in_words, labels
from sse_progress.client.body import Body, Fields, Source, Stopped
from sse_progress.client.failures import BadAnswer, ClientError, JobFailed, NotFound, Unreachable
from sse_progress.client.following import Phase
from sse_progress.client.pace import Pace
from sse_progress.client.resuming import PartAsk, Parts
from sse_progress.client.sending import Followed, News
from sse_progress.client.shapes import History, Media, QueuePlace, State
from sse_progress.client.ways import FollowBy
from sse_progress.model.events import Event
from sse_progress.model.ids import new_upload_id

__all__ = ["Client"]


class Client(Many):
    """One service, one caller.

    `url` is where the service is, with its prefix if it has one; `timeout` the seconds that a
    connection, or an answer that is no stream, may take; `transport` replaces httpx's own.
    `follow_by` is what events of an upload come by: `sse`, a stream; `ws`, a WebSocket; `auto`, a
    WebSocket where streams are held back. Where neither passes, the state is asked for.
    Every failure is a ClientError. Use it with `with`, or call `close()`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: Token = None,
        timeout: float = 30.0,
        pace: Pace | None = None,
        transport: httpx.BaseTransport | None = None,
        follow_by: FollowBy = "sse",
    ) -> None:
        super().__init__(
            url,
            token=token,
            timeout=timeout,
            pace=pace,
            transport=transport,
            follow_by=follow_by,
        )

    # ---- one upload

    def upload(
        self,
        file: Source,
        *,
        id: str | None = None,
        fields: Fields | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        kind: str | None = None,
        context: Mapping[str, str] | None = None,
        batch_id: str | None = None,
        resume: bool | None = None,
        on_event: OnEvent | None = None,
        on_phase: Callable[[Phase], None] | None = None,
        on_place: Callable[[QueuePlace], None] | None = None,
    ) -> Media:
        """Send a file (a path, or a binary file object) and follow its journal to the end.

        `kind`, `context` and `batch_id` label it for good (docs/kinds.md); `fields` are its own.

        The body is read from disk while it is sent, and `on_event` sees every event of the
        journal meanwhile, from the first bytes that arrived to the last stage; an exception in it
        stops the body. `on_phase` hears how the journal is followed, `on_place` where it stands in
        the queue while it waits for a worker. Raises UploadFailed (UploadCancelled) with the code
        that ended it, Conflict if `id` names an upload already, NotAllowed, Busy, Unreachable,
        FileChanged, or OSError from reading the file. A retry takes a new id.

        A file of 8 MiB or more goes in parts: a connection that breaks costs one of them, and the
        service may be away for `pace.give_up_s`. With `resume` every file does, and an upload under
        `id` that was begun before goes on where it is (`fields` are those of its beginning); with
        `resume=False` none does. Parts need a file that knows its size and fields without lists.
        """
        upload_id = new_upload_id() if id is None else id
        upload_path(upload_id)
        if id is not None and not resume:
            self._check_free(id)
        labelled = labels(kind, context, batch_id)
        body = Body(file, fields=fields, filename=filename, content_type=content_type)
        parts = self._parts(
            upload_id, body, fields, resume, labelled=labelled, known=id is not None
        )
        sending = self._sending(upload_id)
        follow = self.follow(upload_id, on_phase=on_phase, on_place=on_place)
        with two_sides(body, follow) as sides:
            sides.start(self._follow_into, follow)
            if parts is None:
                sides.start(self._post_into, upload_id, body, labelled)
            else:
                sides.start(self._parts_into, parts, body)
            while not sending.over:
                try:
                    latest = sides.next(sending.wait_s())
                except TimeoutError:
                    sending.expired()
                    continue
                sending.take(latest)
                if isinstance(latest, Event) and on_event is not None:
                    call(on_event, latest)
        return sending.media()

    def follow(
        self,
        id: str,
        *,
        last_event_id: str | None = None,
        on_phase: Callable[[Phase], None] | None = None,
        on_place: Callable[[QueuePlace], None] | None = None,
    ) -> Follow[Event]:
        """Every event of an upload's journal, in order, once; ends after the terminal one.

        Begins at the beginning, or after `last_event_id`, and waits if the upload has not begun.
        `on_place` is called every few seconds while the upload waits for a worker. Drops are
        resumed; where streams are blocked the state is polled (then events in between may be left
        out, and `on_place` is not called). A `reset` event carries the whole current state. Raises
        NotAllowed, and Unreachable after `pace.give_up_s` without any answer.
        """
        return Follow(self, self._following(id, last_event_id, on_phase, on_place))

    def state(self, id: str) -> State:
        """How far an upload is. Raises NotFound."""
        return self._get(State, upload_path(id))

    def history(
        self,
        id: str,
        *,
        since: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> History:
        """Events of an upload as a list: after `since`, an event's id or an RFC 3339 time.

        At most `limit` of them (the service's default: 500). Raises NotFound.
        """
        params = {
            "since": since,
            "before": before,
            "limit": None if limit is None else str(limit),
            "order": "desc" if descending else None,
        }
        given = [(name, value) for name, value in params.items() if value is not None]
        return self._get(History, upload_path(id, "/history"), given)

    def cancel(self, id: str) -> None:
        """End an upload, also one that has not begun. Raises NotFound, Conflict once it ended."""
        self._call("DELETE", upload_path(id))

    def delete(self, id: str) -> None:
        """Delete the files of a finished upload; its state stays. Raises NotFound, Conflict."""
        self._call("DELETE", upload_path(id, "/files"))

    @contextmanager
    def file(self, id: str, name: str) -> Iterator[Download]:
        """A stored or derived file of a complete upload, as it comes. Raises NotFound.

        `with client.file(id, name) as download: for chunk in download: …`
        """
        try:
            path = file_path(id, name)
            response = self._open("GET", path, (), {"Accept": "*/*"})
        except httpx.RequestError as error:
            raise Unreachable(self.url, in_words(error)) from error
        with closing(response):
            if response.status_code != 200:
                body = self._read(response)
                check(self.url, response.status_code, response.headers, body)
            yield Download(self.url, response)

    # ---- work that the caller does

    @contextmanager
    def job(
        self,
        kind: str | None = None,
        *,
        id: str | None = None,
        owner: str | None = None,
        context: Mapping[str, str] | None = None,
        batch_id: str | None = None,
        title: str | None = None,
        lease_s: float = 60,
    ) -> Iterator[Job]:
        """Announce work that you do yourself, and report it: whoever follows `job.id` sees it.

        `with client.job("render") as job: job.report("rendering", 40, "Frame 12")`

        The block's end is the job's: `complete` with `job.result`, or `error` where it raises
        (JobFailed says with which code). Without a report for `lease_s` seconds the service ends it
        with `producer_lost`. An `id` that the caller has announced before is taken over. Needs a
        token with the scope `progress:write`. Raises NotAllowed, Conflict, Refused or Unreachable.
        """
        announced = {
            "id": id,
            "kind": kind,
            "owner": owner,
            "context": dict(context) if context else None,
            "batchId": batch_id,
            "title": title,
            "leaseS": lease_s,
        }
        job = Job(self, {name: given for name, given in announced.items() if given is not None})
        job.open()
        try:
            yield job
        except ClientError:
            raise  # it was told to stop, or cannot tell
        except Exception as error:
            failure = error if isinstance(error, JobFailed) else JobFailed("failed")
            job.fail(failure)
            raise
        job.complete()

    # ---- inside

    def _check_free(self, upload_id: str) -> None:
        try:
            state = self.state(upload_id)
        except NotFound:
            return
        if state.status != "pending":
            raise in_use(state)

    def _follow_into(self, sides: Sides, follow: Follow[Event]) -> None:
        error: ClientError | None = None
        try:
            for event in follow:
                sides.put(event)
        except ClientError as caught:
            error = caught
        sides.put(Followed(error))

    def _post_into(self, sides: Sides, upload_id: str, body: Body, labelled: list[Label]) -> None:
        request = self._http.build_request(
            "POST",
            f"{self.url}/upload",
            params=list(labelled),
            content=body.iter_chunks(),
            headers=self._post_headers(upload_id, body.headers),
            timeout=self._post_timeout,
        )
        try:
            response = self._http.send(request, stream=True)
            with closing(response):
                text = self._read(response)
            told = self._told(response.status_code, response.headers, text)
        except httpx.RequestError as error:
            told = self._broken(error)
        except BadAnswer as error:
            told = error
        except Stopped:
            return
        finally:
            body.close()
        sides.put(told)

    def _parts_into(self, sides: Sides, parts: Parts, body: Body) -> None:
        try:
            while parts.told is None:
                ask = parts.next()
                if ask.pause_s:
                    pause(body, ask.pause_s)
                try:
                    status, headers, text = self._part(ask, body)
                except httpx.RequestError as error:
                    parts.broke(in_words(error))
                else:
                    parts.answered(ask, status, headers, text)
            told: News = parts.told
        except BadAnswer as error:
            told = error
        except Stopped:
            return
        finally:
            body.close()
        sides.put(told)

    def _part(self, ask: PartAsk, body: Body) -> tuple[int, httpx.Headers, bytes]:
        request = self._http.build_request(
            ask.method,
            self.url + ask.path,
            params=list(ask.params),
            content=body.iter_bytes(ask.start, ask.end) if ask.end > ask.start else None,
            headers=self._headers(ask.headers),
            timeout=self._post_timeout,
        )
        response = self._http.send(request, stream=True)
        with closing(response):
            return response.status_code, response.headers, self._read(response)
