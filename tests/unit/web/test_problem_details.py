"""Whatever goes wrong is answered as a problem, in one shape, and the answer arrives."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sse_progress.access.principal import InvalidToken, MissingScope
from sse_progress.model import errors
from sse_progress.model.errors import PROBLEMS, Problem, Rejected
from sse_progress.web.middlewares.problem_middleware import Problems, pass_on
from sse_progress.web.problem_details import CONTENT_TYPE, answer, for_status
from sse_progress.web.stored_file import StoredFile
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import Answer, connect, head, read_answer, request
from tests.helpers.waiting import wait_until

KINDS = [kind for kind in PROBLEMS if kind is not Rejected]


def as_json(response: Response) -> Any:
    return json.loads(bytes(response.body))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_problem_has_one_shape(kind: type[Problem]) -> None:
    """RFC 9457's members, `success`, `error` and `code`; 429 and 503 say when to come back."""
    response = answer(kind())
    assert response.status_code == kind.status
    assert response.headers["content-type"] == CONTENT_TYPE
    assert response.headers["cache-control"] == "no-store"
    said = as_json(response)
    assert set(said) == {"type", "title", "status", "detail", "success", "error", "code"}
    assert said["type"] == "about:blank"
    assert said["status"] == kind.status
    assert said["detail"] == said["error"] == kind.sentence
    assert said["success"] is False
    assert said["code"] == kind.code
    assert ("retry-after" in response.headers) == (kind.status in (429, 503))


def test_a_refusal_by_a_stage_is_422_with_its_own_code() -> None:
    """The stage's code and sentence reach the client."""
    said = as_json(answer(Rejected("rejected_type", "A .exe is not accepted.")))
    assert (said["status"], said["code"]) == (422, "rejected_type")
    assert said["title"] == "Unprocessable Content"
    assert said["detail"] == "A .exe is not accepted."


@pytest.mark.parametrize(
    ("status", "title", "code"),
    [
        (413, "Content Too Large", "too_large"),
        (414, "URI Too Long", "uri_too_long"),
        (416, "Range Not Satisfiable", "range_not_satisfiable"),
        (418, "I'm a Teapot", "i_m_a_teapot"),
    ],
)
def test_statuses_have_the_names_of_rfc_9110(status: int, title: str, code: str) -> None:
    """Python before 3.13 has older ones for four of them; neither title nor code may tell which."""
    said = as_json(answer(for_status(status)))
    assert (said["title"], said["code"]) == (title, code)


def test_further_members_and_headers_may_be_added() -> None:
    """A 409 carries the state of the upload that has the id; the problem says when to retry."""
    problem = errors.UploadIdInUse(retry_after_s=7)
    response = answer(problem, headers={"X-Upload-ID": "u1"}, upload={"status": "complete"})
    assert as_json(response)["upload"] == {"status": "complete"}
    assert response.headers["x-upload-id"] == "u1"
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("problem", "challenge"),
    [
        (errors.Unauthenticated(), "Bearer"),
        (
            InvalidToken("The token has expired."),
            'Bearer error="invalid_token", error_description="The token has expired."',
        ),
        (MissingScope("upload:read"), 'Bearer error="insufficient_scope", scope="upload:read"'),
        (errors.Forbidden(), None),
    ],
)
def test_tokens_are_asked_for_by_the_book(problem: Problem, challenge: str | None) -> None:
    """`WWW-Authenticate` as RFC 6750 §3 has it: no error for a request without a token."""
    assert answer(problem).headers.get("www-authenticate") == challenge


def test_hostile_details_stay_text() -> None:
    """Whatever a client got into a sentence, the answer is JSON of one clean line."""
    said = as_json(answer(errors.BadRequest('a\r\nX: y\0 "\u2028\ud800\u202e' + "x" * 500)))
    assert said["detail"].startswith('a X: y "')
    assert said["detail"].isprintable()
    assert len(said["detail"]) <= 200


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (405, "method_not_allowed"), (416, "*"), (418, "*"), (499, "error")],
)
def test_a_bare_status_is_a_problem(status: int, code: str) -> None:
    """Also one that has no code of ours is answered as itself, and named by its phrase."""
    problem = for_status(status)
    assert problem.status == status
    assert problem.code.isidentifier()
    assert problem.code == code or code == "*"
    assert Problem.status == 500


# ---- the middleware, on a real server


class App:
    """Routes that go wrong in all ways, and notes on what became of their requests."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.received = 0
        self.drove: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/problem", self.problem, methods=["GET", "POST"]),
                Route("/returned", self.returned, methods=["POST"]),
                Route("/group", self.group),
                Route("/mixed", self.mixed),
                Route("/crash", self.crash),
                Route("/late", self.late),
                Route("/teapot", self.teapot),
                Route("/file", self.get_file),
                Route("/plain", self.plain),
                Route("/read", self.read, methods=["POST"]),
                Route("/driven", Driven(self.drove)),
            ],
            middleware=[Middleware(Counting, self), Middleware(Problems)],
            exception_handlers={HTTPException: pass_on},
        )

    async def problem(self, request: Request) -> Response:
        request.state.upload_id = "u1"
        raise errors.TooLarge("file is 9 bytes, limit 8")

    async def returned(self, request: Request) -> Response:
        return answer(errors.UploadIdInUse(), upload={"status": "error"})

    async def group(self, request: Request) -> Response:
        raise BaseExceptionGroup("g", [ExceptionGroup("inner", [errors.TooManyUploads()])])

    async def mixed(self, request: Request) -> Response:
        raise ExceptionGroup("g", [errors.TooManyUploads(), KeyError("x")])

    async def crash(self, request: Request) -> Response:
        raise RuntimeError("the database password is hunter2")

    async def late(self, request: Request) -> Response:
        async def parts() -> Any:
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    async def teapot(self, request: Request) -> Response:
        raise HTTPException(418, "from Starlette", headers={"X-Pot": "short and stout"})

    async def get_file(self, request: Request) -> Response:
        return StoredFile(self.file)

    async def plain(self, request: Request) -> Response:
        return PlainTextResponse("a text that is no error")

    async def read(self, request: Request) -> Response:
        await request.body()
        raise errors.BadRequest


class Driven:
    """An endpoint that drives `send()` itself, as live streams do."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in (
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": b"data", "more_body": True},
            {"type": "http.response.body", "body": b"", "more_body": False},
        ):
            sending: Any = send(message)
            try:
                sending.send(None)
            except StopIteration:
                self._notes.append("sent at once")


class Counting:
    """Counts the body bytes that the application, or what is around it, takes."""

    def __init__(self, app: Any, notes: App) -> None:
        self._app, self._notes = app, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._notes.received = 0

        async def counted() -> Any:
            message = await receive()
            self._notes.received += len(message.get("body", b""))
            return message

        await self._app(scope, counted, send)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    file = tmp_path_factory.mktemp("files") / "file"
    file.write_bytes(b"0123456789")
    return App(file)


@pytest.fixture(scope="module")
def server(app: App) -> Iterator[AsgiServer]:
    with AsgiServer(app.app) as running:
        yield running


def get(server: AsgiServer, path: str, **arguments: Any) -> Answer:
    return request(arguments.pop("method", "GET"), server.url + path, **arguments)


@pytest.mark.parametrize(
    ("path", "arguments", "status", "code", "headers"),
    [
        ("/problem", {}, 413, "too_large", {"x-upload-id": "u1"}),
        ("/group", {}, 429, "too_many_uploads", {"retry-after": "1"}),
        ("/mixed", {}, 500, "internal", {}),
        ("/crash", {}, 500, "internal", {}),
        ("/nowhere", {}, 404, "not_found", {}),
        ("/problem", {"method": "DELETE"}, 405, "method_not_allowed", {"allow": "*"}),
        ("/teapot", {}, 418, "*", {"x-pot": "short and stout"}),
        (
            "/file",
            {"headers": {"Range": "bytes=90-99"}},
            416,
            "*",
            {"content-range": "bytes */10"},
        ),
        ("/file", {"headers": {"If-Match": '"other"'}}, 412, "precondition_failed", {}),
        ("/read", {"method": "POST", "body": b"x" * 100_000}, 400, "bad_request", {}),
    ],
)
def test_whatever_is_raised_is_answered(
    server: AsgiServer,
    path: str,
    arguments: dict[str, Any],
    status: int,
    code: str,
    headers: dict[str, str],
) -> None:
    """Problems, Starlette's exceptions and its plain-text errors, groups, and bugs: one shape."""
    found = get(server, path, **arguments)
    assert found.status == found.json["status"] == status
    assert code in ("*", found.json["code"])
    assert found.headers["content-type"] == CONTENT_TYPE
    for name, value in headers.items():
        assert value in ("*", found.headers[name])
    assert found.headers.get("connection") != "close"


def test_what_is_no_error_is_left_alone(server: AsgiServer) -> None:
    """Plain text with a good status, and a part of a file, pass as they are."""
    assert get(server, "/plain").body == b"a text that is no error"
    assert get(server, "/file", headers={"Range": "bytes=2-4"}).body == b"234"


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("lines=1", 200, b"0123456789"),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=x", 200, b"0123456789"),
        ("bytes=0-1,90-99", 206, b"01"),
    ],
)
def test_a_range_that_makes_no_sense_is_ignored(
    server: AsgiServer, asked: str, status: int, body: bytes
) -> None:
    """RFC 9110 §14.2: an unknown unit and a broken range are as none; one of two may be beyond."""
    found = get(server, "/file", headers={"Range": asked})
    assert (found.status, found.body) == (status, body)


def test_a_bug_tells_the_log_and_not_the_client(
    server: AsgiServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 has the same words whatever broke; the log has the error, once."""
    with structlog.testing.capture_logs() as entries:
        found = get(server, "/crash?token=secret")
    assert b"hunter2" not in found.body
    assert b"Traceback" not in found.body
    assert found.json["detail"] == errors.Internal.sentence
    (entry,) = entries
    assert entry["path"] == "/crash"
    assert str(entry["exc_info"]) == "the database password is hunter2"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class Kept(logging.Handler):
    """Log records, whatever other tests in this process have made of the loggers above."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_an_answer_that_breaks_off_is_seen_to_break_off(
    server: AsgiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer has begun, an error cuts the connection: half an answer is never whole.
    The server logs the error itself."""
    logger, kept = logging.getLogger("uvicorn.error"), Kept()
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr(logger, "handlers", [kept])
    monkeypatch.setattr(logger, "isEnabledFor", lambda level: level >= logging.ERROR)
    with structlog.testing.capture_logs() as entries, pytest.raises(EOFError):
        get(server, "/late")
    assert entries == []
    (record,) = wait_until(
        lambda: [record for record in kept.records if record.levelname == "ERROR"], "it is logged"
    )
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "in the middle"


def test_head_gets_the_headers_alone(server: AsgiServer) -> None:
    """A problem's answer to HEAD ends with its headers."""
    with connect(server.url) as connection:
        for _ in range(2):
            connection.sendall(head("HEAD", server.url + "/problem"))
            found = read_answer(connection, method="HEAD")
            assert (found.status, found.headers["content-type"]) == (413, CONTENT_TYPE)


@pytest.mark.parametrize(
    ("path", "status"), [("/problem", 413), ("/returned", 409), ("/nowhere", 404)]
)
def test_an_early_answer_arrives_at_once_and_whole(
    server: AsgiServer, app: App, path: str, status: int
) -> None:
    """A refusal is readable while the body still comes; at most 1 MiB more is taken, then the
    connection is closed."""
    with connect(server.url) as connection:
        connection.sendall(
            head("POST", server.url + path, {"Content-Length": str(1024**3)}) + b"x" * 100_000
        )
        found = read_answer(connection)
        assert (found.status, found.headers["connection"]) == (status, "close")
        sent = 0
        try:
            while sent < 64 * 1024**2:
                connection.sendall(b"x" * 65536)
                sent += 65536
        except OSError:
            pass
        assert sent < 64 * 1024**2
    # One read more than the limit may be in hand: uvloop reads 256 KiB at a time.
    assert 100_000 < app.received <= 1024**2 + 2 * 262_144


def test_an_early_answer_does_not_wait_for_a_silent_client(server: AsgiServer) -> None:
    """A client that says it will send a body and does not is let go after 2 s."""
    with connect(server.url) as connection:
        connection.sendall(head("POST", server.url + "/problem", {"Content-Length": "10"}))
        assert read_answer(connection).status == 413
        connection.settimeout(15)
        assert connection.recv(1) == b""


def test_a_body_that_ends_soon_costs_no_time(server: AsgiServer, app: App) -> None:
    """What is left of a small body is read, and the connection closed in order."""
    with connect(server.url) as connection:
        connection.sendall(head("POST", server.url + "/problem", {"Content-Length": "10"}))
        assert read_answer(connection).status == 413
        connection.sendall(b"0123456789")
        assert connection.recv(1) == b""
    assert app.received == 10


def test_after_a_whole_body_the_connection_stays(server: AsgiServer) -> None:
    """A refusal of a request that was read to its end does not cost the client its connection."""
    with connect(server.url) as connection:
        for _ in range(3):
            connection.sendall(
                head("POST", server.url + "/read", {"Content-Length": "4"}) + b"body"
            )
            found = read_answer(connection)
            assert found.status == 400
            assert "connection" not in found.headers


def test_send_stays_the_servers_own(server: AsgiServer, app: App) -> None:
    """A stream that drives `send()` by hand is not suspended by anything in between."""
    app.drove.clear()
    assert get(server, "/driven").body == b"data"
    wait_until(lambda: len(app.drove) == 3, "three messages were sent")
    assert app.drove == ["sent at once"] * 3
