"""Secrets of webhooks, and their signatures."""

from __future__ import annotations

import base64
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sse_progress.model.webhooks import secrets_of, signed_headers


@given(key=st.binary(min_size=24, max_size=64), body=st.text(), moment=st.integers(1, 2**33))
def test_signatures_are_the_reference_librarys(key: bytes, body: str, moment: int) -> None:
    """For any key, body and time."""
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers("id", body.encode(), keys=secrets_of(secret), now_s=moment)
    at = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    assert headers["webhook-signature"] == Webhook(secret).sign("id", at, body)


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
