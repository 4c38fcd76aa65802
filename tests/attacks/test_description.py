"""The served description (OpenAPI) against the service: what it promises is what is answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sse_progress.web.app import ROUTES
from sse_progress.web.description.openapi import document
from tests.attacks.words import check_silence, token
from tests.helpers.raw_http import Answer
from tests.helpers.service import Service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
HERE = {"prefix": "", "tokens": True, "version": "0.1.0"}
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, item in document(ROUTES, **HERE)["paths"].items()  # type: ignore[arg-type]
    for method in item
    if method in ("get", "post", "delete")
    # An event stream has no end to wait for; tests/wire reads them.
    if path != "/uploads/progress"
]

QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=500, derandomize=False)


@pytest.fixture(scope="module")
def described(locked: Service) -> Any:
    """What is served, read once: its references are resolved and its checks compiled once, too."""
    return schemathesis.openapi.from_dict(httpx.get(f"{locked.url}/openapi.json").json())


def check_operation(service: Service, described: Any, label: str, how: settings) -> None:
    method, path = label.split()
    operation = described[path][method]
    bearer = {"Authorization": f"Bearer {token(sub='describer')}"}

    @how
    @given(st.one_of(operation.as_strategy(), _negative(operation)))
    def one(case: Any) -> None:
        if path.endswith("/progress"):
            case.headers = {**(case.headers or {}), "Accept": "application/json"}
        answer = case.call(base_url=service.url, headers=bearer, timeout=30)
        case.validate_response(answer, checks=CHECKS, headers=bearer)
        if answer.status_code >= 400:
            fields = {name.lower(): value[0] for name, value in answer.headers.items()}
            check_silence(Answer(answer.status_code, fields, answer.content))

    one()


def _negative(operation: Any) -> Any:
    return operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_described_is_what_is_answered(locked: Service, described: Any, label: str) -> None:
    """Made-up requests, good and bad: status, type, headers and JSON as described, never a 500."""
    check_operation(locked, described, label, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_described_for_long(locked: Service, described: Any, label: str) -> None:
    """The same with many more requests."""
    check_operation(locked, described, label, LONG)


def test_the_served_description_is_the_tested_one(locked: Service) -> None:
    """No operation is served undescribed to this table."""
    served = httpx.get(f"{locked.url}/openapi.json").json()["paths"]
    assert set(served) == set(document(ROUTES, **HERE)["paths"])  # type: ignore[arg-type]


def test_the_description_is_sent_once_to_a_client_that_keeps_it(locked: Service) -> None:
    """115 KB for a request of 100 bytes: it is asked for by its ETag (RFC 9110 §13.1.2)."""
    url = f"{locked.url}/openapi.json"
    whole = httpx.get(url)
    assert whole.headers["Cache-Control"] == "no-cache"  # to be kept, and asked for each time
    known = httpx.get(url, headers={"If-None-Match": whole.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    other = httpx.get(url, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
