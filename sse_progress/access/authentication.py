"""How callers are told from one another: by tokens, or not at all."""

from __future__ import annotations

from typing import Protocol

from sse_progress.access.principal import ALL_SCOPES, NAMED_SCOPES, Principal
from sse_progress.settings import Settings

__all__ = ["Authenticator", "OpenMode", "bearer_token", "from_settings"]


class Authenticator(Protocol):
    """Says who a caller is, from up to three places where a token may stand."""

    async def authenticate(
        self,
        *,
        authorization: str | None = None,
        cookie_token: str | None = None,
        query_token: str | None = None,
    ) -> Principal:
        """The caller. A bearer header comes first, then the query, then the cookie.

        Raises Unauthenticated, or Unavailable while no keys can be had to check a token with.
        """

    async def run(self) -> None:
        """Upkeep until cancelled; returns at once where there is none."""


_ANYBODY = Principal("anonymous", ALL_SCOPES | NAMED_SCOPES)


class OpenMode:
    """No key is configured: everybody is `anonymous` and may do everything."""

    async def authenticate(
        self,
        *,
        authorization: str | None = None,  # noqa: ARG002
        cookie_token: str | None = None,  # noqa: ARG002
        query_token: str | None = None,  # noqa: ARG002
    ) -> Principal:
        return _ANYBODY

    async def run(self) -> None:
        return


def bearer_token(authorization: str | None) -> str | None:
    """The token of `Authorization: Bearer <token>`; None for no header or another scheme.

    Another scheme may belong to a proxy in front, so it is not an error.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def from_settings(settings: Settings) -> Authenticator:
    """The authenticator that the settings ask for; raises SettingsError for an unreadable key."""
    if settings.jwt_secret is None and not settings.jwt_public_key and not settings.jwks_url:
        return OpenMode()
    # PyJWT, cryptography and httpx take 0.2 s, which only who has keys should wait for.
    from sse_progress.access.tokens import tokens_from_settings

    return tokens_from_settings(settings)
