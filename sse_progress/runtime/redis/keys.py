"""Every key and channel of this service in Redis: all begin with `sp:`.

Keys that one script or transaction touches share a hash tag `{…}`, so that a Cluster has them on
one node. What a client names (an owner) goes in as a digest: short, and harmless in a key.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "FORMAT_KEY",
    "MOVING",
    "RATES_PREFIX",
    "DeliveryKeys",
    "QueueKeys",
    "batch_items_key",
    "batch_name",
    "birth_key",
    "digest",
    "durations_key",
    "ended_key",
    "health_key",
    "journal_channel",
    "journal_keys",
    "journal_of",
    "leader_key",
    "limit_key",
    "open_batches_key",
    "open_key",
    "owned_key",
    "owner_channel",
    "probe_channel",
    "put_off_key",
    "review_lease_key",
    "reviews_key",
    "spent_key",
    "ticket_key",
    "turn_channel",
]

FORMAT_KEY = "sp:format"
"""String: a number, see journal/format."""

MOVING = "sp:moving"
"""Channel on all nodes of a Cluster: keys that were written on a node without their slot yet."""

RATES_PREFIX = "sp:lim"
"""Prefix of the `limits` library's keys; ours are those of `limit_key`."""


def journal_channel(upload_id: str) -> str:
    """Each frame of an upload's journal as it is appended."""
    return f"sp:{{{upload_id}}}"


def journal_keys(upload_id: str) -> tuple[str, str]:
    """An upload's meta hash, and the stream that is its log."""
    channel = journal_channel(upload_id)
    return f"{channel}:meta", f"{channel}:log"


def journal_of(key: bytes) -> bytes:
    """The channel of the journal that has a key of `journal_keys`."""
    return key.rpartition(b":")[0]


def turn_channel(upload_id: str) -> str:
    """The fence of the sender of an upload's body, as it is raised (append.lua: `resume`)."""
    return f"{journal_channel(upload_id)}:turn"


def batch_name(batch_id: str) -> str:
    """What a batch's journal is called among those of uploads, whose ids have no colon."""
    return f"b:{batch_id}"


def batch_items_key(batch_id: str) -> str:
    """Hash: what became of each item of a batch, by its id."""
    return f"{journal_channel(batch_name(batch_id))}:items"


def open_batches_key(storage_id: str) -> str:
    """Sorted set: batches that may be open, by Unix time when they began."""
    return f"sp:s:{{{storage_id}}}:batches"


def reviews_key(storage_id: str) -> str:
    """Sorted set: uploads that wait for a person, by Unix time when they began to."""
    return f"sp:s:{{{storage_id}}}:reviews"


def review_lease_key(storage_id: str, upload_id: str) -> str:
    """String: who looks at an upload that waits for a person. It expires."""
    return f"sp:s:{{{storage_id}}}:review:{upload_id}"


def open_key(storage_id: str) -> str:
    """Sorted set: uploads of a storage that may be open, by ms since 1970 when they began."""
    return f"sp:s:{{{storage_id}}}:open"


def put_off_key(storage_id: str) -> str:
    """Sorted set: open uploads of a storage that need no look, by ms since 1970 until when."""
    return f"sp:s:{{{storage_id}}}:put-off"


def leader_key(storage_id: str) -> str:
    """Which worker does for a storage what one has to do, for as long as it says so."""
    return f"sp:s:{{{storage_id}}}:leader"


def ended_key(storage_id: str, consumer: str) -> str:
    """Sorted set: uploads whose end a consumer has not dealt with, by ms since 1970 when noted."""
    return f"sp:s:{{{storage_id}}}:ended:{consumer}"


def owner_channel(owner: str) -> str:
    """Ids of the owner's uploads as they begin."""
    return f"sp:u:{{{digest(owner)}}}"


def owned_key(owner: str) -> str:
    """Sorted set: the owner's uploads, by us since 1970 when they began."""
    return f"{owner_channel(owner)}:uploads"


class QueueKeys(NamedTuple):
    """Of one storage's queue, in the order in which its scripts expect them."""

    waiting: str
    running: str
    jobs: str
    workers: str
    delayed: str
    parked: str
    arrived: str
    turns: str
    idle: str

    @classmethod
    def of(cls, name: str) -> QueueKeys:
        return cls(*(f"{cls.channel(name)}:{field}" for field in cls._fields))

    @staticmethod
    def channel(name: str) -> str:
        """Wakes waiting workers."""
        return f"sp:q:{{{name}}}"


class DeliveryKeys:
    """Webhook deliveries of one storage, by id.

    `due`, `all`, `over`: sorted sets by us since 1970 when they are due, were made, were over.
    `disabled`: the endpoint that wants no more.
    """

    def __init__(self, storage_id: str) -> None:
        self._base = f"sp:s:{{{storage_id}}}:hook"
        self.due, self.all, self.over, self.disabled = (
            f"{self._base}s:{name}" for name in ("due", "all", "over", "disabled")
        )

    def one(self, delivery_id: str) -> str:
        """Hash: one delivery."""
        return f"{self._base}:{delivery_id}"


def limit_key(kind: str, owner: str) -> str:
    """What an owner holds of a kind that is limited."""
    return f"{RATES_PREFIX}:{kind}:{{{digest(owner)}}}"


def spent_key(owner: str, hour: int) -> str:
    """CPU seconds that the owner's uploads took in an hour, counted since 1970."""
    return f"{limit_key('cpu', owner)}:{hour}"


def durations_key(kind: str, family: str, size_class: int) -> str:
    """Hash: seconds that each stage took for uploads of a kind, of a type and size class."""
    return f"sp:eta:{kind}:{family}:{size_class}"


def ticket_key(ticket_digest: str) -> str:
    """What a ticket is good for."""
    return f"sp:ticket:{ticket_digest}"


def birth_key(tag: str = "") -> str:
    """When this Redis was first seen with its present data: Unix time in seconds.

    On a Cluster each master has its own, with a `tag` that it has the slot of.
    """
    return _on("sp:birth", tag)


def health_key(storage_id: str, tag: str = "") -> str:
    """Written by readiness checks; as to `tag` see `birth_key`."""
    return _on(f"sp:health:{storage_id}", tag)


def probe_channel(token: str, tag: str = "") -> str:
    """A process' messages to itself; as to `tag` see `birth_key`."""
    return _on(f"sp:probe:{token}", tag)


def _on(name: str, tag: str) -> str:
    return f"{name}:{{{tag}}}" if tag else name


@lru_cache(1024)
def digest(text: str) -> str:
    """A name from outside, short and harmless."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
