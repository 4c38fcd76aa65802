"""Who is calling: a token becomes a Principal, or the request is refused.

It owns what a token must say (RFC 7519, RFC 8725) and where it may stand (RFC 6750). Keys are in
jwks.py; cookies, origins and HTTP answers belong to the top floor.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from sse_progress.access.authentication import bearer_token
from sse_progress.access.jwks import Jwks, Key, Keys, OneKey, read_public_key
from sse_progress.access.principal import (
    ALL_SCOPES,
    NAMED_SCOPES,
    InvalidToken,
    Principal,
    subject,
)
from sse_progress.model.errors import Unauthenticated
from sse_progress.settings import Settings, SettingsError

__all__ = ["Tokens", "tokens_from_settings"]

log = structlog.get_logger(__name__)

TOKEN_LIMIT = 8192
ALGORITHMS = frozenset({"HS256", "RS256", "ES256", "EdDSA"})
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Values of `typ` that an access token may have (RFC 8725 §3.11, RFC 9068 §2.1), or none."""

_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class Tokens:
    """Signed JWTs. Every one must have `exp` and `sub`; `nbf` and `iat` are checked where present.

    `audience` and `issuer`, once given, must be in the token. A token that has an audience while
    none is given is refused: it was issued for another service (RFC 7519 §4.1.3).
    `leeway_s` is the clock difference tolerated in the times.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        audience: str | None = None,
        issuer: str | None = None,
        leeway_s: float = 0,
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._leeway_s = leeway_s

    async def authenticate(
        self,
        *,
        authorization: str | None = None,
        cookie_token: str | None = None,
        query_token: str | None = None,
    ) -> Principal:
        token = bearer_token(authorization)
        if token is None:
            token = query_token if query_token is not None else cookie_token
        if token is None:
            raise Unauthenticated
        try:
            kid, algorithm = _header(token)
            return self._principal(token, await self._keys.find(kid, algorithm))
        except ExpiredSignatureError:
            raise InvalidToken("The token has expired.") from None
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as exc:
            log.debug("token refused", reason=f"{type(exc).__name__}: {exc}")
            raise InvalidToken from None

    async def run(self) -> None:
        await self._keys.run()

    def _principal(self, token: str, key: Key | None) -> Principal:
        if key is None:
            raise ValueError("no key of this id and algorithm")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway_s,
            options={"require": ["exp", "sub"], "enforce_minimum_key_length": True},
        )
        return Principal(
            subject(claims["sub"]),
            _scopes(claims),
            _seconds(claims["exp"]) + self._leeway_s,
            _names(claims, "kinds"),
            owners=_names(claims, "owners"),
        )


def tokens_from_settings(settings: Settings) -> Tokens:
    """Those that the keys in the settings sign; raises SettingsError for an unreadable key."""
    keys: Keys
    if settings.jwt_secret is not None:
        keys = OneKey(Key("HS256", settings.jwt_secret.get_secret_value().encode()))
        _check_secret(settings.jwt_secret.get_secret_value())
    elif settings.jwt_public_key:
        try:
            keys = OneKey(read_public_key(settings.jwt_public_key))
        except ValueError as exc:
            raise SettingsError(f"SSE_PROGRESS_JWT_PUBLIC_KEY: {exc}") from None
    else:
        assert settings.jwks_url
        _check_key_set(settings.jwks_url)
        keys = Jwks(settings.jwks_url)
    return Tokens(
        keys,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        leeway_s=settings.jwt_leeway_s,
    )


def _check_key_set(url: str) -> None:
    """Whoever can change what comes from there can sign for everybody."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return
    raise SettingsError(
        "SSE_PROGRESS_JWKS_URL: must begin with https:// (http:// only to this machine)"
    )


def _check_secret(secret: str) -> None:
    # A public key as a "secret" would let everybody who has it sign; PyJWT refuses such a key
    # with each token, which is too late to tell the operator.
    if "-----BEGIN" in secret or secret.startswith(("ssh-", "ecdsa-")):
        raise SettingsError(
            "SSE_PROGRESS_JWT_SECRET: is a key file; a public key goes to "
            "SSE_PROGRESS_JWT_PUBLIC_KEY"
        )


def _header(token: str) -> tuple[str | None, str]:
    """Key id and algorithm that an unverified token names; raises on anything unusual."""
    if len(token) > TOKEN_LIMIT:
        raise ValueError(f"token is {len(token)} characters, limit {TOKEN_LIMIT}")
    if _COMPACT.fullmatch(token) is None:
        raise ValueError("not three base64url parts")
    header = jwt.get_unverified_header(token)
    # No extension is understood here, so none may be critical (RFC 7515 §4.1.11, RFC 7797).
    if "crit" in header or "b64" in header:
        raise ValueError("critical header parameters")
    if str(header.get("typ", "JWT")).lower() not in TYPES:
        raise ValueError("not an access token")
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise ValueError("algorithm is not accepted")
    return header.get("kid"), str(algorithm)


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """Of `scope` (RFC 8693 §4.2: words with spaces between) what is known here; absent is all."""
    if "scope" not in claims:
        return ALL_SCOPES
    scope = claims["scope"]
    if not isinstance(scope, str):
        raise TypeError("scope must be text")
    return (ALL_SCOPES | NAMED_SCOPES) & frozenset(scope.split(" "))


def _names(claims: dict[str, Any], claim: str) -> frozenset[str] | None:
    """A claim that lists names; None if the token has none."""
    if claim not in claims:
        return None
    names = claims[claim]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{claim} must be a list of names")
    return frozenset(names)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("exp must be a number")
    return float(value)
