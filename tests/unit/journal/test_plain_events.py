"""Plain events take a short way through append.lua, which does what the long one does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sse_progress.journal.scripts import APPEND, APPEND_OPTIONAL, PLAIN, Script

STAGES = {"receiving": (1, 0, 10), "validating": (3, 15, 24), "done": (9, 100, 100)}
NOON = 1_800_001_234_567


def script(*, without: str = "") -> str:
    """Told the time by a list, and with lists in place of channels."""
    source = Script("append", APPEND, optional=APPEND_OPTIONAL, without=without).source
    for call, instead in (
        ("redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, 1)"),
        ("redis.call('PUBLISH', ", "redis.call('RPUSH', "),
    ):
        assert call in source
        source = source.replace(call, instead)
    return source


ARGUMENTS = Script("append", APPEND, optional=APPEND_OPTIONAL)
BOTH = {"short": script(), "long": script(without=PLAIN)}
SHORT_WAY_ALONE = BOTH["short"].partition("-- Shared by every script")[0]


class Journal:
    """One upload's, and the clock."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client, self._name = client, name
        self.keys = (f"{name}:meta", f"{name}:log")

    def at(self, now_ms: int) -> None:
        self._client.delete("clock")
        self._client.rpush("clock", now_ms // 1000, now_ms % 1000 * 1000)

    def call(self, source: str, values: Mapping[str, Any]) -> Any:
        for key in self.keys:
            self._client.persist(key)
        values = {**values, "channel": f"{self._name}:channel"}
        return self._client.eval(source, 2, *self.keys, *ARGUMENTS.arguments(values))

    def state(self) -> Any:
        """All that there is of it, and whether its life was made longer by the last call."""
        meta, log = self.keys
        return (
            self._client.hgetall(meta),
            self._client.xrange(log),
            self._client.lrange(f"{self._name}:channel", 0, -1),
            [self._client.ttl(key) > 0 for key in self.keys],
        )


def event(op: str = "next", *, fence: int = 1, n: int = 0, **more: Any) -> dict[str, Any]:
    stage = more.pop("stage", "receiving")
    row = dict(zip(("rank", "lo", "hi"), STAGES[stage], strict=True))
    return {
        **{"op": op, "fence": fence, "n": n, "epoch": "e1", "owner": "ann", "lease_ms": 1000},
        **{"ttl_open_s": 600, "ttl_done_s": 60, "stage": stage, **row},
        **{"sp": 1, "head": '{"progress":', "middle": ',"timestamp":"', "tail": "}"},
        **more,
    }


steps = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["next"] * 12 + ["renew", "tell", "take", "begin", "cancel"]),
        "skipped": st.sampled_from([0] * 12 + [-1, 1]),
        "fences": st.sampled_from([0] * 12 + [-1, 1]),
        "ms": st.sampled_from([0, 1, 90, 200, 59_000, -300, -300, 3_600_000, -3_600_000]),
        "stage": st.sampled_from(["receiving"] * 4 + ["validating"] * 4 + ["done"]),
        "sp": st.sampled_from([0, 1, 7, 50, 99, 100]),
    },
    optional={
        "tags": st.sampled_from(["", '"a":1', '"a":2']),
        "lease_ms": st.sampled_from([0, 1000, 5000]),
        "first": st.just(1),
        "terminal": st.just(1),
        "about": st.just('{"b":1}'),
        "hi": st.sampled_from([24, 60]),
        "rank": st.just(4),
        "nonce": st.sampled_from(["x", "y"]),
    },
)


@pytest.fixture
def client(redis_url: str) -> Any:
    with redis.Redis.from_url(redis_url) as made:
        yield made


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(told=st.lists(steps, max_size=25))
@example([{"op": "next", "sp": 50, "hi": 60}, {"op": "next", "sp": 60}])  # progress stays
def test_both_ways_do_the_same(client: redis.Redis, told: list[dict[str, Any]]) -> None:
    """Whatever is told, in whichever order: replies, meta hash, log, messages, and how long
    all of it lives are those of the script without the short way."""
    client.flushdb()
    journals = {name: Journal(client, name) for name in BOTH}
    clock, fence, n = NOON, 0, 0
    for step in [{"op": "begin", "nonce": "b"}, *told]:
        given_to = dict(step)
        clock += given_to.pop("ms", 0)
        n += 1 + given_to.pop("skipped", 0)
        values = event(given_to.pop("op"), fence=fence + given_to.pop("fences", 0), n=n, **given_to)
        replies, states = [], []
        for name, source in BOTH.items():
            journals[name].at(clock)
            replies.append(journals[name].call(source, values))
            states.append(journals[name].state())
        assert replies[0] == replies[1]
        assert states[0] == states[1]
        status, _, _, raised, _, _ = replies[0]
        if raised != fence:
            fence, n = raised, 1 if values["op"] in ("begin", "cancel") else 0
        elif status not in (b"ok", b"new"):
            n = int(client.hget(journals["short"].keys[0], "n") or 0)


def test_events_of_a_stage_take_the_short_way(client: redis.Redis) -> None:
    """It serves the next event of the stage that a journal is in, with what a writer sends of its
    tags; and it leaves alone what begins or ends a stage, what is late, and what is another's."""
    journal = Journal(client, "up")
    journal.at(NOON)
    number = itertools.count(2)
    fence = journal.call(BOTH["long"], event("begin", nonce="b", tags='"a":1'))[3]

    def alone(**more: Any) -> Any:
        return journal.call(SHORT_WAY_ALONE, event(**{"fence": fence, **more}))

    for more in ({}, {"sp": 60}, {"tags": '"a":1'}, {"sp": 100}):
        assert alone(n=next(number), **more)[0] == b"ok"
    n = next(number)
    assert alone(n=n) is None, "the stage is over"
    journal.call(BOTH["long"], event(fence=fence, n=n, stage="validating"))
    before, n = journal.state()[:3], next(number)
    for others in (
        {"stage": "receiving"},
        {"rank": 4},
        {"first": 1},
        {"tags": '"a":2'},
        {"terminal": 1},
        {"fence": fence + 1},
        {"n": n - 1},
        {"n": n + 1},
        {"lease_ms": 2000},
        {"op": "tell"},
    ):
        assert alone(**{"n": n, "stage": "validating", **others}) is None, others
    journal.at(NOON + 3_600_000)
    assert alone(n=n, stage="validating") is None, "its keys are to live longer"
    assert journal.state()[:3] == before
