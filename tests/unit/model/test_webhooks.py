"""Secrets of webhooks, and their signatures."""

from __future__ import annotations

import base64
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sse_progress.model.webhooks import TOLERANCE_S, is_signed, secrets_of, signed_headers


@given(key=st.binary(min_size=24, max_size=64), body=st.text(), moment=st.integers(1, 2**33))
def test_signatures_are_the_reference_librarys(key: bytes, body: str, moment: int) -> None:
    """For any key, body and time."""
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers("id", body.encode(), keys=secrets_of(secret), now_s=moment)
    at = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    assert headers["webhook-signature"] == Webhook(secret).sign("id", at, body)
    keys = secrets_of(secret)
    for late in (-TOLERANCE_S, 0, TOLERANCE_S):
        assert is_signed(headers, body.encode(), keys=keys, now_s=moment + late)
    for late in (-TOLERANCE_S - 1, TOLERANCE_S + 1):
        assert not is_signed(headers, body.encode(), keys=keys, now_s=moment + late)
    assert not is_signed(headers, body.encode() + b" ", keys=keys, now_s=moment)
    assert not is_signed({**headers, "webhook-id": "other"}, body.encode(), keys=keys, now_s=moment)
    assert not is_signed(headers, body.encode(), keys=[key + b"x"], now_s=moment)
    assert not is_signed(headers, body.encode(), keys=(), now_s=moment)


@given(
    st.dictionaries(
        st.sampled_from([f"webhook-{n}" for n in ("id", "timestamp", "signature")]), st.text()
    )
)
def test_headers_that_nobody_signed_are_refused(headers: dict[str, str]) -> None:
    """Whatever stands in them."""
    assert not is_signed(headers, b"{}", keys=[b"k" * 24], now_s=1_800_000_000)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 secrets"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "is 23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "is 65 bytes"),
        ("whsec_***", "base64"),
        ("secret", "must begin"),
        (" ".join(["whsec_" + "A" * 32] * 3), "has 3 secrets"),
    ],
)
def test_a_bad_secret_is_refused_without_being_told(text: str, why: str) -> None:
    """The reason has nothing of the secret in it."""
    with pytest.raises(ValueError, match=why) as refused:
        secrets_of(text)
    assert not text or text.removeprefix("whsec_") not in str(refused.value)
