"""By what events come, and when another way is tried. No I/O."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["FollowBy", "Way", "Ways", "check_follow_by"]

FollowBy: TypeAlias = Literal["auto", "sse", "ws"]
"""By what events come: `sse`, the stream, else requests for the state; `ws`, a WebSocket, else
requests; `auto`, the stream, where that is held back a WebSocket, else requests."""

Way: TypeAlias = Literal["stream", "socket", "polling"]

_WAYS: dict[FollowBy, tuple[Way, ...]] = {
    "sse": ("stream", "polling"),
    "ws": ("socket", "polling"),
    "auto": ("stream", "socket", "polling"),
}


def check_follow_by(follow_by: str) -> None:
    """Raises ValueError for none of its values, ImportError where a package is missing."""
    if follow_by not in get_args(FollowBy):
        raise ValueError(f"follow_by is {follow_by!r}, expected one of {get_args(FollowBy)}")
    if follow_by == "sse":
        return
    try:
        import websockets.client  # noqa: F401
    except ImportError as error:
        text = f"follow_by={follow_by!r} needs websockets: pip install 'sse-progress-client[ws]'"
        raise ImportError(text, name="websockets") from error


class Ways:
    """The ways that there are for a stream, from the best on, and the `current` one.

    A stream of all uploads has one only: there is no state of them that could be asked for.
    """

    def __init__(self, follow_by: FollowBy, *, one: bool, sockets: bool) -> None:
        self._all = _WAYS[follow_by if sockets else "sse"] if one else ("stream",)
        self.current: Way = self._all[0]
        self.proven = False
        self._mute = 0

    def spoke(self) -> None:
        """Something came this way."""
        self.proven, self._mute = True, 0

    def silent(self, *, blocked: bool) -> bool:
        """Nothing came, in spite of a connection; whether to go on another way.

        Something in between collects what is sent, or cuts it. Where this way has passed before, it
        may as well be a service that is starting again.
        """
        self._mute += 1
        return ((blocked and not self.proven) or self._mute > 1) and self.next()

    def next(self) -> bool:
        """Try the next one, if there is one."""
        at = self._all.index(self.current) + 1
        if at == len(self._all):
            return False
        self._take(self._all[at])
        return True

    def again(self) -> None:
        """Begin with the first one again."""
        self._take(self._all[0])

    def _take(self, way: Way) -> None:
        self.current, self.proven, self._mute = way, False, 0
