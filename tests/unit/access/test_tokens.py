"""Tokens: what makes a caller, and a table of attacks that do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sse_progress.access.authentication import Authenticator, OpenMode, from_settings
from sse_progress.access.jwks import Jwks, Key, OneKey, pin
from sse_progress.access.principal import ALL_SCOPES, NAMED_SCOPES, READ, WRITE, Principal
from sse_progress.access.tokens import Tokens
from sse_progress.model.errors import Forbidden, Unauthenticated, Unavailable
from sse_progress.settings import Settings, SettingsError, load_settings
from tests.helpers.waiting import eventually

# Some attackers sign with keys that are too short.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")

SECRET = "an honest secret of more than 32 bytes"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def pem(private_key: Any) -> str:
    raw: bytes = private_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return raw.decode()


def claims(**changes: Any) -> dict[str, Any]:
    made = {"sub": "alice", "exp": int(time.time()) + 600, **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: Any, payload: Any, secret: bytes = SECRET.encode()) -> str:
    """A token signed with HMAC-SHA256 whatever its header says; bytes are taken as they are."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload)]
    text = ".".join(b64(part) for part in parts)
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def settings(**changes: Any) -> Settings:
    return load_settings(**changes)


def with_secret(**changes: Any) -> Authenticator:
    return from_settings(settings(jwt_secret=SECRET, **changes))


async def bearer(who: Authenticator, token: str) -> Principal:
    return await who.authenticate(authorization=f"Bearer {token}")


# ---- who is let in


@pytest.mark.parametrize(
    ("changes", "key", "algorithm"),
    [
        ({"jwt_secret": SECRET}, SECRET, "HS256"),
        ({"jwt_public_key": pem(RSA_KEY)}, RSA_KEY, "RS256"),
        ({"jwt_public_key": pem(EC_KEY)}, EC_KEY, "ES256"),
        ({"jwt_public_key": pem(ED_KEY)}, ED_KEY, "EdDSA"),
        ({"jwt_public_key": pem(EC_KEY).replace("\n", "\\n")}, EC_KEY, "ES256"),
    ],
    ids=["HS256", "RS256", "ES256", "EdDSA", "PEM on one line"],
)
async def test_a_good_token_names_its_caller(
    changes: dict[str, str], key: Any, algorithm: str
) -> None:
    """Each kind of key lets its own signatures in, until `exp` and the leeway are over."""
    expires = int(time.time()) + 600
    who = from_settings(settings(jwt_leeway_s=7, **changes))
    principal = await bearer(who, signed(key, algorithm, exp=expires, kid="whatever"))
    assert principal == Principal("alice", frozenset({READ, WRITE}), expires + 7)


async def test_a_key_may_be_a_file(tmp_path: Path) -> None:
    """The public key's setting takes a path as well as the text itself."""
    path = tmp_path / "key.pem"
    path.write_text(pem(EC_KEY))
    who = from_settings(settings(jwt_public_key=str(path)))
    assert (await bearer(who, signed(EC_KEY, "ES256"))).sub == "alice"


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (None, {READ, WRITE}),
        ("upload:read", {READ}),
        ("openid upload:write profile", {WRITE}),
        ("upload:read upload:write", {READ, WRITE}),
        ("", set()),
        ("upload:reader", set()),
        ("upload:read,upload:write", set()),
    ],
)
async def test_scopes_are_words(scope: str | None, allowed: set[str]) -> None:
    """`scope` is words with spaces between; without the claim a token allows both."""
    principal = await bearer(with_secret(), signed(scope=scope))
    assert principal.scopes == allowed
    for one in (READ, WRITE):
        if one in allowed:
            principal.require(one)
        else:
            with pytest.raises(Forbidden, match=f"lacks the scope {one}"):
                principal.require(one)


async def test_places_of_a_token_have_an_order() -> None:
    """A bearer header comes before the query, the query before the cookie; `Basic` is no token."""
    who = with_secret()
    tokens = {name: signed(sub=name) for name in ("header", "query", "cookie")}
    everywhere = {"query_token": tokens["query"], "cookie_token": tokens["cookie"]}
    header = await who.authenticate(authorization=f"bEARER  {tokens['header']} ", **everywhere)
    assert header.sub == "header"
    assert (await who.authenticate(authorization="Basic Zm9vOmJhcg==", **everywhere)).sub == "query"
    assert (await who.authenticate(cookie_token=tokens["cookie"])).sub == "cookie"
    with pytest.raises(Unauthenticated):
        await who.authenticate(authorization="Bearer", **everywhere)


async def test_audience_and_issuer_are_checked_once_given() -> None:
    """With both configured, a token must have both; one of several audiences is enough."""
    who = with_secret(jwt_audience="uploads", jwt_issuer="https://id.example")
    good = {"aud": ["billing", "uploads"], "iss": "https://id.example"}
    assert (await bearer(who, signed(**good))).sub == "alice"
    for wrong in (
        {"aud": "billing"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
    ):
        with pytest.raises(Unauthenticated):
            await bearer(who, signed(**{**good, **wrong}))


async def test_leeway_covers_clocks_that_differ() -> None:
    """A token a little past `exp`, or a little before `nbf`, passes within the leeway alone."""
    now = int(time.time())
    for late, early in ((now - 5, None), (None, now + 5)):
        token = signed(exp=late or now + 600, nbf=early)
        assert (await bearer(with_secret(jwt_leeway_s=60), token)).sub == "alice"
        with pytest.raises(Unauthenticated):
            await bearer(with_secret(jwt_leeway_s=0), token)


async def test_open_mode_knows_nobody() -> None:
    """Without a key everybody is `anonymous` and may do all, whatever they send, for ever."""
    who = from_settings(settings())
    assert isinstance(who, OpenMode)
    assert await bearer(who, "nonsense") == Principal("anonymous", ALL_SCOPES | NAMED_SCOPES, None)
    await who.run()


# ---- who is not

ATTACKS: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "not a token": lambda: "alice",
    "two parts": lambda: ".".join(signed().split(".")[:2]),
    "five parts, as if encrypted": lambda: signed() + ".AA.AA",
    "alg none": lambda: forged({"alg": "none"}, claims()).rpartition(".")[0] + ".",
    "alg None in capitals": lambda: forged({"alg": "NONE"}, claims()),
    "alg none, signed": lambda: forged({"alg": "none"}, claims()),
    "no alg": lambda: forged({"typ": "JWT"}, claims()),
    "alg a list": lambda: forged({"alg": ["HS256"]}, claims()),
    "alg null": lambda: forged({"alg": None}, claims()),
    "alg HS512 with the right secret": lambda: signed(algorithm="HS512"),
    "signature of another secret": lambda: signed("another secret of more than 32 bytes"),
    "signature cut off": lambda: signed().rpartition(".")[0] + ".",
    "signature changed": lambda: signed()[:-4] + "AAAA",
    "claims changed": lambda: _swap_claims(sub="mallory"),
    "header not JSON": lambda: forged(b"{", claims()),
    "header a list": lambda: forged([], claims()),
    "header of deep nesting": lambda: forged(b"[" * 2000, claims()),
    "claims not JSON": lambda: forged({"alg": "HS256"}, b"alice"),
    "claims a list": lambda: forged({"alg": "HS256"}, ["alice"]),
    "claims of invalid UTF-8": lambda: forged({"alg": "HS256"}, b'{"sub":"\xff"}'),
    "b64 false": lambda: forged({"alg": "HS256", "b64": False, "crit": ["b64"]}, claims()),
    "b64 true, critical": lambda: forged({"alg": "HS256", "b64": True, "crit": ["b64"]}, claims()),
    "unknown critical header": lambda: forged({"alg": "HS256", "crit": ["x"], "x": 1}, claims()),
    "empty crit": lambda: forged({"alg": "HS256", "crit": []}, claims()),
    "typ of a logout token": lambda: forged({"alg": "HS256", "typ": "logout+jwt"}, claims()),
    "typ of a DPoP proof": lambda: forged({"alg": "HS256", "typ": "dpop+jwt"}, claims()),
    "kid a number": lambda: forged({"alg": "HS256", "kid": 1}, claims()),
    "kid a path, empty secret": lambda: forged(
        {"alg": "HS256", "kid": "../../dev/null"}, claims(), b""
    ),
    "kid of SQL, its secret": lambda: forged(
        {"alg": "HS256", "kid": "' UNION SELECT 'k'--"}, claims(), b"k"
    ),
    "own key in the header": lambda: jwt.encode(
        claims(),
        OTHER_RSA_KEY,
        "RS256",
        headers={"jwk": RSAAlgorithm.to_jwk(OTHER_RSA_KEY.public_key(), as_dict=True)},
    ),
    "own key's address in the header": lambda: jwt.encode(
        claims(), OTHER_RSA_KEY, "RS256", headers={"jku": "http://127.0.0.1:9/keys"}
    ),
    "expired": lambda: signed(exp=int(time.time()) - 60),
    "expired in 1970": lambda: signed(exp=1),
    "not yet valid": lambda: signed(nbf=int(time.time()) + 600),
    "issued in the future": lambda: signed(iat=int(time.time()) + 600),
    "no exp": lambda: signed(exp=None),
    "exp text": lambda: signed(exp=str(int(time.time()) + 600)),
    "exp true": lambda: forged({"alg": "HS256"}, claims(exp=True)),
    "exp null": lambda: forged({"alg": "HS256"}, {"sub": "alice", "exp": None}),
    "exp infinite": lambda: forged({"alg": "HS256"}, b'{"sub":"alice","exp":Infinity}'),
    "exp not a number": lambda: forged({"alg": "HS256"}, b'{"sub":"alice","exp":NaN}'),
    "exp of 400 digits": lambda: forged({"alg": "HS256"}, claims(exp=10**400)),
    "no sub": lambda: signed(sub=None),
    "sub empty": lambda: signed(sub=""),
    "sub a number": lambda: forged({"alg": "HS256"}, claims(sub=1)),
    "sub a list": lambda: forged({"alg": "HS256"}, claims(sub=["alice"])),
    "sub of 256 characters": lambda: signed(sub="a" * 256),
    "sub with a line end": lambda: signed(sub="alice\nadmin"),
    "sub with a NUL": lambda: signed(sub="alice\0"),
    "sub with a line separator": lambda: signed(sub="alice\u2028"),
    "sub with a direction mark": lambda: signed(sub="alice\u202e"),
    "sub a lone surrogate": lambda: forged(
        {"alg": "HS256"},
        b'{"sub":"\\ud800","exp":%d}' % (time.time() + 600),
    ),
    "scope a list": lambda: signed(scope=["upload:read"]),
    "scope a number": lambda: signed(scope=1),
    "audience of another service": lambda: signed(aud="billing"),
    "audiences of other services": lambda: signed(aud=["billing", "mail"]),
    "too long": lambda: signed(padding="x" * 9000),
    "not ASCII": lambda: signed() + "é",
    "line end inside": lambda: signed().replace(".", "\n.", 1),
    "padded base64": lambda: signed() + "==",
}


def _swap_claims(**changes: Any) -> str:
    head, _, signature = signed().split(".")
    return f"{head}.{b64(json.dumps(claims(**changes)).encode())}.{signature}"


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_no_attack_makes_a_caller(attack: Callable[[], str]) -> None:
    """Each row is refused as unauthenticated, with a plain sentence that names no internals."""
    with pytest.raises(Unauthenticated) as caught:
        await bearer(with_secret(), attack())
    assert caught.value.detail in ("The token is not valid.", "The token has expired.")


async def test_the_table_is_of_tokens_that_would_else_pass() -> None:
    """What the rows are made with passes as it is, so each row fails for its own reason."""
    for token in (
        signed(),
        forged({"alg": "HS256"}, claims()),
        forged({"alg": "HS256", "typ": "at+jwt", "kid": "k"}, claims()),
        signed(sub="a" * 255, iat=int(time.time()), nbf=int(time.time()), iss="anybody"),
        signed(padding="x" * 4000),
    ):
        await bearer(with_secret(), token)


async def test_an_expired_token_says_so() -> None:
    """A client can tell a token to renew from one that is no good."""
    with pytest.raises(Unauthenticated, match="The token has expired"):
        await bearer(with_secret(), ATTACKS["expired"]())
    with pytest.raises(Unauthenticated, match="A valid token is needed"):
        await with_secret().authenticate()


@pytest.mark.parametrize("kind", ["RSA", "EC", "Ed25519"])
async def test_a_public_key_is_no_secret(kind: str) -> None:
    """Key confusion: HMAC with the public key's bytes, in any form, lets nobody in."""
    private_key = {"RSA": RSA_KEY, "EC": EC_KEY, "Ed25519": ED_KEY}[kind]
    who = from_settings(settings(jwt_public_key=pem(private_key)))
    public_key = private_key.public_key()
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem(private_key).encode(), pem(private_key).strip().encode(), der):
        for alg in ("HS256", "HS384", "RS256", "ES256", "EdDSA"):
            with pytest.raises(Unauthenticated):
                await bearer(who, forged({"alg": alg}, claims(), secret))


async def test_a_key_verifies_one_algorithm() -> None:
    """A signature by the right key with another algorithm of its family is refused."""
    who = from_settings(settings(jwt_public_key=pem(RSA_KEY)))
    assert (await bearer(who, signed(RSA_KEY, "RS256"))).sub == "alice"
    for algorithm in ("RS384", "RS512", "PS256"):
        with pytest.raises(Unauthenticated):
            await bearer(who, signed(RSA_KEY, algorithm))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
HEADER_NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "zip", "enc"])


@hypothesis(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    header=st.dictionaries(HEADER_NAMES, JSON | st.just("HS256"), max_size=5),
    payload=st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "jti", "scope"]), JSON
    ),
)
def test_whatever_a_token_says_it_is_a_caller_or_unauthenticated(
    header: dict[str, Any], payload: dict[str, Any]
) -> None:
    """Well-signed tokens of any content never cause another error, and never an odd caller."""

    async def attempt() -> None:
        try:
            principal = await bearer(with_secret(), forged(header, payload))
        except Unauthenticated:
            return
        assert principal.sub
        assert principal.sub.isprintable()
        assert principal.expires_at is not None
        assert principal.expires_at > time.time()

    anyio.run(attempt)


@hypothesis(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"[\w.-]{0,300}", fullmatch=True))
def test_whatever_is_sent_as_a_token_is_refused(text: str) -> None:
    """Noise is never a caller and never an error of ours."""

    async def attempt() -> None:
        with pytest.raises(Unauthenticated):
            await with_secret().authenticate(cookie_token=text)

    anyio.run(attempt)


# ---- settings


def private_pem(key: Any) -> str:
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw.decode()


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("/nowhere/key.pem", "neither PEM text nor a readable file"),
        ("nonsense", "neither PEM text nor a readable file"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not a public key"),
        (private_pem(RSA_KEY), "is a private key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "secp384r1, needs P-256"),
        (pem(ed448.Ed448PrivateKey.generate()), "not an RSA, P-256 or Ed25519"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits, needs at least 2048"),
    ],
    ids=["no file", "no key", "broken", "private", "P-384", "Ed448", "short"],
)
def test_an_unfit_key_is_named_at_start(key: str, says: str) -> None:
    """The message names the setting and what is wrong, and quotes nothing of the key."""
    with pytest.raises(SettingsError, match=says) as caught:
        from_settings(settings(jwt_public_key=key))
    assert str(caught.value).startswith("SSE_PROGRESS_JWT_PUBLIC_KEY: ")
    assert len(str(caught.value)) < 150


def test_a_key_file_as_secret_is_refused_at_start() -> None:
    """A public key as HMAC secret would let everybody sign."""
    with pytest.raises(SettingsError, match="SSE_PROGRESS_JWT_SECRET"):
        from_settings(settings(jwt_secret=pem(RSA_KEY)))


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "http://idp.example/keys", "http://10.0.0.1/keys", "https:///keys"),
        *("http://127.0.0.1.example/keys", "http://localhost@idp.example/keys", "keys"),
    ],
)
def test_keys_come_over_tls(url: str) -> None:
    """Not from a file, and not over a wire on which somebody could exchange them."""
    with pytest.raises(SettingsError, match="SSE_PROGRESS_JWKS_URL"):
        from_settings(settings(jwks_url=url))


@pytest.mark.parametrize("url", ["https://idp.example/keys", "http://127.0.0.1:80/keys"])
def test_keys_may_come_from_this_machine(url: str) -> None:
    """As where a provider runs beside the service."""
    assert isinstance(from_settings(settings(jwks_url=url)), Tokens)


# ---- published keys


class Provider:
    """A real HTTP server that publishes keys, counts who asks, and can fail in several ways."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.asked = 0
        self.status = 200
        self.raw: bytes | None = None
        self.piece = 1 << 20
        self.pause_s = 0.0
        self.between_pieces = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider.gate.wait(60)
                body = provider.raw or json.dumps({"keys": provider.keys}).encode()
                self.send_response(provider.status)
                if provider.status == 302:
                    self.send_header("Location", f"{provider.url}/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    for n in range(0, len(body), provider.piece):
                        self.wfile.write(body[n : n + provider.piece])
                        provider.between_pieces.wait(provider.pause_s)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.gate.set()
        self.between_pieces.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    to_jwk: Any = {
        rsa.RSAPrivateKey: RSAAlgorithm.to_jwk,
        ec.EllipticCurvePrivateKey: ECAlgorithm.to_jwk,
        ed25519.Ed25519PrivateKey: OKPAlgorithm.to_jwk,
    }
    make = next(make for kind, make in to_jwk.items() if isinstance(key, kind))
    made = {**make(key.public_key(), as_dict=True), **members}
    return {name: value for name, value in made.items() if name != "key_ops" or name in members}


def by_kid(key: Any, kid: str | None, algorithm: str = "RS256", **changes: Any) -> str:
    return signed(key, algorithm, headers={"kid": kid} if kid else None, **changes)


async def test_published_keys_let_their_tokens_in(provider: Provider) -> None:
    """Several keys and kinds at once; keys are fetched once, not once per token."""
    provider.keys = [jwk(RSA_KEY, kid="r"), jwk(EC_KEY, kid="e"), jwk(ED_KEY, kid="d", use="sig")]
    who = Tokens(Jwks(provider.url))
    for key, kid, algorithm in (
        (RSA_KEY, "r", "RS256"),
        (EC_KEY, "e", "ES256"),
        (ED_KEY, "d", "EdDSA"),
        (EC_KEY, None, "ES256"),
    ):
        assert (await bearer(who, by_kid(key, kid, algorithm))).sub == "alice"
    assert provider.asked == 1


async def test_a_rotated_key_is_fetched_when_first_seen(provider: Provider) -> None:
    """A token by a new key works at once, and the key it replaced stops working."""
    clock = Clock()
    provider.keys = [jwk(RSA_KEY, kid="old")]
    who = Tokens(Jwks(provider.url, clock=clock))
    await bearer(who, by_kid(RSA_KEY, "old"))
    provider.keys = [jwk(OTHER_RSA_KEY, kid="new")]
    clock.now += 11
    assert (await bearer(who, by_kid(OTHER_RSA_KEY, "new"))).sub == "alice"
    with pytest.raises(Unauthenticated):
        await bearer(who, by_kid(RSA_KEY, "old"))


async def test_unknown_key_ids_do_not_hammer_the_provider(provider: Provider) -> None:
    """Any number of made-up key ids cause one fetch per pause; absurd algorithms cause none."""
    clock = Clock()
    provider.keys = [jwk(RSA_KEY, kid="r")]
    who = Tokens(Jwks(provider.url, pause_s=10, clock=clock))
    for n in range(20):
        with pytest.raises(Unauthenticated):
            await bearer(who, by_kid(OTHER_RSA_KEY, f"made up {n}"))
    assert provider.asked == 1
    clock.now += 11
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await bearer(who, forged({"alg": "none", "kid": "x"}, claims()))
    assert provider.asked == 1
    with pytest.raises(Unauthenticated):
        await bearer(who, by_kid(OTHER_RSA_KEY, "made up"))
    assert provider.asked == 2


async def test_many_waiters_share_one_fetch(provider: Provider) -> None:
    """The first tokens of a new process come together: one request goes out, and all are served;
    meanwhile the loop turns."""
    provider.keys = [jwk(RSA_KEY, kid="r")]
    provider.gate.clear()
    who = Tokens(Jwks(provider.url))
    callers: list[Principal] = []

    async def call() -> None:
        callers.append(await bearer(who, by_kid(RSA_KEY, "r")))

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(call)
        await eventually(lambda: provider.asked, "the provider is asked")
        assert callers == []
        provider.gate.set()
    assert len(callers) == 30
    assert provider.asked == 1


async def test_known_keys_never_wait(provider: Provider) -> None:
    """While a fetch for an unknown key hangs, tokens by known keys are let in."""
    clock = Clock()
    provider.keys = [jwk(RSA_KEY, kid="r")]
    who = Tokens(Jwks(provider.url, clock=clock))
    await bearer(who, by_kid(RSA_KEY, "r"))
    clock.now += 11
    provider.gate.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(refused, who, by_kid(OTHER_RSA_KEY, "unknown"))
        await eventually(lambda: provider.asked == 2, "the second fetch began")
        assert (await bearer(who, by_kid(RSA_KEY, "r"))).sub == "alice"
        provider.gate.set()


async def refused(who: Authenticator, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await bearer(who, token)


async def test_old_keys_serve_while_the_provider_is_down_up_to_a_limit(provider: Provider) -> None:
    """An outage of the provider is no outage of ours, until its keys are too old to be trusted."""
    clock = Clock()
    provider.keys = [jwk(RSA_KEY, kid="r")]
    who = Tokens(Jwks(provider.url, fresh_s=300, stale_s=3600, clock=clock))
    await bearer(who, by_kid(RSA_KEY, "r"))
    provider.status = 500
    clock.now += 3000
    assert (await bearer(who, by_kid(RSA_KEY, "r"))).sub == "alice"
    assert provider.asked == 2
    clock.now += 601
    with pytest.raises(Unavailable) as caught:
        await bearer(who, by_kid(RSA_KEY, "r"))
    assert caught.value.retry_after_s == 5
    provider.status = 200
    clock.now += 11
    assert (await bearer(who, by_kid(RSA_KEY, "r"))).sub == "alice"


@pytest.mark.parametrize(
    "failure",
    ["down", "status", "redirect", "not json", "not a set", "huge", "slow", "dripping", "no keys"],
)
async def test_without_keys_nobody_is_judged(provider: Provider, failure: str) -> None:
    """However the first fetch fails, a token is neither good nor bad: 503, not 401."""
    provider.keys = [jwk(RSA_KEY, kid="r")]
    url = provider.url
    match failure:
        case "down":
            url = "http://127.0.0.1:9/"
        case "status":
            provider.status = 500
        case "redirect":
            provider.status = 302
        case "not json":
            provider.raw = b"<html>"
        case "not a set":
            provider.raw = b'["keys"]'
        case "huge":
            provider.raw = b" " * 300_000 + json.dumps({"keys": provider.keys}).encode()
        case "slow":
            provider.gate.clear()
        case "dripping":
            provider.piece, provider.pause_s = 4, 0.05
        case "no keys":
            provider.keys = []
    who = Tokens(Jwks(url, timeout_s=0.2 if failure in ("slow", "dripping") else 5))
    with pytest.raises(Unavailable):
        await bearer(who, by_kid(RSA_KEY, "r"))


async def test_published_keys_that_cannot_verify_are_left_out(provider: Provider) -> None:
    """A published secret, a private key, a short key, one for encryption, one for another
    algorithm, and rubbish beside a good key: the good one alone works."""
    secret = os.urandom(32)
    short = rsa.generate_private_key(65537, 1024)
    private = RSAAlgorithm.to_jwk(OTHER_RSA_KEY, as_dict=True)
    del private["key_ops"]
    provider.keys = [
        {"kty": "oct", "kid": "secret", "k": b64(secret), "alg": "HS256"},
        {**private, "kid": "private"},
        jwk(short, kid="short"),
        jwk(OTHER_RSA_KEY, kid="enc", use="enc"),
        jwk(OTHER_RSA_KEY, kid="ops", key_ops=["encrypt"]),
        jwk(OTHER_RSA_KEY, kid="ps", alg="PS256"),
        jwk(OTHER_RSA_KEY, kid=7),
        "rubbish",
        {"kty": ["RSA"]},
        {"kty": "RSA", "kid": "half", "n": "AQAB"},
        {"kty": "EC", "crv": "P-256", "kid": "off", "x": b64(b"1" * 32), "y": b64(b"2" * 32)},
        jwk(RSA_KEY, kid="good", alg="RS256", use="sig", key_ops=["verify"]),
    ]
    who = Tokens(Jwks(provider.url))
    assert (await bearer(who, by_kid(RSA_KEY, "good"))).sub == "alice"
    bad = [by_kid(OTHER_RSA_KEY, kid) for kid in ("private", "enc", "ops", "ps")]
    bad.append(by_kid(short, "short"))
    bad.append(forged({"alg": "HS256", "kid": "secret"}, claims(), secret))
    for token in bad:
        await refused(who, token)


async def test_a_key_id_belongs_to_one_algorithm(provider: Provider) -> None:
    """Two keys may share an id if their kinds differ; each verifies its own algorithm."""
    provider.keys = [jwk(RSA_KEY, kid="k"), jwk(EC_KEY, kid="k")]
    who = Tokens(Jwks(provider.url))
    assert (await bearer(who, by_kid(RSA_KEY, "k"))).sub == "alice"
    assert (await bearer(who, by_kid(EC_KEY, "k", "ES256"))).sub == "alice"
    await refused(who, by_kid(OTHER_RSA_KEY, "k"))


async def test_a_token_without_key_id_needs_one_fitting_key(provider: Provider) -> None:
    """With two keys of a kind, a token that names none is refused, not tried on each."""
    provider.keys = [jwk(RSA_KEY, kid="a"), jwk(OTHER_RSA_KEY, kid="b")]
    await refused(Tokens(Jwks(provider.url)), by_kid(RSA_KEY, None))


async def test_upkeep_fetches_before_anybody_asks(provider: Provider) -> None:
    """`run` has the keys ready for the first token, and fetches again when they grow old."""
    provider.keys = [jwk(RSA_KEY, kid="r")]
    who = Tokens(Jwks(provider.url, fresh_s=0.05))
    async with anyio.create_task_group() as group:
        group.start_soon(who.run)
        await eventually(lambda: provider.asked >= 3, "three fetches")
        group.cancel_scope.cancel()
    provider.gate.clear()
    assert (await bearer(who, by_kid(RSA_KEY, "r"))).sub == "alice"


async def test_upkeep_outlives_the_providers_outage(provider: Provider) -> None:
    """A failed fetch is tried again soon, and keys appear when the provider is back."""
    provider.keys = [jwk(RSA_KEY, kid="r")]
    provider.status = 500
    who = Tokens(Jwks(provider.url, pause_s=0.02))
    async with anyio.create_task_group() as group:
        group.start_soon(who.run)
        await eventually(lambda: provider.asked >= 3, "three attempts")
        provider.status = 200
        asked = provider.asked
        await eventually(lambda: provider.asked > asked, "one more attempt")
        assert (await bearer(who, by_kid(RSA_KEY, "r"))).sub == "alice"
        group.cancel_scope.cancel()


def test_a_key_does_not_show_itself() -> None:
    """A secret does not appear in the representation of what holds it."""
    assert SECRET not in repr(Key("HS256", SECRET.encode()))
    assert SECRET not in repr(OneKey(Key("HS256", SECRET.encode())))
    assert pin(EC_KEY.public_key()).algorithm == "ES256"
