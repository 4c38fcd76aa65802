"""Who a caller is and what he may do, however that was found out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sse_progress.model.errors import BadRequest, Forbidden, Unauthenticated

__all__ = [
    "ADMIN",
    "ALL_SCOPES",
    "NAMED_SCOPES",
    "OWNER_ANY",
    "PRIORITY",
    "PROGRESS",
    "READ",
    "REVIEW",
    "WRITE",
    "InvalidToken",
    "MissingScope",
    "Principal",
    "subject",
]

READ = "upload:read"
WRITE = "upload:write"
ALL_SCOPES = frozenset({READ, WRITE})
"""Those of a token that names no scopes."""

OWNER_ANY = "owner:any"
"""Acts for the owner that a request names."""
PROGRESS = "progress:write"
"""Reports the progress of work that it does itself."""
ADMIN = "admin"
"""Sees and repeats what the service has sent to others."""
PRIORITY = "upload:priority"
"""Chooses how early its uploads are worked on."""
REVIEW = "review"
"""Decides about uploads that wait for a person, of any user."""
NAMED_SCOPES = frozenset({OWNER_ANY, PROGRESS, ADMIN, PRIORITY, REVIEW})
"""Scopes that no token has unless it names them."""

SUBJECT_LIMIT = 255


class InvalidToken(Unauthenticated):
    """A token was sent, and it is no good (RFC 6750 §3.1 `invalid_token`)."""

    sentence = "The token is not valid."


class MissingScope(Forbidden):
    """A good token that does not allow this (RFC 6750 §3.1 `insufficient_scope`)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"The token lacks the scope {scope}.")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller.

    `expires_at` (Unix seconds) is when the token stops being accepted; None: never. `kinds` of
    uploads that it may make, `owners` whom it may report progress for; None: all. `limited_as`:
    whose limits count, where not the user's.
    """

    sub: str
    scopes: frozenset[str] = ALL_SCOPES
    expires_at: float | None = None
    kinds: frozenset[str] | None = None
    limited_as: str = ""
    owners: frozenset[str] | None = None

    def require(self, scope: str) -> None:
        """Raises MissingScope unless the token allows it."""
        if scope not in self.scopes:
            raise MissingScope(scope)

    @property
    def account(self) -> str:
        """Whose limits this caller's streams and requests count against."""
        return self.limited_as or self.sub

    def producing_for(self, owner: str | None) -> str:
        """Whose work it reports: `owner`, or its own. Raises Forbidden or BadRequest."""
        if owner is None:
            owner = self.sub
        try:
            subject(owner)
        except ValueError:
            raise BadRequest("The owner is not the name of a user.") from None
        if self.owners is not None and owner not in self.owners:
            raise Forbidden("The token does not allow work for this owner.")
        return owner

    def acting_for(self, owner: str) -> Principal:
        """The same caller, for the uploads of another. Raises MissingScope or BadRequest."""
        self.require(OWNER_ANY)
        try:
            if "\ufffd" in owner:
                raise ValueError("not UTF-8")
            return replace(self, sub=subject(owner))
        except ValueError:
            raise BadRequest("X-Upload-Owner is not the name of a user.") from None


def subject(sub: str) -> str:
    """`sub` if it may name a user; raises ValueError."""
    # isprintable() is false for control characters, line separators, direction marks and lone
    # surrogates, any of which would make two users look alike or break a log line.
    if not 0 < len(sub) <= SUBJECT_LIMIT or not sub.isprintable():
        raise ValueError(f"sub must have 1-{SUBJECT_LIMIT} printable characters")
    return sub
