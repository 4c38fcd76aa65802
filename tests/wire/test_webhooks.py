"""Webhooks of the whole service: an upload, a receiver, and an operator who looks at deliveries."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.attacks.conftest import TOKENS
from tests.attacks.words import SECRET, token
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until
from tests.helpers.webhook_receiver import Receipt, Receiver, receiver
from tests.wire.words import new_id, post

SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture(scope="module")
def locked(told: Receiver) -> Iterator[Service]:
    """A service with tokens that tells `told`."""
    directory = Path(tempfile.mkdtemp(prefix="sp-hooks-"))
    env = {
        **TOKENS,
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_WEBHOOK_URL": told.url,
        "SSE_PROGRESS_WEBHOOK_SECRET": SIGNS,
        "SSE_PROGRESS_LEASE_S": "1",
    }
    with Service(directory, env) as service:
        yield service
    shutil.rmtree(directory)


def caller(service: Service, **claims: object) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token(**claims)}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60)


def ends(told: Receiver, upload_id: str) -> list[Receipt]:
    """Of an upload's end; that it was stored is told before."""
    return [one for one in told.of(upload_id) if one.message["type"] != "upload.stored"]


def test_ends_are_told_and_can_be_told_again(locked: Service, told: Receiver) -> None:
    """Signed, with the state that a GET answers; of a refused file too. An
    operator sees each and has one sent again, under the same id. No log has URL or secret."""
    complete, refused = new_id(), new_id()
    with caller(locked, sub="ann") as ann, caller(locked, sub="op", scope="admin") as op:
        assert post(ann, complete).status_code == 200
        assert post(ann, refused, b"\x7fELF" + bytes(100)).status_code == 422
        states = {one: ann.get(f"/upload/{one}").json() for one in (complete, refused)}
        for upload_id, kind in ((complete, "upload.complete"), (refused, "upload.error")):
            wait_until(lambda one=upload_id: ends(told, one), f"{kind} is told")
            (receipt,) = ends(told, upload_id)
            message = Webhook(SIGNS).verify(receipt.body, receipt.headers)
            assert message["type"] == kind
            assert message["data"] == states[upload_id]
        wait_until(lambda: len(told.of(complete)) == 2, "that it was stored is told too")
        listed = op.get("/webhooks/deliveries").json()["deliveries"]
        first = next(one for one in listed if one["type"] == "upload.complete")
        assert first["id"] == ends(told, complete)[0].id
        wait_until(
            lambda: (
                op.get("/webhooks/deliveries").json()["deliveries"][-1]["status"] == "delivered"
            ),
            "the first is noted as delivered",
        )
        part = op.get("/webhooks/deliveries?limit=1").json()
        rest = op.get("/webhooks/deliveries", params={"after": part["next"]}).json()
        assert [one["id"] for one in part["deliveries"] + rest["deliveries"]] == [
            one["id"] for one in listed
        ]
        again = op.post(f"/webhooks/deliveries/{first['id']}/resend")
        assert (again.status_code, again.json()["status"]) == (202, "waiting")
        wait_until(lambda: len(ends(told, complete)) == 2, "it is sent again")
        assert len({one.id for one in ends(told, complete)}) == 1
        assert op.post("/webhooks/deliveries/unknown/resend").status_code == 404
    assert "key=private" not in locked.log
    assert SIGNS.removeprefix("whsec_") not in locked.log


def test_a_pending_upload_that_is_cancelled_is_told(locked: Service, told: Receiver) -> None:
    """By the reconciler, since nobody was at work on it."""
    upload_id = new_id()
    with caller(locked, sub="ann", scope="progress:write upload:write upload:read") as ann:
        assert ann.post("/jobs", json={"id": upload_id}).status_code == 201
        assert ann.delete(f"/upload/{upload_id}").status_code == 204
        wait_until(lambda: told.of(upload_id), "the cancelled job is told")
        assert told.of(upload_id)[0].message["type"] == "job.cancelled"


@pytest.mark.parametrize("scope", [None, "upload:read upload:write", "owner:any progress:write"])
def test_deliveries_are_an_operators(locked: Service, scope: str | None) -> None:
    """A token without `admin` sees none and repeats none, and nor does anybody without one."""
    claims = {} if scope is None else {"scope": scope}
    with caller(locked, sub="ann", **claims) as ann:
        assert ann.get("/webhooks/deliveries").status_code == 403
        assert ann.post("/webhooks/deliveries/x/resend").status_code == 403
    assert httpx.get(f"{locked.url}/webhooks/deliveries").status_code == 401
