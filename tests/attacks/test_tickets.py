"""Tickets and acting for others: each opens what it was made for, and nothing else."""

from __future__ import annotations

import json
import time

import pytest

from tests.attacks.words import Caller, check_problem, new_id
from tests.helpers.media import jpeg
from tests.helpers.multipart import body, content_type, file_part
from tests.helpers.raw_http import Answer
from tests.helpers.service import Service
from tests.helpers.sse import journal, read_events

PICTURE = body([file_part(jpeg(40, 30))])
BACKEND = "upload:read upload:write owner:any"


def ticket_of(caller: Caller, upload_id: str, wish: bytes = b"") -> str:
    answer = caller.ask("POST", f"/upload/{upload_id}/tickets", raw=wish)
    assert answer.status == 201, answer.body
    made = json.loads(answer.body)
    assert set(made) == {"ticket", "expiresAt"}
    assert answer.headers["cache-control"] == "no-store"
    return str(made["ticket"])


def uploaded(caller: Caller, **headers: str) -> str:
    upload_id = new_id()
    answer = caller.post_raw(PICTURE, upload_id=upload_id, headers=headers)
    assert answer.status == 200, answer.body
    return upload_id


async def test_a_ticket_reads_its_upload_without_a_token(locked: Service, alice: Caller) -> None:
    """The stream from its first event, the state, and every file, by the ticket in the query."""
    upload_id = uploaded(alice)
    ticket = ticket_of(alice, upload_id, b'{"ttlS": 60}')
    stranger = Caller(locked)
    state = stranger.ask("GET", f"/upload/{upload_id}?ticket={ticket}")
    assert state.status == 200
    media = json.loads(state.body)["media"]
    for url in (media["url"], *(file["url"] for file in media["files"])):
        assert stranger.ask("GET", f"{url}?ticket={ticket}").status == 200
    url = f"{locked.url}/upload/{upload_id}/progress?ticket={ticket}"
    events = journal(await read_events(url))
    assert (events[0].stage, events[-1].stage) == ("receiving", "complete")
    assert ticket not in locked.log
    assert "alice" not in ticket


def test_a_ticket_may_be_made_before_the_upload_begins(locked: Service, alice: Caller) -> None:
    """The id is the owner's from then on: pending, and nobody else can begin it."""
    upload_id = new_id()
    ticket = ticket_of(alice, upload_id)
    state = Caller(locked).ask("GET", f"/upload/{upload_id}?ticket={ticket}")
    assert json.loads(state.body)["status"] == "pending"
    bob = Caller.named(locked, "bob-of-tickets")
    check_problem(bob.post_raw(PICTURE, upload_id=upload_id), 403, "forbidden")
    check_problem(bob.ask("POST", f"/upload/{upload_id}/tickets"), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/upload/{other}"),
        ("GET", "/upload/{other}/progress"),
        ("GET", "/upload/{other}/files/photo.jpg"),
        ("GET", "/uploads"),
        ("GET", "/uploads/progress"),
        ("DELETE", "/upload/{own}"),
        ("DELETE", "/upload/{own}/files"),
        ("POST", "/upload/{own}/tickets"),
        ("PUT", "/upload/{own}"),
        ("POST", "/upload"),
    ],
)
def test_a_ticket_opens_nothing_else(
    locked: Service, alice: Caller, method: str, path: str
) -> None:
    """Another upload of the same owner, lists, and everything that changes something: 401."""
    own, other = uploaded(alice), uploaded(alice)
    ticket = ticket_of(alice, own)
    target = path.format(own=own, other=other)
    answer = Caller(locked).ask(
        method, f"{target}?ticket={ticket}", headers={"Content-Type": content_type()}
    )
    check_problem(answer, 401, "unauthenticated")
    assert alice.ask("GET", f"/upload/{own}").status == 200


def test_a_ticket_that_is_none(locked: Service, alice: Caller) -> None:
    """Made up, cut, doubled, huge, or over: 401, also beside a good token."""
    upload_id = uploaded(alice)
    ticket = ticket_of(alice, upload_id)
    for wrong in ("", "x", ticket[:-1], ticket + "x", "ticket_" + "x" * 5000, f"{ticket}&ticket=x"):
        for path in (f"/upload/{upload_id}", f"/upload/{upload_id}/progress"):
            answer = alice.ask("GET", f"{path}?ticket={wrong}")
            check_problem(answer, 401, "unauthenticated")
    short = ticket_of(alice, upload_id, b'{"ttlS": 1}')
    deadline = time.monotonic() + 60

    def asked() -> Answer:
        return Caller(locked).ask("GET", f"/upload/{upload_id}?ticket={short}")

    while asked().status == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    check_problem(asked(), 401, "unauthenticated")


@pytest.mark.parametrize(
    "wish", [b"[]", b'{"ttlS": 0}', b'{"ttlS": -1}', b'{"ttlS": 86401}', b'{"ttlS": "9"}', b"{"]
)
def test_a_wish_that_makes_no_sense(alice: Caller, wish: bytes) -> None:
    """Not JSON, not a number, or outside of one second to a day."""
    answer = alice.ask("POST", f"/upload/{new_id()}/tickets", raw=wish)
    check_problem(answer, 400, "bad_request")


def test_a_huge_wish_is_not_read(alice: Caller) -> None:
    """A kilobyte is more than enough."""
    answer = alice.ask("POST", f"/upload/{new_id()}/tickets", raw=b" " * 5000)
    check_problem(answer, 413, "too_large")


def test_who_only_reads_makes_no_tickets(locked: Service) -> None:
    """A ticket outlives the token that made it, so it takes the right to write."""
    reader = Caller.named(locked, "reader-of-tickets", scope="upload:read")
    check_problem(reader.ask("POST", f"/upload/{new_id()}/tickets"), 403, "forbidden")


def test_deleted_files_stay_deleted_for_a_ticket(locked: Service, alice: Caller) -> None:
    """The state says so, the file is not found."""
    upload_id = uploaded(alice)
    ticket = ticket_of(alice, upload_id)
    media = json.loads(alice.ask("GET", f"/upload/{upload_id}").body)["media"]
    assert alice.ask("DELETE", f"/upload/{upload_id}/files").status == 204
    stranger = Caller(locked)
    state = stranger.ask("GET", f"/upload/{upload_id}?ticket={ticket}")
    assert json.loads(state.body)["deleted"] is True
    check_problem(stranger.ask("GET", f"{media['url']}?ticket={ticket}"), 404, "not_found")


# ---- acting for another


def test_a_backend_uploads_and_its_user_watches(locked: Service) -> None:
    """The upload is the named owner's: seen by that one's own token, and not by the backend's."""
    backend = Caller.named(locked, "backend", scope=BACKEND)
    upload_id = uploaded(backend, **{"X-Upload-Owner": "carol|ö"})
    carol = Caller.named(locked, "carol|ö")
    assert carol.ask("GET", f"/upload/{upload_id}").status == 200
    check_problem(backend.ask("GET", f"/upload/{upload_id}"), 403, "forbidden")
    ticket = json.loads(
        backend.ask(
            "POST",
            f"/upload/{upload_id}/tickets",
            headers={"X-Upload-Owner": "carol|ö"},
        ).body
    )["ticket"]
    assert Caller(locked).ask("GET", f"/upload/{upload_id}?ticket={ticket}").status == 200


@pytest.mark.parametrize("scope", [None, "upload:read upload:write", "owner:any"])
def test_nobody_else_acts_for_another(locked: Service, scope: str | None) -> None:
    """The scope counts only where it is named, and gives no other right."""
    caller = Caller.named(locked, "mallory", scope=scope)
    answer = caller.post_raw(PICTURE, upload_id=new_id(), headers={"X-Upload-Owner": "carol"})
    check_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("owner", ["", "x" * 256, "a\tb", "\udcff\udcfe"])
def test_an_owner_that_is_no_name(locked: Service, owner: str) -> None:
    """As a token's `sub` must be: 1 to 255 printable characters, in UTF-8."""
    backend = Caller.named(locked, "backend", scope=BACKEND)
    answer = backend.ask("GET", "/uploads", headers={"X-Upload-Owner": owner})
    check_problem(answer, 400, "bad_request")
