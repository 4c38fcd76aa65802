"""A running nginx with the configuration that this project ships, in front of a service."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.helpers.ports import free_port
from tests.helpers.processes import bound, children
from tests.helpers.service import ROOT
from tests.helpers.waiting import wait_until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


class Nginx:
    """`nginx.conf` as it stands, to the byte, with `nginx.d` of a directory of its own.

    `upstreams` are `http://` addresses of the service; all but the first are used only while the
    first is away. Open it as a context manager; `url` is `https://localhost:…`, `plain_url` the
    address that redirects there, `tls` trusts its certificate, `logs` has what it wrote.
    """

    def __init__(self, directory: Path, *upstreams: str) -> None:
        self.directory = directory
        self._upstreams = [address.removeprefix("http://") for address in upstreams]
        self._port = free_port()
        self._plain_port = free_port()
        self.url = f"https://localhost:{self._port}"
        self.plain_url = f"http://localhost:{self._plain_port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def certificate(self) -> Path:
        return self.directory / "tls" / "fullchain.pem"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in self.directory.glob("*.log"))

    def __enter__(self) -> Nginx:
        (self.directory / "nginx.d").mkdir(parents=True, exist_ok=True)
        self._certify()
        shutil.copy(ROOT / "nginx.conf", self.directory)
        for name, lines in self._places().items():
            (self.directory / "nginx.d" / name).write_text("\n".join([*lines, ""]))
        self._process = subprocess.Popen(
            bound([NGINX, "-p", str(self.directory), "-c", "nginx.conf", "-g", "daemon off;"]),
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
            self._process.wait(timeout=60)

    def workers(self) -> set[int]:
        assert self._process is not None
        return set(children(self._process.pid))

    def reload(self) -> None:
        """Read the configuration again, as `nginx -s reload` does; returns with new workers there.

        Old workers stay while they have something to finish.
        """
        assert self._process is not None
        before = self.workers()
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.workers() - before, "nginx has new workers")

    def _certify(self) -> None:
        self.certificate.parent.mkdir(exist_ok=True)
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout", str(self.certificate.with_name("privkey.pem")),
                "-out", str(self.certificate),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def _places(self) -> dict[str, Sequence[str]]:
        first, *others = self._upstreams
        return {
            "main.conf": [
                f"user {getpass.getuser()};",
                f"pid {self.directory}/nginx.pid;",
                f"error_log {self.directory}/error.log crit;",
            ],
            "upstream.conf": [
                f"server {first} max_fails=3 fail_timeout=5s;",
                *[f"server {other} backup;" for other in others],
            ],
            "plain.conf": [f"listen 127.0.0.1:{self._plain_port};"],
            "site.conf": [
                f"listen 127.0.0.1:{self._port} ssl http2;",
                "server_name localhost;",
                "ssl_certificate tls/fullchain.pem;",
                "ssl_certificate_key tls/privkey.pem;",
                "client_max_body_size 1025m;",
                f"access_log {self.directory}/access.log sse_progress if=$worth_a_line;",
            ],
        }

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "nginx ended"
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
        except OSError:
            return False
