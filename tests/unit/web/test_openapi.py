"""The served description: whole, and the same as what the service does."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from starlette.routing import Route

from sse_progress.model.errors import PROBLEMS
from sse_progress.model.events import Event
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.web.app import ROUTES
from sse_progress.web.description.openapi import document

DOCUMENT = document(ROUTES, version="1.2.3", prefix="/api/media", tokens=True)
NOT_DESCRIBED = {"/", "/api", "/review", "/client/{name}", "/page/{name}"}
"""The pages and their files."""


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    if isinstance(part, list):
        return set().union(*map(references, part))
    return set()


def test_every_route_is_described_and_no_other() -> None:
    """Paths and methods are those of the application."""
    served = set()
    for route in ROUTES:
        path = re.sub(r":\w+}", "}", route.path)
        if isinstance(route, Route) and path not in NOT_DESCRIBED:  # OpenAPI has no WebSockets
            served |= {(path, m.lower()) for m in (route.methods or set()) - {"HEAD"}}
    assert {(path, method) for path, method, _ in operations()} == served


def test_everything_is_described_in_the_names_of_the_wire() -> None:
    """Schemas, members and parameters have a text; none has a name of Python, or is indented."""
    texts = {}
    for name, schema in DOCUMENT["components"]["schemas"].items():
        texts[name] = schema["description"]
        for member, described in schema.get("properties", {}).items():
            texts[f"{name}.{member}"] = described.get("description", "")
    for path, method, operation in operations():
        for one in operation.get("parameters", []):
            texts[f"{method} {path} {one['name']}"] = one.get("description", "")
    assert [name for name, text in texts.items() if not text] == []
    wire = {problem.code for problem in PROBLEMS} | set(DEFAULT_TABLE)
    named = {word for text in texts.values() for word in re.findall(r"`([a-z]+_[a-z_]+)`", text)}
    assert named <= wire
    assert [name for name, text in texts.items() if "\n  " in text] == []


def test_a_decision_is_no_upload_that_waits_for_one() -> None:
    """`media.moderation.review` is what a person decided; lists of reviews have another schema."""
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Review"]["properties"]) == {"decision", "at", "by", "reason"}
    assert references(schemas["Reviews"]) == {"#/components/schemas/WaitingReview"}


def test_every_operation_has_a_name_of_its_own() -> None:
    """Generated clients name their functions so."""
    names = [operation["operationId"] for _, _, operation in operations()]
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in names), names
    assert len(set(names)) == len(names), names


def test_files_are_binary_for_generators() -> None:
    """Otherwise a generated client would take a file for a text."""
    paths = DOCUMENT["paths"]
    form = paths["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    stored = paths["/upload/{upload_id}/files/{name}"]["get"]["responses"]["200"]["content"]
    bodies = [form["properties"]["file"], *(kind["schema"] for kind in stored.values())]
    bodies += [
        kind["schema"]
        for method in ("put", "patch")
        for kind in paths["/upload/{upload_id}"][method]["requestBody"]["content"].values()
    ]
    assert [body.get("format") for body in bodies] == ["binary"] * len(bodies)


def test_every_reference_leads_somewhere() -> None:
    """Each `$ref` is a pointer into this document (RFC 6901) with something at its end."""
    found = references(DOCUMENT)
    assert found
    for reference in found:
        place: Any = DOCUMENT
        assert reference.startswith("#/")
        for name in reference[2:].split("/"):
            assert name in place, reference
            place = place[name]


def test_every_operation_says_what_comes_back() -> None:
    """A summary, answers, and for each error the problem."""
    for path, method, operation in operations():
        assert operation["summary"], (path, method)
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert "$ref" in response or response["description"], (path, status)
            if int(status) >= 400 and path not in ("/readyz", "/healthz"):
                assert references(response) == {"#/components/schemas/Problem"}, (path, status)


def test_every_parameter_of_a_path_is_described() -> None:
    """Names in braces are parameters of their path or operation."""
    for path, methods in DOCUMENT["paths"].items():
        names = set(re.findall(r"{(\w+)}", path))
        for method, operation in methods.items():
            if method == "parameters":
                continue
            given = [*methods.get("parameters", []), *operation.get("parameters", [])]
            assert {p["name"] for p in given if p["in"] == "path"} == names, path
            assert all(p["required"] for p in given if p["in"] == "path")


def test_events_are_described_by_the_type_that_decodes_them() -> None:
    """Every field of an event, in its name on the wire, and the stages of the table."""
    event = DOCUMENT["components"]["schemas"]["Event"]
    fields = {field.encode_name for field in msgspec.structs.fields(Event)}
    assert set(event["properties"]) == fields
    assert all(stage in event["properties"]["stage"]["description"] for stage in DEFAULT_TABLE)
    state = DOCUMENT["components"]["schemas"]["State"]
    assert set(state["properties"]) == fields - {"type"} | {
        "status",
        "deleted",
        "live",
        "asOf",
        "title",
        "queuePosition",
        "size",
        "contentType",
        "fields",
        "offset",
        "expiresAt",
    }


def test_problems_name_every_code() -> None:
    """Whoever reads the description knows what to expect."""
    text = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["description"]
    for problem in PROBLEMS:
        assert f"`{problem.code}`" in text


@pytest.mark.parametrize(("prefix", "url"), [("", "/"), ("/api/media", "/api/media")])
def test_the_prefix_is_the_server(prefix: str, url: str) -> None:
    """Paths are told without it."""
    assert document(ROUTES, version="1", prefix=prefix, tokens=False)["servers"] == [{"url": url}]


def test_tokens_are_described_where_they_are_asked_for() -> None:
    """In open mode there is no security to describe."""
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"bearer", "cookie"}
    opened = document(ROUTES, version="1", prefix="", tokens=False)
    assert opened["security"] == []
    assert "securitySchemes" not in opened["components"]


def test_it_is_plain_json() -> None:
    """Encoded and decoded it is the same."""
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["version"] == "1.2.3"
