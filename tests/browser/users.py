"""People who use the service in tests, each with uploads of their own."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt
from playwright.sync_api import BrowserContext

SECRET = "a secret of the tests, long enough for HS256"


@dataclass(frozen=True)
class User:
    """A caller by name."""

    name: str

    def token(self, seconds: float = 600, *, scope: str | None = None) -> str:
        claims: dict[str, object] = {"sub": self.name, "exp": int(time.time() + seconds)}
        if scope is not None:
            claims["scope"] = scope
        return jwt.encode(claims, SECRET, algorithm="HS256")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}

    def sign_in(self, context: BrowserContext, url: str) -> None:
        """Give a browser profile the cookie that a product's login at `url` would set."""
        cookie = {"name": "sse_progress_token", "value": self.token(), "url": url}
        context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Lax"}])  # type: ignore[typeddict-item]
