"""The URLs that name a Redis."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_progress.runtime.redis.url import parse_redis_url


@pytest.mark.parametrize(
    ("url", "kind", "shown", "server"),
    [
        ("redis://h:1/2", "one", "h:1", None),
        ("rediss://u:p@h", "one", "h:6379", None),
        ("unix:///run/a%20b.sock?db=1", "one", "/run/a b.sock", None),
        (
            "redis+sentinel://a,b:5/mine/3",
            "sentinel",
            "a:26379,b:5",
            "redis://h:6379/3",
        ),
        (
            "rediss+sentinel://u:p@a/m?ssl_ca_certs=/ca.pem&sentinel_password=s%2Fx",
            "sentinel",
            "a:26379",
            "rediss://u:p@h:6379/0?ssl_ca_certs=%2Fca.pem",
        ),
        ("redis+cluster://a:1,b", "cluster", "a:1,b:6379", "redis://h:6379/0"),
        (
            "rediss+cluster://:p%40%2C@[::1]:1,b/?socket_timeout=2",
            "cluster",
            "::1:1,b:6379",
            "rediss://:p%40%2C@h:6379/0?socket_timeout=2",
        ),
    ],
)
def test_what_is_meant(url: str, kind: str, shown: str, server: str | None) -> None:
    """Kind, places, and the URL of one server behind it, with login, database and options."""
    parsed = parse_redis_url(url)
    assert (parsed.kind, parsed.shown) == (kind, shown)
    if server is not None:
        assert parsed.server("h", 6379) == server


def test_a_sentinel_has_a_login_of_its_own() -> None:
    """It is not given the master's password, nor the master its."""
    parsed = parse_redis_url("redis+sentinel://u:p@a/m?sentinel_username=s&sentinel_password=q%2F")
    assert parsed.for_sentinels.server("a", 1) == "redis://s:q%2F@a:1/0"
    assert parsed.server("b", 2) == "redis://u:p@b:2/0"
    assert parsed._replace(sentinel_login=(None, None)).for_sentinels.credentials == ""


def test_an_ipv6_host_is_put_in_brackets() -> None:
    """As a Cluster announces it: without them."""
    assert parse_redis_url("redis+cluster://a").server("::1", 7) == "redis://[::1]:7/0"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://:hush@a", "must be one of redis://"),
        ("redis+cluster:/a", "must be one of redis://"),
        ("redis+cluster://a#b", "must be one of redis://"),
        ("redis+cluster://:hush@a@b", "must be one of redis://"),
        ("redis://:hush@a:1,b:2", r"write redis\+cluster://"),
        ("redis://:hush#x@a", "its port is not a number"),
        ("rediss://a,b", r"rediss\+sentinel://"),
        ("redis+cluster://", "host 1 is not host:port"),
        ("redis+cluster://:hush/x@a", "host 1 is not host:port"),
        ("redis+cluster://a,,b", "host 2 is not host:port"),
        ("redis+cluster://a:b:1", "host 1 is not host:port"),
        ("redis+cluster://a:0", "host 1 has no port"),
        ("redis+cluster://a:65536", "host 1 has no port"),
        ("redis+cluster://:hush@a/1", "has one database"),
        ("redis+cluster://a/0/1", "has one database"),
        ("redis+sentinel://a", "must name the master"),
        ("redis+sentinel://:hush@a/", "must name the master"),
        ("redis+sentinel://a/m/x", "'x' is not the number of a database"),
    ],
)
def test_what_is_refused(url: str, why: str) -> None:
    """A malformed URL is refused with what is wrong, and without its password."""
    with pytest.raises(ValueError, match=why) as caught:
        parse_redis_url(url)
    assert "hush" not in str(caught.value)


@given(
    st.text(max_size=40),
    st.sampled_from(["redis://", "rediss+cluster://", "redis+sentinel://", "unix://", ""]),
)
def test_nothing_else_is_raised(rest: str, scheme: str) -> None:
    """Whatever is written: a URL, or ValueError."""
    with contextlib.suppress(ValueError):
        parsed = parse_redis_url(scheme + rest)
        assert isinstance(parsed.shown, str)
