"""One service for wire tests, and short words for what they do with it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.service import Service


@pytest.fixture
def running(usual_service: Service) -> Service:
    return usual_service


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client
