"""Tokens that are none, and tokens in the wrong place, against whole services."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.attacks.words import (
    SECRET,
    Caller,
    check_problem,
    check_untouched,
    claims,
    exchange,
    new_id,
    request_bytes,
    token,
)
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.service import Service
from tests.helpers.sse import EventStream, Frame

PICTURE = jpeg(40, 30)
GOOD = body([file_part(PICTURE)])
NOW = int(time.time())


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: dict[str, Any], key: bytes = SECRET.encode(), **changes: Any) -> str:
    """A token that HMAC-SHA256 signs with `key`, whatever its header says."""
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims(**changes)).encode())}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), hashlib.sha256))}"


def unsigned(algorithm: str) -> str:
    return forged({"alg": algorithm}).rpartition(".")[0] + "."


def swapped() -> str:
    """Alice's signature under somebody else's claims."""
    head, _, signature = token().split(".")
    return f"{head}.{b64(json.dumps(claims(sub='root')).encode())}.{signature}"


TOKENS: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "alg none with a signature": lambda: forged({"alg": "none"}),
    "no alg": lambda: forged({"typ": "JWT"}),
    "alg HS384": lambda: token(algorithm="HS384"),
    "alg HS512": lambda: token(algorithm="HS512"),
    "another secret": lambda: token("another secret that is also long enough"),
    "an empty secret": lambda: forged({"alg": "HS256"}, b"\0"),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "half a signature": lambda: token()[:-20],
    "other claims": swapped,
    "expired": lambda: token(exp=NOW - 1),
    "expired long ago": lambda: token(exp=1),
    "not yet valid": lambda: token(nbf=int(time.time()) + 600),
    "issued in the future": lambda: token(iat=int(time.time()) + 600),
    "without an end": lambda: token(exp=None),
    "end as text": lambda: forged({"alg": "HS256"}, exp=str(NOW + 600)),
    "end beyond numbers": lambda: forged({"alg": "HS256"}, exp=10**400),
    "another audience": lambda: token(aud="billing"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "an issuer that begins alike": lambda: token(iss="https://issuer.example.evil.example"),
    "no issuer": lambda: token(iss=None),
    "nobody": lambda: token(sub=None),
    "an empty sub": lambda: token(sub=""),
    "a sub with a line end": lambda: token(sub="alice\nroot"),
    "a sub with NUL": lambda: token(sub="alice\0"),
    "a sub of 10,000": lambda: token(sub="a" * 10_000),
    "a sub that is a list": lambda: forged({"alg": "HS256"}, sub=["alice"]),
    "kid a path": lambda: forged({"alg": "HS256", "kid": "../../../dev/null"}, b"\0"),
    "kid an address": lambda: forged({"alg": "HS256", "kid": "http://127.0.0.1:1/k"}, b"k"),
    "kid of SQL": lambda: forged({"alg": "HS256", "kid": "x' UNION SELECT 'k'; --"}, b"k"),
    "kid a command": lambda: forged({"alg": "HS256", "kid": "|cat /etc/passwd"}, b"k"),
    "kid an object": lambda: forged({"alg": "HS256", "kid": {"a": 1}}),
    "own key in jwk": lambda: forged(
        {"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"k" * 32)}}, b"k" * 32
    ),
    "own keys at jku": lambda: forged({"alg": "HS256", "jku": "http://127.0.0.1:1/jwks"}, b"k"),
    "own certificate at x5u": lambda: forged({"alg": "HS256", "x5u": "http://127.0.0.1:1/"}, b"k"),
    "critical header": lambda: forged({"alg": "HS256", "crit": ["x"], "x": 1}),
    "unencoded payload": lambda: forged({"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "compressed, as if encrypted": lambda: f"{b64(b'{}')}.{b64(b'x')}.A.A.A",
    "deeply nested": lambda: b64(b"[" * 5000) + ".e30.AA",
    "three dots": lambda: "...",
    "nothing": lambda: "",
    "too long": lambda: token(padding="x" * 9000),
    "a path": lambda: "../../etc/passwd",
}


@pytest.mark.parametrize("case", TOKENS)
async def test_a_token_that_is_none(locked: Service, case: str) -> None:
    """401 wherever it is shown; no id is claimed, no byte kept, no detail told."""
    bad, upload_id = TOKENS[case](), new_id()
    shown = Caller(locked, {"Authorization": f"Bearer {bad}"})
    answers = [
        shown.post_raw(GOOD, upload_id=upload_id),
        shown.ask("GET", f"/upload/{upload_id}/progress"),
        shown.ask("GET", f"/upload/{upload_id}"),
        shown.ask("DELETE", f"/upload/{upload_id}"),
        shown.ask("GET", "/uploads"),
        shown.ask("GET", "/uploads/progress"),
        Caller(locked).ask("GET", f"/upload/{upload_id}/progress?token={bad}"),
    ]
    if ";" not in bad and " " not in bad:
        cookie = {"Cookie": f"sse_progress_token={bad}", "Origin": locked.url}
        answers.append(Caller(locked, cookie).post_raw(GOOD, upload_id=upload_id))
    for answer in answers:
        problem = check_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert problem["detail"] in (
            "A valid token is needed.",
            "The token is not valid.",
            "The token has expired.",
        )
    check_untouched(Caller.named(locked, "somebody"), upload_id)


async def test_a_good_token_is_good(locked: Service) -> None:
    """What the rows change is what they are refused for."""
    for good in (token(), forged({"alg": "HS256"}), forged({"alg": "HS256", "kid": "any"})):
        assert (
            Caller(locked, {"Authorization": f"Bearer {good}"}).ask("GET", "/uploads").status == 200
        )


def confused(pem: str) -> dict[str, str]:
    """Tokens signed with the public key as if it were a secret."""
    spellings = {
        "as it is": pem.encode(),
        "without its last line end": pem.strip().encode(),
        "with CRLF": pem.replace("\n", "\r\n").encode(),
        "on one line": "".join(pem.splitlines()[1:-1]).encode(),
        "as DER": base64.b64decode("".join(pem.splitlines()[1:-1])),
    }
    return {name: forged({"alg": "HS256"}, key) for name, key in spellings.items()}


async def test_a_public_key_is_no_secret(locked_rsa: Service, rsa_pem: str) -> None:
    """Key confusion: HMAC with the public key, in any spelling, signs nothing."""
    for name, bad in confused(rsa_pem).items():
        answer = Caller(locked_rsa, {"Authorization": f"Bearer {bad}"}).ask("GET", "/uploads")
        assert answer.status == 401, name


async def test_only_the_configured_key_signs(
    locked_rsa: Service, rsa_key: rsa.RSAPrivateKey
) -> None:
    """RS256 by that key alone: not by another, not by another algorithm, not unsigned."""

    def status(bad: str) -> int:
        shown = Caller(locked_rsa, {"Authorization": f"Bearer {bad}"})
        return shown.ask("GET", "/uploads").status

    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert status(token(rsa_key, "RS256")) == 200
    for bad in (
        token(another, "RS256"),
        token(rsa_key, "RS512"),
        token(rsa_key, "PS256"),
        token(SECRET, "HS256"),
        unsigned("none"),
        token(another, "RS256", headers={"kid": "1", "jku": "http://127.0.0.1:1/"}),
        token(rsa_key, "RS256", exp=NOW - 1),
        token(rsa_key, "RS256", aud="billing"),
    ):
        assert status(bad) == 401


# ---- scopes

NEEDS_WRITE = (("POST", "/upload"), ("DELETE", "/upload/{id}"))
NEEDS_READ = (
    ("GET", "/upload/{id}"),
    ("GET", "/upload/{id}/progress"),
    ("HEAD", "/upload/{id}/progress"),
    ("GET", "/upload/{id}/files/photo.jpg"),
    ("GET", "/uploads"),
    ("GET", "/uploads/progress"),
)


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        *(("upload:read", *row) for row in NEEDS_WRITE),
        *(("upload:write", *row) for row in NEEDS_READ),
        *((lacking, *row) for row in (*NEEDS_READ, *NEEDS_WRITE) for lacking in ("", "admin")),
        *(("UPLOAD:WRITE upload:readx upload:read,upload:write *", *row) for row in NEEDS_WRITE),
    ],
)
async def test_a_scope_that_lacks(locked: Service, scope: str, method: str, path: str) -> None:
    """403 for what the token's scope does not name to the letter; nothing is claimed by trying."""
    upload_id, sub = new_id(), f"user-{new_id()}"
    caller = Caller.named(locked, sub, scope=scope)
    target = path.format(id=upload_id)
    if method == "POST":
        answer = caller.post_raw(GOOD, upload_id=upload_id)
    else:
        answer = caller.ask(method, target)
    assert answer.status == 403
    if method != "HEAD":
        check_problem(answer, 403, "forbidden")
    check_untouched(Caller.named(locked, sub), upload_id)


# ---- places


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/upload"),
        ("GET", "/upload/{id}"),
        ("DELETE", "/upload/{id}"),
        ("GET", "/upload/{id}/files/photo.jpg"),
        ("GET", "/uploads"),
    ],
)
async def test_a_token_in_the_query_is_for_streams(locked: Service, method: str, path: str) -> None:
    """Addresses end up in logs and histories, so only EventSource may show its token there."""
    upload_id = new_id()
    raw = request_bytes(
        locked,
        method,
        f"{path.format(id=upload_id)}?token={token()}",
        [
            ("Content-Type", content_type()),
            ("Content-Length", str(len(GOOD) if method == "POST" else 0)),
            ("X-Upload-ID", upload_id),
        ],
        GOOD if method == "POST" else b"",
    )
    (answer,) = exchange(locked, raw)
    check_problem(answer, 401, "unauthenticated")


async def test_the_json_of_a_stream_takes_no_query_token(locked: Service) -> None:
    """The same address asked for JSON is no stream."""
    target = f"/upload/{new_id()}/progress?token={token()}"
    answer = Caller(locked).ask("GET", target, headers={"Accept": "application/json"})
    check_problem(answer, 401, "unauthenticated")


async def test_two_tokens_in_the_query_are_none(locked: Service) -> None:
    """Which of two would a proxy have checked?"""
    target = f"/upload/{new_id()}/progress?token={token()}&token={token()}"
    check_problem(Caller(locked).ask("GET", target), 401, "unauthenticated")


ORIGINS = {
    "none": {},
    "foreign": {"Origin": "https://evil.example"},
    "null": {"Origin": "null"},
    "empty": {"Origin": ""},
    "that begins alike": {"Origin": "{url}.evil.example"},
    "that ends alike": {"Origin": "http://evil-{host}"},
    "of another port": {"Origin": "http://127.0.0.1:1"},
    "of another scheme": {"Origin": "https://{host}"},
    "with a path": {"Origin": "http://evil.example/{url}"},
    "with a name in front": {"Origin": "http://{host}@evil.example"},
    "foreign, a good Referer": {"Origin": "https://evil.example", "Referer": "{url}/"},
    "none, a foreign Referer": {"Referer": "https://evil.example/{url}"},
    "none, from another site": {"Sec-Fetch-Site": "cross-site"},
    "none, from a sister site": {"Sec-Fetch-Site": "same-site"},
    "none, typed in": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("case", ORIGINS)
async def test_a_cookie_from_a_foreign_page(locked: Service, case: str) -> None:
    """Browsers send the cookie for any page: an upload, a claim or a cancellation needs ours."""
    host = locked.url.removeprefix("http://")
    shown = {name: value.format(url=locked.url, host=host) for name, value in ORIGINS[case].items()}
    sub, upload_id, mine = f"user-{new_id()}", new_id(), new_id()
    caller = Caller.named(locked, sub)
    assert caller.post_raw(GOOD, upload_id=mine).status == 200
    cookie = {"Cookie": f"sse_progress_token={token(sub=sub)}"}
    page = Caller(locked, {**cookie, **shown})
    check_problem(page.post_raw(GOOD, upload_id=upload_id), 403, "forbidden")
    check_problem(page.ask("DELETE", f"/upload/{upload_id}"), 403, "forbidden")
    check_problem(page.ask("GET", f"/upload/{upload_id}/progress"), 403, "forbidden")
    check_untouched(caller, upload_id)
    own = Caller(locked, {**cookie, "Origin": locked.url})
    assert own.post_raw(GOOD, upload_id=upload_id).status == 200


async def test_two_cookies_are_none(locked: Service) -> None:
    """A sister site can plant a second cookie: neither counts."""
    cookie = f"sse_progress_token={token()}; sse_progress_token={token()}"
    answer = Caller(locked, {"Cookie": cookie}).ask("GET", "/uploads")
    check_problem(answer, 401, "unauthenticated")


# ---- time


async def frames_to_the_end(url: str, headers: dict[str, str]) -> list[Frame]:
    """All frames of a stream that ends whole within a minute, far before its lifetime."""
    with anyio.fail_after(60):
        async with EventStream(url, headers=headers) as stream:
            assert stream.status == 200
            frames = [frame async for frame in stream]
            assert stream.clean_end
            assert stream.rest == b""
    return frames


async def test_a_stream_ends_with_its_token(locked: Service) -> None:
    """Open streams outlive no token; they end whole, and a reconnect is refused."""
    short = {"Authorization": f"Bearer {token(exp=int(time.time()) + 3)}"}
    path = f"/upload/{new_id()}/progress"
    frames = await frames_to_the_end(locked.url + path, short)
    assert frames[0].json["type"] == "connected"
    check_problem(Caller(locked, short).ask("GET", path), 401, "unauthenticated")


async def test_the_stream_of_all_ends_with_its_token(locked: Service) -> None:
    """The same of the stream of all uploads, its token in the query."""
    short = token(exp=int(time.time()) + 3)
    assert await frames_to_the_end(f"{locked.url}/uploads/progress?token={short}", {})


async def test_no_secret_reaches_the_log(locked: Service) -> None:
    """Tokens in the query, in headers and cookies, good and bad: no part of one is written."""
    good, bad = token(), token("another secret that is also long enough")
    upload_id = new_id()
    for text in (good, bad):
        Caller(locked, {"Authorization": f"Bearer {text}"}).ask("GET", f"/uploads?token={text}")
        Caller(locked, {"Cookie": f"sse_progress_token={text}"}).ask("GET", "/uploads")
        Caller(locked).ask("GET", f"/upload/{upload_id}/files/x?token={text}")
        Caller(locked).ask("GET", f"/upload/{upload_id}?a=b&TOKEN={text}#token={text}")
        Caller(locked).ask("HEAD", f"/upload/{upload_id}/progress?token={text}")
        Caller(locked).ask("GET", f"/{text}")
    for text in (good, bad):
        for piece in text.split("."):
            assert piece[:40] not in locked.log
    assert SECRET not in locked.log


async def test_no_secret_stands_in_a_process_title_or_a_stage(locked: Service) -> None:
    """The secret is in no command line, and no stage's child has it in its environment."""
    assert Caller.named(locked, "x").post_raw(GOOD, upload_id=new_id()).status == 200
    pids = locked.pids()
    everybody = [pid for role in pids.values() for pid in role]
    for pid in everybody:
        assert SECRET.encode() not in _proc(pid, "cmdline")
    assert pids["stage"]
    for pid in pids["stage"]:
        assert SECRET.encode() not in _proc(pid, "environ")


def _proc(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123  # not a path of ours
            return file.read()
    except OSError:
        return b""  # it has ended meanwhile


def test_no_process_was_started_with_a_secret(locked: Service) -> None:
    """What a process is started with can be read from its first instruction on. None of ours has
    a key there, nor the password of Redis, nor any setting."""
    pids = locked.pids()
    assert all(pids[role] for role in ("supervisor", "web", "worker", "redis", "stage")), pids
    password = (locked.data_dir / "redis" / "password").read_bytes()
    for role, each in pids.items():
        for pid in each:
            started_with = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"PATH=" in started_with or role == "redis"  # which writes its title there
            assert SECRET.encode() not in started_with, role
            assert password not in started_with, role
            settings = re.findall(rb"SSE_PROGRESS_(?!ENVIRONMENT_FD=)[A-Z_]*", started_with)
            assert not settings, role


def test_the_private_redis_asks_for_a_password(locked: Service) -> None:
    """Who reaches its socket without one is told nothing."""
    with redis.Redis(unix_socket_path=str(locked.data_dir / "redis" / "redis.sock")) as client:
        for command in ("PING", "KEYS *", "CONFIG GET requirepass", "SHUTDOWN"):
            with pytest.raises(redis.AuthenticationError):
                client.execute_command(*command.split())
