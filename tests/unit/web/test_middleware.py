"""The door on a real server: hosts, origins, CORS, headers, and who a request's caller is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import jwt
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sse_progress.access.authentication import from_settings
from sse_progress.access.limits import Limits
from sse_progress.access.tickets import Tickets
from sse_progress.model.errors import Forbidden
from sse_progress.runtime.redis.client import connect
from sse_progress.settings import load_settings
from sse_progress.web.callers import Access
from sse_progress.web.middlewares.middleware import Gate, middleware
from sse_progress.web.middlewares.problem_middleware import pass_on
from sse_progress.web.origins import Origins
from tests.helpers import raw_http
from tests.helpers.asgi_server import AsgiServer
from tests.helpers.raw_http import Answer, request

SECRET = "an honest secret of more than 32 bytes"
APP = "https://app.example"


def token(sub: str = "alice", **claims: Any) -> str:
    return jwt.encode({"sub": sub, "exp": int(time.time()) + 600, **claims}, SECRET)


def serve(redis_url: str = "unix:///nowhere", **changes: Any) -> AbstractContextManager[AsgiServer]:
    """A small service behind the whole door: reads, changes, a stream."""
    settings = load_settings(**changes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        redis = connect(redis_url)
        app.state.access = Access(
            from_settings(settings),
            Limits(redis, settings),
            Origins(settings.cors_origins),
            Tickets(redis),
        )
        yield
        await redis.aclose()

    async def read(request: Request) -> Response:
        principal = await request.app.state.access.reader(request)
        return JSONResponse({"sub": principal.sub})

    async def change(request: Request) -> Response:
        principal = await request.app.state.access.writer(request)
        return JSONResponse({"sub": principal.sub})

    async def stream(request: Request) -> Response:
        principal = await request.app.state.access.claimer(request)
        return JSONResponse({"sub": principal.sub})

    async def page(request: Request) -> Response:
        headers = {"Content-Security-Policy": "default-src 'self'", "Vary": "Accept"}
        return JSONResponse({}, headers=headers)

    app = Starlette(
        routes=[
            Route("/read", read),
            Route("/change", change, methods=["POST", "DELETE"]),
            Route("/stream", stream),
            Route("/page", page),
        ],
        middleware=middleware(settings),
        exception_handlers={HTTPException: pass_on},
        lifespan=lifespan,
    )
    return AsgiServer(app, lifespan="on")


@pytest.fixture(scope="module")
def opened() -> Iterator[AsgiServer]:
    """Open mode, with a name and a page of its own."""
    with serve(allowed_hosts="box.lan", cors_origins=f"{APP},http://localhost:5173") as server:
        yield server


@pytest.fixture(scope="module")
def closed() -> Iterator[AsgiServer]:
    """Open mode without any exception made."""
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[AsgiServer]:
    """Token mode, with a page of its own."""
    with serve(
        jwt_secret=SECRET,
        cors_origins=APP,
        requests_per_minute=None,
        max_streams_per_user=None,
    ) as server:
        yield server


def ask(server: AsgiServer, path: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(method, server.url + path, headers=named)


def port_of(server: AsgiServer) -> str:
    return server.url.rpartition(":")[2]


# ---- open mode: hosts


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "box.lan"],
)
def test_local_names_are_served(opened: AsgiServer, host: str) -> None:
    """Loopback names in any spelling, with any port, and the names that settings allow."""
    for port in ("", ":8000", f":{port_of(opened)}"):
        assert ask(opened, "/read", Host=host + port).json == {"sub": "anonymous"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "box.lan.evil.example",
        "0.0.0.0",
        "[::]",
        "192.0.2.1",
        "2130706433",
        "localhost:80:80",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost evil",
        "[::1",
        "::1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/read", "/stream", "/nowhere"])
def test_foreign_hosts_are_refused(closed: AsgiServer, path: str, host: str) -> None:
    """A name that an attacker's DNS could point here (rebinding) gets 403, whatever the path."""
    answer = ask(closed, path, Host=host)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("bound", "server", "host", "passes"),
    [
        ("0.0.0.0", "192.0.2.7", "192.0.2.7:8000", True),
        ("0.0.0.0", "192.0.2.7", "192.0.2.8", False),
        ("0.0.0.0", "192.0.2.7", "0.0.0.0", False),
        ("::", "2001:db8::7", "[2001:db8:0:0::7]", True),
        ("::", "2001:db8::7", "[::]", False),
        ("192.0.2.7", "10.0.0.1", "192.0.2.7", True),
        ("box.lan", "10.0.0.1", "box.lan", True),
        ("fd00::7", "10.0.0.1", "[fd00::7]:80", True),
    ],
)
async def test_the_address_of_the_connection_is_a_name(
    bound: str, server: str, host: str, passes: bool
) -> None:
    """On a public address the address itself is served, and what it was bound by, but not the
    wildcard: browsers let any page reach local services by that one."""
    passed: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    gate = Gate(app, hosts=[bound], origins=Origins([]))
    scope = {
        "type": "http",
        "scheme": "http",
        "server": (server, 8000),
        "headers": [(b"host", host.encode())],
    }
    if passes:
        await gate(scope, nothing, nothing)
    else:
        with pytest.raises(Forbidden):
            await gate(scope, nothing, nothing)
    assert bool(passed) == passes


async def test_the_address_of_another_connection_is_no_name() -> None:
    """What was found of a name before is remembered with the address that it was found for."""

    async def app(*_: Any) -> Any:
        pass

    gate = Gate(app, hosts=["0.0.0.0"], origins=Origins([]))
    scope: Scope = {"type": "http", "headers": [(b"host", b"192.0.2.1:8000")]}
    await gate({**scope, "server": ("192.0.2.1", 8000)}, app, app)
    with pytest.raises(Forbidden):
        await gate({**scope, "server": ("192.0.2.2", 8000)}, app, app)


def test_a_request_without_host_is_no_browsers(closed: AsgiServer) -> None:
    """HTTP/1.0 without Host, as old health checks send it, is served."""
    with raw_http.connect(closed.url) as connection:
        connection.sendall(b"GET /read HTTP/1.0\r\n\r\n")
        assert raw_http.read_answer(connection).status == 200


# ---- open mode: pages


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:9999",
        "http://127.0.0.1:{port}",
        "https://localhost:{port}",
        "http://localhost:{port}.evil.example",
        "http://evil@localhost:{port}",
        "file://",
        "chrome-extension://abcdefgh",
        "",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/change"), ("DELETE", "/change"), ("GET", "/stream"), ("GET", "/read")],
)
def test_foreign_pages_are_refused(closed: AsgiServer, method: str, path: str, origin: str) -> None:
    """A web page elsewhere cannot upload into somebody's localhost, claim an id with a stream, or
    read; not even a page of another port or scheme."""
    port = port_of(closed)
    answer = ask(closed, path, method, Host=f"localhost:{port}", Origin=origin.format(port=port))
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert "access-control-allow-origin" not in answer.headers


def test_own_and_listed_pages_are_served(opened: AsgiServer, closed: AsgiServer) -> None:
    """A page of this very origin, and those that settings list, in any way browsers write them."""
    port = port_of(closed)
    for origin in (f"http://localhost:{port}", f"HTTP://LocalHost:{port}"):
        answer = ask(closed, "/change", "POST", Host=f"localhost:{port}", Origin=origin)
        assert answer.json == {"sub": "anonymous"}
    for origin in (APP, "https://app.example:443", "http://localhost:5173"):
        assert ask(opened, "/change", "POST", Origin=origin).json == {"sub": "anonymous"}
    assert ask(opened, "/change", "POST", Origin="http://app.example").status == 403


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("cross-site", None, 403),
        ("cross-site", "navigate", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
        (None, None, 200),
    ],
)
def test_silent_requests_of_foreign_pages_are_refused(
    closed: AsgiServer, site: str | None, mode: str | None, status: int
) -> None:
    """An `<img>` or `<script>` of another site sends no Origin, but says where it comes from; a
    link, the own page and curl are served."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    answer = ask(closed, "/stream", **{n: v for n, v in headers.items() if v is not None})
    assert answer.status == status


def test_what_comes_twice_is_refused(locked: AsgiServer, closed: AsgiServer) -> None:
    """Of two Origins or Authorizations none is right: proxies differ in which they look at."""
    for server, name, values in (
        (closed, "Origin", (f"http://{closed.url[7:]}", "https://evil.example")),
        (locked, "Authorization", (f"Bearer {token()}", f"Bearer {token('mallory')}")),
    ):
        with raw_http.connect(server.url) as connection:
            lines = "".join(f"{name}: {value}\r\n" for value in values)
            connection.sendall(
                f"GET /read HTTP/1.1\r\nHost: {server.url[7:]}\r\n{lines}\r\n".encode()
            )
            answer = raw_http.read_answer(connection)
        assert (answer.status, answer.json["code"]) == (400, "bad_request")


# ---- CORS


def test_a_preflight_of_a_listed_page_is_answered(opened: AsgiServer, locked: AsgiServer) -> None:
    """It allows the methods and headers of the contract, with credentials, and costs no token."""
    for server in (opened, locked):
        answer = ask(
            server,
            "/change",
            "OPTIONS",
            Origin=APP,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization,x-upload-id",
        )
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-allow-credentials"] == "true"
        allowed = set(answer.headers["access-control-allow-headers"].split(", "))
        assert allowed >= {
            "Authorization",
            "X-Upload-ID",
            "Last-Event-ID",
            "Prefer",
            "If-None-Match",
            "Content-Type",
            "Content-Disposition",
            "Tus-Resumable",
            "Upload-Length",
            "Upload-Defer-Length",
            "Upload-Offset",
            "Upload-Metadata",
            "Upload-Checksum",
            "X-HTTP-Method-Override",
        }
        methods = "GET, HEAD, POST, PUT, PATCH, DELETE"
        assert answer.headers["access-control-allow-methods"] == methods
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil"])
def test_a_preflight_of_a_foreign_page_gets_nothing(
    opened: AsgiServer, locked: AsgiServer, origin: str
) -> None:
    """No answer to a page that is not listed allows it anything."""
    for server in (opened, locked):
        for method in ("OPTIONS", "GET"):
            answer = ask(
                server, "/read", method, Origin=origin, Access_Control_Request_Method="POST"
            )
            assert answer.status in (401, 403, 405)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "Origin" in answer.headers["vary"]


def test_answers_to_listed_pages_may_be_read(locked: AsgiServer) -> None:
    """Good answers and refusals alike say so, name their origin, and keep their own Vary."""
    for path, status in (("/read", 401), ("/nowhere", 404), ("/page", 200)):
        answer = ask(locked, path, Origin=APP)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == APP
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert exposed >= {
            "X-Upload-ID",
            "Location",
            "ETag",
            "Retry-After",
            "Upload-Offset",
            "Upload-Length",
            "Upload-Expires",
            "Upload-Metadata",
            "Tus-Resumable",
            "Tus-Version",
            "Tus-Extension",
            "Tus-Max-Size",
            "Tus-Checksum-Algorithm",
        }
    text = _raw(locked, f"GET /page HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\n\r\n")
    assert b"vary: Accept\r\n" in text
    assert b"vary: Origin\r\n" in text


def test_without_a_list_nothing_is_said_of_origins(closed: AsgiServer) -> None:
    """No CORS header appears where no origin is configured."""
    answer = ask(closed, "/read", Origin=f"http://{closed.url[7:]}")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def _raw(server: AsgiServer, text: str) -> bytes:
    with raw_http.connect(server.url) as connection:
        connection.sendall(text.encode())
        return connection.recv(65536)


APPS = (
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "app://obsidian.md",
    "chrome-extension://abcdefghijklmnop",
    "https://xn--bcher-kva.example:8443",
)


@pytest.fixture(scope="module")
def apps() -> Iterator[tuple[AsgiServer, AsgiServer]]:
    """Web views of apps are listed: in open mode, and with tokens."""
    listed = ",".join(APPS)
    with (
        serve(cors_origins=listed) as opened,
        serve(jwt_secret=SECRET, cors_origins=listed, requests_per_minute=None) as locked,
    ):
        yield opened, locked


@pytest.mark.parametrize("origin", APPS)
def test_web_views_of_apps_are_served(apps: tuple[AsgiServer, AsgiServer], origin: str) -> None:
    """An origin with a scheme of its own is let in where it is listed, echoed to the letter, and
    vouches for a cookie."""
    opened, locked = apps
    answer = ask(opened, "/change", "POST", Origin=origin)
    assert answer.json == {"sub": "anonymous"}
    assert answer.headers["access-control-allow-origin"] == origin
    answer = ask(locked, "/change", "OPTIONS", Origin=origin, Access_Control_Request_Method="POST")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, origin)
    cookie = f"sse_progress_token={token()}"
    assert ask(locked, "/change", "POST", Origin=origin, Cookie=cookie).json == {"sub": "alice"}


@pytest.mark.parametrize(
    "origin",
    [
        "capacitor://localhost:1",
        "capacitor://evil",
        "tauri://localhost.evil",
        "electron://localhost",
    ],
)
def test_other_schemes_are_told_apart(apps: tuple[AsgiServer, AsgiServer], origin: str) -> None:
    """Neither another scheme, host nor port of a web view is the listed one."""
    answer = ask(apps[0], "/change", "POST", Origin=origin)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_cannot_match_is_an_error() -> None:
    """What no request could match is refused, not dropped."""
    with pytest.raises(ValueError, match="'https://' is not an origin"):
        Origins(["https://"])


# ---- headers


def test_every_answer_is_inert_in_a_browser(closed: AsgiServer, opened: AsgiServer) -> None:
    """Data is never sniffed, run, framed or embedded elsewhere; a handler's own policy stays."""
    for path in ("/read", "/nowhere"):
        headers = ask(closed, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-security-policy"] == (
            "default-src 'none'; frame-ancestors 'none'; sandbox"
        )
    assert ask(closed, "/page").headers["content-security-policy"] == "default-src 'self'"
    # Listed pages show pictures that are served here.
    assert ask(opened, "/read").headers["cross-origin-resource-policy"] == "cross-origin"


# ---- callers


def test_a_bearer_token_makes_a_caller_anywhere(locked: AsgiServer) -> None:
    """With the header, no origin matters: only who has the token can send it."""
    headers = {"Authorization": f"Bearer {token()}", "Origin": "https://evil.example"}
    for method, path in (("GET", "/read"), ("POST", "/change"), ("GET", "/stream")):
        assert ask(locked, path, method, **headers).json == {"sub": "alice"}


def test_without_a_token_nobody_is_let_in(locked: AsgiServer) -> None:
    """401 with the challenge that the RFC wants, also for a token that is no good."""
    answer = ask(locked, "/read")
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = ask(locked, "/read", Authorization="Bearer x")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_a_scope_that_lacks_is_named(locked: AsgiServer) -> None:
    """A token to read does not change anything, and the answer says what it would take."""
    headers = {"Authorization": f"Bearer {token(scope='upload:read')}"}
    assert ask(locked, "/read", **headers).status == 200
    answer = ask(locked, "/change", "POST", **headers)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert 'scope="upload:write"' in answer.headers["www-authenticate"]


def test_a_token_in_the_query_is_for_streams_alone(locked: AsgiServer) -> None:
    """`?token=` opens the streams and nothing else; two of them open nothing."""
    assert ask(locked, f"/stream?token={token()}").json == {"sub": "alice"}
    assert ask(locked, f"/read?token={token()}").status == 401
    assert ask(locked, f"/change?token={token()}", "POST").status == 401
    assert ask(locked, f"/stream?token={token()}&token={token('bob')}").status == 401
    assert ask(locked, "/stream?token=").status == 401


def own(server: AsgiServer) -> dict[str, str]:
    """Headers of a request that says where it goes."""
    return {"Host": f"up.example:{port_of(server)}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://up.example:{port}"}, 200),
        ({"Origin": APP}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Referer": "http://up.example:{port}/page?x=1"}, 200),
        ({"Referer": f"{APP}/"}, 200),
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://up.example"}, 403),
        ({"Origin": "https://up.example:{port}"}, 403),
        ({"Origin": "http://UP.example:{port}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Referer": "https://evil.example/http://up.example:{port}/"}, 403),
        ({"Referer": "nonsense"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Referer": "http://up.example:{port}/"}, 403),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/change"), ("GET", "/stream")])
def test_a_cookie_changes_things_for_own_pages_alone(
    locked: AsgiServer, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """What claims or changes by cookie must come from this origin or a listed one, by the best
    evidence that the browser gives; without evidence it is refused (CSRF)."""
    port = port_of(locked)
    sent = {name: value.format(port=port) for name, value in headers.items()}
    sent |= {**own(locked), "Cookie": f"other=1; sse_progress_token={token()}"}
    answer = ask(locked, path, method, **sent)
    assert answer.status == status
    if status == 403:
        assert answer.json["code"] == "forbidden"


def test_a_cookie_reads_from_anywhere(locked: AsgiServer) -> None:
    """Reading changes nothing, and who may see the answer is CORS' business."""
    cookie = f'sse_progress_token="{token()}"'
    assert ask(locked, "/read", Cookie=cookie).json == {"sub": "alice"}


def test_a_cookie_that_is_not_used_needs_no_origin(locked: AsgiServer) -> None:
    """A browser sends the cookie also with a bearer header; the header decides then."""
    headers = {"Authorization": f"Bearer {token('bob')}", "Cookie": f"sse_progress_token={token()}"}
    assert ask(locked, "/change", "POST", **headers).json == {"sub": "bob"}
    assert ask(locked, f"/stream?token={token('bob')}", **headers).json == {"sub": "bob"}


def test_a_planted_cookie_is_refused(locked: AsgiServer) -> None:
    """Two different cookies of the name mean that a sister site set one: neither counts."""
    cookie = f"sse_progress_token={token('mallory')}; sse_progress_token={token()}"
    assert ask(locked, "/read", Cookie=cookie).status == 401
    assert ask(locked, "/read", Cookie=f"xsse_progress_token={token()}").status == 401


def test_rates_are_for_all_but_streams(redis_url: str) -> None:
    """A user's and an address' requests are counted, also the refused; streams are not: a 429
    would end an EventSource for good."""
    limits = {"requests_per_minute": 3, "requests_per_minute_per_address": 6}
    with serve(redis_url, jwt_secret=SECRET, **limits) as server:
        alice, bob = ({"Authorization": f"Bearer {token(sub)}"} for sub in ("alice", "bob"))
        assert [ask(server, "/read", **alice).status for _ in range(4)] == [200, 200, 200, 429]
        assert [ask(server, "/read").status for _ in range(2)] == [401, 401]
        answer = ask(server, "/read", **bob)
        assert (answer.status, answer.json["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert [ask(server, "/stream", **alice).status for _ in range(9)] == [200] * 9
