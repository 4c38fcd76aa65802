"""A running nginx with the configuration that this project ships, in front of a service."""

from __future__ import annotations

import getpass
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from types import TracebackType

from tests.helpers.processes import die_with_parent
from tests.helpers.service import ROOT
from tests.helpers.waiting import wait_until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nginx:
    """`nginx.conf` as it stands, with a directory, a certificate and ports of its own put in.

    `upstream` is the service's `http://` address. Open it as a context manager; `url` is
    `https://localhost:…`, `tls` trusts its certificate, `logs` has what it wrote.
    """

    def __init__(self, directory: Path, upstream: str) -> None:
        self.directory = directory
        self._upstream = upstream.removeprefix("http://")
        self._port = free_port()
        self.url = f"https://localhost:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.directory / "fullchain.pem"))

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in self.directory.glob("*.log"))

    def __enter__(self) -> Nginx:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._certify()
        config = self.directory / "nginx.conf"
        config.write_text(self._config())
        self._process = subprocess.Popen(
            [NGINX, "-c", str(config), "-p", str(self.directory)], preexec_fn=die_with_parent
        )
        wait_until(self._listens, "nginx listens")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def _certify(self) -> None:
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout", str(self.directory / "privkey.pem"),
                "-out", str(self.directory / "fullchain.pem"),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def _config(self) -> str:
        text = (ROOT / "nginx.conf").read_text()
        for old, new in {
            "/etc/nginx/tls/": f"{self.directory}/",
            "/var/log/nginx/": f"{self.directory}/",
            "/run/nginx.pid": f"{self.directory}/nginx.pid",
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ssl": f"listen 127.0.0.1:{self._port} ssl",
            "127.0.0.1:8000": self._upstream,
            "worker_processes auto;": (
                f"daemon off;\nworker_processes 1;\nuser {getpass.getuser()};"
            ),
        }.items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "nginx ended"
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
        except OSError:
            return False
