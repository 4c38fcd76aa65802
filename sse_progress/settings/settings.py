"""The settings as the service uses them: what follows from several of them."""

from __future__ import annotations

from sse_progress.settings.declared import Declared

__all__ = ["Settings"]


class Settings(Declared):
    """All settings, checked. They are read by `load_settings`."""

    @property
    def user_key(self) -> bytes | None:
        """Key of the digests that name users in the log; None: they are named as they are."""
        return self.log_user_key.get_secret_value().encode() if self.log_user_key else None

    @property
    def archive(self) -> str | None:
        """URL of the archive; None: there is none."""
        if self.archive_url is None and self.web_role == "streams":
            return None  # the data directory is another host's
        if self.archive_url is None:
            return f"sqlite:///{self.data_dir / 'archive' / 'archive.sqlite3'}"
        url = self.archive_url.get_secret_value()
        if url == "off":
            return None
        return url.replace("postgres://", "postgresql://", 1)

    @property
    def open_mode(self) -> bool:
        """No key is configured, so every caller is `anonymous`."""
        return not (self.jwt_secret or self.jwt_public_key or self.jwks_url)

    @property
    def streams_per_user(self) -> int | None:
        return self._unless_open(self.max_streams_per_user, 20)

    @property
    def uploads_per_user(self) -> int | None:
        return self._unless_open(self.max_uploads_per_user, 5)

    @property
    def paused_per_user(self) -> int | None:
        return self._unless_open(self.max_paused_per_user, 20)

    @property
    def claims_per_user(self) -> int | None:
        return self._unless_open(self.max_claims_per_user, 100)

    @property
    def cpu_s_per_hour(self) -> int | None:
        return self._unless_open(self.max_cpu_s_per_hour, 7200)

    @property
    def rate_per_user(self) -> int | None:
        return self._unless_open(self.requests_per_minute, 600)

    @property
    def rate_per_address(self) -> int | None:
        return self._unless_open(self.requests_per_minute_per_address, 3000)

    def _unless_open(self, chosen: int | None, default: int) -> int | None:
        return chosen if chosen is not None or self.open_mode else default
