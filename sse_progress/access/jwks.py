"""Where the keys come from that tokens are verified with: a setting, or a published key set.

It owns fetching, caching and rotation, and ties each key to one algorithm. What a token must say
is decided in tokens.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from sse_progress.model.errors import Unavailable
from sse_progress.runtime.concurrency import blocking

__all__ = ["Jwks", "Key", "Keys", "OneKey", "pin", "read_public_key"]

log = structlog.get_logger(__name__)

SET_LIMIT_BYTES = 256 * 1024
SET_LIMIT_KEYS = 100
RSA_LEAST_BITS = 2048

_FROM_JWK: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
"""Key types that are read (RFC 7517 §6.1). `oct` is not: a published secret is none."""

_FETCH_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    TimeoutError,
    ValueError,
    RecursionError,
)
_KEY_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    UnsupportedAlgorithm,
    PyJWTError,
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the only algorithm it may verify (RFC 8725 §3.1).

    The type of the key decides, never the token: this is what defeats key confusion and `none`.
    """

    algorithm: str
    material: Any = field(repr=False)


class Keys(Protocol):
    """Where a token's key is looked up."""

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of this id and algorithm, or None; `kid` None is a token that names no key.

        Raises Unavailable if no keys are known at all. Waits a few seconds at most.
        """

    async def run(self) -> None:
        """Keep the keys fresh until cancelled; returns at once where there is nothing to do."""


class OneKey:
    """The key of a setting. What a token calls it does not matter: there is no other."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, kid: str | None, algorithm: str) -> Key | None:  # noqa: ARG002
        return self._key if algorithm == self._key.algorithm else None

    async def run(self) -> None:
        return


def pin(public_key: object) -> Key:
    """Tie a public key to its algorithm: RSA to RS256, P-256 to ES256, Ed25519 to EdDSA.

    Raises ValueError with a sentence about any other key.
    """
    match public_key:
        case RSAPublicKey():
            if public_key.key_size < RSA_LEAST_BITS:
                raise ValueError(
                    f"is an RSA key of {public_key.key_size} bits, needs at least {RSA_LEAST_BITS}"
                )
            return Key("RS256", public_key)
        case EllipticCurvePublicKey():
            if public_key.curve.name != SECP256R1.name:
                raise ValueError(f"is on the curve {public_key.curve.name}, needs P-256")
            return Key("ES256", public_key)
        case Ed25519PublicKey():
            return Key("EdDSA", public_key)
    raise ValueError("is not an RSA, P-256 or Ed25519 public key")


def read_public_key(text_or_path: str) -> Key:
    """A key from PEM text (`\\n` written out is understood) or from a file with it.

    Raises ValueError with a sentence that fits after the setting's name.
    """
    pem = text_or_path.strip().replace("\\n", "\n")
    if not pem.startswith("-----BEGIN"):
        try:
            pem = Path(text_or_path).read_text("ascii")
        except (OSError, ValueError):
            raise ValueError("is neither PEM text nor a readable file with it") from None
    if "PRIVATE KEY" in pem:
        raise ValueError("is a private key; it stays with the issuer, give its public key")
    try:
        public_key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key in PEM form") from None
    return pin(public_key)


class Jwks:
    """Keys that an identity provider publishes (RFC 7517), fetched over HTTP and kept.

    `fresh_s`: how often `run` refreshes them. `pause_s`: tokens with unknown key ids cause one
    fetch in this many seconds at most. `stale_s`: how long old keys serve while the provider cannot
    be reached; after that they are forgotten and `find` raises Unavailable. `timeout_s`: deadline
    of one whole fetch. Many who wait for a fetch wait for the same one; a known key never waits.
    """

    def __init__(
        self,
        url: str,
        *,
        fresh_s: float = 300,
        pause_s: float = 10,
        stale_s: float = 4 * 3600,
        timeout_s: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fresh_s = fresh_s
        self._pause_s = pause_s
        self._stale_s = stale_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._keys: dict[tuple[str | None, str], Key] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> Key | None:
        key = self._known(kid, algorithm)
        # The second condition holds where run() is not called, or the provider is away.
        if key is None or self._age_s() > 2 * self._fresh_s:
            await self._refresh(self._pause_s)
            key = self._known(kid, algorithm)
        if not self._keys:
            raise Unavailable("Tokens cannot be checked right now.", retry_after_s=5)
        return key

    async def run(self) -> None:
        while True:
            await self._refresh(0)
            fresh = self._age_s() < self._fresh_s
            await asyncio.sleep(self._fresh_s if fresh else self._pause_s / 2)

    def _age_s(self) -> float:
        return self._clock() - self._fetched_at

    def _known(self, kid: str | None, algorithm: str) -> Key | None:
        if self._age_s() > self._stale_s:
            self._keys = {}
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, known), key in self._keys.items() if known == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, pause_s: float) -> None:
        async with self._fetching:
            if self._clock() - self._tried_at < pause_s:
                return  # another task has just done it
            self._tried_at = self._clock()
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._keys = _read_set(await self._download())
            except _FETCH_ERRORS as exc:
                log.warning("token keys not fetched", url=self._url, reason=str(exc) or repr(exc))
            else:
                self._fetched_at = self._clock()

    async def _download(self) -> bytes:
        # Making a client reads the certificate store: tens of milliseconds, off the loop.
        client = await blocking(httpx.AsyncClient, timeout=self._timeout_s)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with client, client.stream("GET", self._url, headers=headers) as response:
            response.raise_for_status()  # a redirect is an error too: the setting names the place
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > SET_LIMIT_BYTES:
                    raise ValueError(f"key set is over {SET_LIMIT_BYTES} bytes")
            return bytes(body)


def _read_set(raw: bytes) -> dict[tuple[str | None, str], Key]:
    """Keys by (id, algorithm). What cannot verify a signature here is left out (RFC 7517 §5)."""
    document = json.loads(raw)
    published = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(published, list):
        raise ValueError("not a key set")  # noqa: TRY004  # wrong data, not a wrong call
    keys: dict[tuple[str | None, str], Key] = {}
    for jwk in published[:SET_LIMIT_KEYS]:
        try:
            key = _read_jwk(jwk)
        except _KEY_ERRORS as exc:
            log.debug("published key left out", reason=str(exc))
        else:
            keys.setdefault((jwk.get("kid"), key.algorithm), key)
    if not keys:
        raise ValueError(f"none of {len(published)} published keys can verify a token")
    return keys


def _read_jwk(jwk: dict[str, Any]) -> Key:
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("is not for signatures")
    if not isinstance(jwk.get("kid"), str | None):
        raise TypeError("has an id that is not text")
    if (read := _FROM_JWK.get(jwk["kty"])) is None:
        raise ValueError("is of another type")
    key = pin(read(jwk))
    if jwk.get("alg", key.algorithm) != key.algorithm:
        raise ValueError(f"is for {jwk['alg']}, not {key.algorithm}")
    return key
