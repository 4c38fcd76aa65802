"""`GET /upload/<id>/history`: the journal as a list, whole and in parts, both ways."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.wire.test_upload import check_problem
from tests.wire.words import new_id, post


@pytest.fixture
def told(client: httpx.Client) -> tuple[str, list[dict[str, Any]]]:
    """An upload that is complete, and its events as its stream tells them."""
    upload_id = new_id()
    assert post(client, upload_id).status_code == 200
    frames = client.get(f"/upload/{upload_id}/progress").text.split("\n\n")
    events = []
    for frame in frames:
        lines = dict(line.split(": ", 1) for line in frame.split("\n") if ": " in line)
        if "id" in lines:
            events.append({"id": lines["id"], **json.loads(lines["data"])})
    assert events[-1]["stage"] == "complete"
    return upload_id, events


def history(client: httpx.Client, upload_id: str, query: str = "", **headers: str) -> Any:
    answer = client.get(f"/upload/{upload_id}/history{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_is_what_the_stream_tells(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]]
) -> None:
    """Every event with its id, in order; live, since the journal is there."""
    upload_id, events = told
    found = history(client, upload_id)
    assert found.pop("events") == events
    epoch = events[0]["id"].rpartition("-")[0]
    assert found == {"uploadId": upload_id, "live": True, "epoch": epoch, "next": None}
    assert next(iter(history(client, upload_id)["events"][0])) == "id"


def test_a_part_after_an_id_or_from_a_time_on(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]]
) -> None:
    """After the position; from the millisecond on; nothing after the end or in the future."""
    upload_id, events = told
    after = history(client, upload_id, f"?since={events[3]['id']}")
    assert after["events"] == events[4:]
    moment = events[4]["timestamp"]
    found = history(client, upload_id, f"?since={moment}")["events"]
    assert found == [event for event in events if event["timestamp"] >= moment]
    shifted = moment.replace("Z", "%2B00:00")
    for same in (shifted, moment.lower()):  # RFC 3339 §5.6: t and z are the same
        assert history(client, upload_id, f"?since={same}")["events"] == found
    assert history(client, upload_id, f"?since={events[-1]['id']}")["events"] == []
    assert history(client, upload_id, "?since=2999-01-01T00:00:00Z")["events"] == []
    assert history(client, upload_id, "?since=1970-01-01T00:00:00Z")["events"] == events


@pytest.mark.parametrize("position", ["other-3", "{epoch}-999999"])
def test_a_position_of_another_telling_is_said_to_be_one(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]], position: str
) -> None:
    """Never a silent jump: `reset`, and all events of the journal that there is."""
    upload_id, events = told
    epoch = events[0]["id"].rpartition("-")[0]
    found = history(client, upload_id, f"?since={position.format(epoch=epoch)}")
    assert (found["reset"], found["events"]) == (True, events)


@pytest.mark.parametrize("limit", [1, 3, 10_000])
def test_parts_lead_on_to_all_of_it(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]], limit: int
) -> None:
    """`next` as `since`, or descending as `before`: each event once, in order."""
    upload_id, events = told
    for order, name, expected in (("asc", "since", events), ("desc", "before", events[::-1])):
        got: list[dict[str, Any]] = []
        query = f"?order={order}&limit={limit}"
        while True:
            part = history(client, upload_id, query)
            assert len(part["events"]) <= limit
            got += part["events"]
            if part["next"] is None:
                break
            query = f"?order={order}&limit={limit}&{name}={part['next']}"
        assert got == expected
    assert history(client, upload_id, "?all=true&limit=1")["events"] == events


def test_lines_of_json(client: httpx.Client, told: tuple[str, list[dict[str, Any]]]) -> None:
    """One event a line, where that was asked for; the next part is in the headers."""
    upload_id, events = told
    answer = client.get(
        f"/upload/{upload_id}/history?limit=4", headers={"Accept": "application/x-ndjson"}
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == events[:4]
    following = answer.links["next"]["url"]
    rest = client.get(
        f"/upload/{upload_id}/history{following}", headers={"Accept": "application/x-ndjson"}
    )
    assert json.loads(rest.text.splitlines()[0]) == events[4]


def test_what_has_not_changed_is_not_sent_again(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]]
) -> None:
    """ETag and 304; lines are another representation, with a tag of their own."""
    upload_id, _ = told
    answer = client.get(f"/upload/{upload_id}/history")
    again = client.get(
        f"/upload/{upload_id}/history", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    lines = {"Accept": "application/x-ndjson", "If-None-Match": answer.headers["etag"]}
    other = client.get(f"/upload/{upload_id}/history", headers=lines)
    assert other.status_code == 200
    lines["If-None-Match"] = other.headers["etag"]
    assert client.get(f"/upload/{upload_id}/history", headers=lines).status_code == 304


@pytest.mark.parametrize(
    "query",
    [
        "?since=",
        "?since=yesterday",
        "?since=2026-01-01",
        "?since=2026-01-01T00:00:00",
        "?since=2026-13-01T00:00:00Z",
        "?since=-1",
        "?before=x",
        "?limit=0",
        "?limit=10001",
        "?limit=x",
        "?order=up",
        "?all=1",
    ],
)
def test_a_question_that_makes_no_sense(
    client: httpx.Client, told: tuple[str, list[dict[str, Any]]], query: str
) -> None:
    """Named, not guessed at."""
    check_problem(client.get(f"/upload/{told[0]}/history{query}"), 400, "bad_request")


def test_what_has_no_history(client: httpx.Client) -> None:
    """An upload that nobody knows: 404."""
    check_problem(client.get(f"/upload/{new_id()}/history"), 404, "unknown_upload")
