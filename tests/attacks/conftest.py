"""Three services for all attacks: open, with a secret, with a public key."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.attacks.words import AUDIENCE, ISSUER, SECRET, Caller, new_id
from tests.helpers.service import SERVE, Service

TOKENS = {
    "SSE_PROGRESS_JWT_AUDIENCE": AUDIENCE,
    "SSE_PROGRESS_JWT_ISSUER": ISSUER,
    "SSE_PROGRESS_JWT_LEEWAY_S": "0",
    # One machine plays all the users.
    "SSE_PROGRESS_REQUESTS_PER_MINUTE_PER_ADDRESS": "1000000",
}


@contextmanager
def running(env: dict[str, str], *, command: tuple[str, ...] = SERVE) -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="sp-attack-"))
    with Service(directory, env, command=command) as service:
        yield service
        # Whatever was sent, nothing in the rig broke.
        assert "Traceback" not in service.log, service.log[-4000:]
        assert "unexpected error" not in service.log, service.log[-4000:]
    shutil.rmtree(directory)


@pytest.fixture(scope="package")
def opened() -> Iterator[Service]:
    """A service in open mode. No file of these tests is worth 10 s of a stage's CPU time."""
    env = {"SSE_PROGRESS_MAX_UPLOAD_BYTES": str(8 * 1024**2), "SSE_PROGRESS_STAGE_CPU_S": "10"}
    with running(env) as service:
        yield service


@pytest.fixture(scope="package")
def locked() -> Iterator[Service]:
    """A service whose callers show tokens signed with SECRET."""
    with running({**TOKENS, "SSE_PROGRESS_JWT_SECRET": SECRET}) as service:
        yield service


@pytest.fixture(scope="package")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="package")
def rsa_pem(rsa_key: rsa.RSAPrivateKey) -> str:
    return (
        rsa_key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(scope="package")
def locked_rsa(rsa_pem: str) -> Iterator[Service]:
    """A service whose callers show tokens signed with `rsa_key`."""
    with running({**TOKENS, "SSE_PROGRESS_JWT_PUBLIC_KEY": rsa_pem}) as service:
        yield service


@pytest.fixture
def anybody(opened: Service) -> Caller:
    return Caller(opened)


@pytest.fixture
def alice(locked: Service) -> Caller:
    return Caller.named(locked, f"alice-{new_id()}")


@pytest.fixture
def mallory(locked: Service) -> Caller:
    return Caller.named(locked, f"mallory-{new_id()}")
