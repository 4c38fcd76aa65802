"""`sse-progress serve`: one socket, a private Redis, web and worker processes, kept alive together.

It owns their order, their restarts and their end, and speaks in plain lines. It serves nothing
itself, has one thread, and imports little: it is there all the time.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from sse_progress.runtime.linux import harden_this_process
from sse_progress.supervisor import private_redis
from sse_progress.supervisor.launch_plan import Plan
from sse_progress.supervisor.listen_socket import ListenError, base_url, listen, local_url
from sse_progress.supervisor.managed_process import Child
from sse_progress.supervisor.private_redis import PrivateRedis, PrivateRedisError

__all__ = ["Supervisor", "become"]

PLAN = "SSE_PROGRESS_SUPERVISOR_PLAN"
WEB_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "536870912"}
"""Keeps glibc from giving body buffers back and faulting them in again, once per read."""
ORDER = ("web", "worker", "redis")
"""Streams end first; what everything else needs ends last."""
REDIS_GRACE_S = 10.0
REDIS_START_S = 15.0
KILL_WAIT_S = 10.0
STEP_S = 0.02
HEALTH_STEP_S = 0.2
SLOW_START_S = 30.0
EARLY_FAILURES = 5
"""A process that ends so often before the service was ever ready will not get better."""
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def become(plan: Plan, environment: Mapping[str, str]) -> NoReturn:
    """Turn this process into the supervisor: same process id, a third of the memory.

    Reading and checking settings needs large libraries; supervising does not.
    """
    if not sys.argv[0].endswith("__main__.py"):
        # started by its script, so no process of ours shall import from the current directory
        environment = {**environment, "PYTHONSAFEPATH": "1"}
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the supervisor listens to them
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606  # ourselves
        sys.executable,
        [sys.executable, "-m", "sse_progress.supervisor.supervisor"],
        {**environment, PLAN: json.dumps(asdict(plan))},
    )


def default_commands() -> dict[str, list[str]]:
    here = [sys.executable, "-m", "sse_progress"]
    return {"web": [*here, "web"], "worker": [*here, "worker"]}


class _Failed(Exception):
    """The service cannot go on: one line for a person, and the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Supervisor:
    """`run()` returns the exit code: 0 ended on request, 1 ended by force or broken, 2 wrong use.

    `commands` are the web and worker command lines; web's gets `--fd N`, the listening socket.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        environment: Mapping[str, str],
        commands: Mapping[str, Sequence[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._environment = dict(environment)
        self._commands = commands or default_commands()
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._children: list[Child] = []
        self._redis: PrivateRedis | None = None
        self._socket: socket.socket | None = None
        self._began_at = clock()
        self._stopping = False
        self._at_once = False
        self._waiting_for_redis = False
        self._announced = False
        self._next_probe_at = 0.0
        self._wake_in, self._wake_out = os.pipe()

    # ---- the whole life

    def run(self) -> int:
        self._listen_to_signals()
        try:
            self._prepare()
            self._start()
            self._keep()
            return self._end()
        except (ListenError, PrivateRedisError) as error:
            self._say(str(error), "error")
            return 2
        except _Failed as error:
            self._say(str(error), "error")
            self._end()
            return error.code
        finally:
            for child in self._children:
                child.kill()

    def _prepare(self) -> None:
        """Everything that can be found wrong before a process is started."""
        plan = self._plan
        _check_writable(Path(plan.data_dir))
        if not plan.redis:
            self._redis = PrivateRedis.prepare(Path(plan.data_dir))
        self._socket = listen(
            plan.host, plan.port, loopback_only=plan.open_mode and not plan.open_mode_anywhere
        )
        if self._redis:
            self._redis.lock.sign(base_url(self._socket))

    def _start(self) -> None:
        environment = self._environment
        if self._redis:
            self._add_redis(self._redis)
            environment["SSE_PROGRESS_REDIS_URL"] = self._redis.url
            self._wait_for_redis(self._redis)
            if self._stopping:
                return
        assert self._socket is not None
        about_redis = f"{self._redis.binary}, private" if self._redis else f"at {self._plan.redis}"
        for line in self._plan.banner(bound=base_url(self._socket), redis=about_redis):
            self._say(line)
        if self._plan.redis and (reason := _unreachable(self._plan.redis)):
            self._say(
                f"Redis at {self._plan.redis} does not answer ({reason}): waiting for it.",
                "warning",
            )
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(_own_directory(Path(self._plan.data_dir)))
        for number in range(1, self._plan.web_processes + 1):
            fd = self._socket.fileno()
            command = [*self._commands["web"], "--fd", str(fd)]
            self._add("web", number, command, {**environment, **WEB_MEMORY}, (fd,))
        for number in range(1, self._plan.worker_processes + 1):
            self._add("worker", number, self._commands["worker"], _without_keys(environment), ())

    def _keep(self) -> None:
        """Until asked to end: restart what ends, and log once when all is ready."""
        warned = False
        while not self._stopping:
            self._turn()
            if self._announced:
                continue
            if self._all_ready():
                self._announce()
            elif not warned and self._clock() - self._began_at > SLOW_START_S:
                warned = True
                waiting = ", ".join(child.name for child in self._children if not child.ready)
                self._say(
                    f"Not ready after {SLOW_START_S:.0f} s: {waiting or 'no answer'}.", "warning"
                )

    def _end(self) -> int:
        """End everything in order, each with a bound. 1 if anything had to be killed."""
        self._stopping = True
        killed = False
        for role in ORDER:
            grace_s = REDIS_GRACE_S if role == "redis" else self._plan.end_grace_s
            killed |= self._end_role(role, grace_s)
        if self._announced:
            self._say("Ended at once." if killed and self._at_once else "Ended.")
        return 1 if killed else 0

    def _end_role(self, role: str, grace_s: float) -> bool:
        def living() -> list[Child]:
            return [child for child in self._children if child.role == role and child.process]

        for child in living():
            child.terminate()
        self._pump_until(lambda: not living() or self._at_once, grace_s)
        stubborn = living()
        for child in stubborn:
            if not self._at_once:
                self._say(f"{child.name} did not end within {grace_s:g} s; killing it.", "warning")
            child.kill()
        self._pump_until(lambda: not living(), KILL_WAIT_S)
        return bool(stubborn)

    # ---- children

    def _add_redis(self, redis: PrivateRedis) -> None:
        child = Child(
            role="redis",
            name="redis",
            command=redis.command,
            environment=private_redis.ENVIRONMENT,
            directory=redis.directory,
            descriptors=(redis.lock.descriptor,),
            says_ready=False,
        )
        self._children.append(child)
        self._launch(child)

    def _add(
        self,
        role: str,
        number: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: tuple[int, ...],
    ) -> None:
        child = Child(
            role=role,
            name=f"{role} {number}",
            command=command,
            environment=environment,
            descriptors=descriptors,
        )
        self._children.append(child)
        self._launch(child)

    def _launch(self, child: Child) -> None:
        try:
            child.start(self._clock())
        except OSError as error:
            raise _Failed(f"{child.name} cannot be started: {error}", 1) from None
        if child.ready_pipe is not None:
            self._selector.register(child.ready_pipe, selectors.EVENT_READ, child)

    def _wait_for_redis(self, redis: PrivateRedis) -> None:
        child = self._children[0]
        self._waiting_for_redis = True
        answer = redis.probe()
        deadline = self._clock() + REDIS_START_S
        while answer != "ready" and not self._stopping:
            if child.process is None or (answer == "away" and self._clock() > deadline):
                reason = redis.last_words() or "it gave no reason"
                raise _Failed(
                    f"{redis.binary} ({redis.binary.path}) does not start: {reason}. "
                    f"Its log is {redis.log_path}.",
                    2,
                )
            self._pump(STEP_S)
            answer = redis.probe()
        self._waiting_for_redis = False
        child.ready = True
        redis.wrote()

    def _turn(self) -> None:
        """One round: wait for whatever comes first, then restart what is due."""
        now = self._clock()
        dues = [child.restart_at - now for child in self._children if child.restart_at]
        if not self._announced:
            dues.append(HEALTH_STEP_S)
        redis = self._redis_to_probe()
        if redis is not None:
            dues.append(STEP_S)
        self._pump(max(min(dues), 0.0) if dues else None)
        now = self._clock()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now and not self._stopping:
                self._launch(child)
        redis = self._redis_to_probe()
        if redis is not None and redis.probe(timeout_s=0.2) == "ready":
            self._children[0].ready = True
            self._say("redis answers again.")

    def _redis_to_probe(self) -> PrivateRedis | None:
        """The private Redis while it is coming back."""
        if self._redis is None or self._children[0].ready or not self._children[0].process:
            return None
        return self._redis

    def _reap(self) -> None:
        """Collect every ended process, also strangers that became ours (as process 1)."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            child = next((c for c in self._children if c.pid == ended.si_pid), None)
            if child is None:
                os.waitpid(ended.si_pid, 0)
                continue
            self._ended(child)

    def _ended(self, child: Child) -> None:
        pid = child.pid
        if child.ready_pipe is not None:
            self._selector.unregister(child.ready_pipe)
        code = child.reap()
        if self._stopping or self._waiting_for_redis:
            return
        if not self._announced:
            if code == 2:  # it has said what is wrong
                raise _Failed(f"{child.name} refuses to start.", 2)
            if child.failures + 1 >= EARLY_FAILURES:
                raise _Failed(f"{child.name} ended {EARLY_FAILURES} times before it was ready.", 1)
        delay_s = child.plan_restart(self._clock())
        self._say(
            f"{child.name} (process {pid}) {_how(code)}; starting it again in {delay_s:.1f} s.",
            "warning",
        )

    # ---- waiting

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        signal.signal(signal.SIGCHLD, _wake)
        for sig in STOPS:
            if sig != signal.SIGHUP or signal.getsignal(sig) != signal.SIG_IGN:  # nohup
                signal.signal(sig, _wake)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def _pump_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        deadline = self._clock() + limit_s
        while not condition() and (left_s := deadline - self._clock()) > 0:
            self._pump(left_s)

    def _pump(self, timeout_s: float | None) -> None:
        """Wait at most `timeout_s` for a signal or a readiness byte, and take what came."""
        for key, _ in self._selector.select(timeout_s):
            child = key.data
            if child is None:
                for number in os.read(self._wake_in, 512):
                    self._take_signal(number)
            else:
                self._selector.unregister(key.fd)
                child.read_ready()
        self._reap()

    def _take_signal(self, number: int) -> None:
        if number not in STOPS:
            return
        if self._stopping:
            self._at_once |= number == signal.SIGINT
            return
        self._stopping = True
        self._say(
            "Ending: streams first, then workers."
            + (" Ctrl-C again ends at once." if number == signal.SIGINT else "")
        )

    # ---- readiness and words

    def _all_ready(self) -> bool:
        if not all(child.ready for child in self._children):
            return False
        now = self._clock()
        if now < self._next_probe_at:
            return False
        self._next_probe_at = now + HEALTH_STEP_S
        assert self._socket is not None
        return _healthy(self._socket, self._plan.prefix)

    def _announce(self) -> None:
        self._announced = True
        assert self._socket is not None
        ready_s = self._clock() - self._began_at
        for line in self._plan.invitation(local=local_url(self._socket), ready_s=ready_s):
            self._say(line)

    def _say(self, text: str, level: str = "info") -> None:
        if self._plan.json_log:
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            text = json.dumps(
                {"timestamp": moment, "level": level, "logger": "supervisor", "event": text.strip()}
            )
        try:
            os.write(2, f"{text}\n".encode())
        except OSError:
            pass  # no reader; that is no reason to end


def _wake(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor tells the loop; nothing is done inside a handler."""


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _check_writable(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _Failed(
            f"{directory} cannot be written ({error.strerror}). Choose another --data-dir "
            "(SSE_PROGRESS_DATA_DIR), or make it yours.",
            2,
        ) from None


def _own_directory(data_dir: Path) -> Path:
    """`run/<pid>` for what lives as long as this process; what dead ones left is removed."""
    run = data_dir / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    for left in run.iterdir():
        if not Path(f"/proc/{left.name}").exists():
            shutil.rmtree(left, ignore_errors=True)
    own = run / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700)
    return own


def _unreachable(place: str, *, timeout_s: float = 2.0) -> str | None:
    """Why there is no answer at `place`, a socket's path or host:port; None if there is."""
    unix = place.startswith("/")
    host, _, port = place.rpartition(":")
    try:
        if unix:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.connect(place)
        else:
            socket.create_connection((host, int(port)), timeout_s).close()
    except OSError as error:
        return error.strerror or "no answer"
    return None


def _healthy(listening: socket.socket, prefix: str, *, timeout_s: float = 2.0) -> bool:
    """Whether `GET /healthz` answers 200 on the listening socket's own address."""
    parts = urlsplit(local_url(listening))
    request = f"GET {prefix}/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((str(parts.hostname), parts.port or 0), timeout_s) as wire:
            wire.sendall(request.encode())
            return wire.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets: it opens files of strangers, and never looks at a token."""
    return {k: v for k, v in environment.items() if not k.startswith("SSE_PROGRESS_JWT_")}


def main() -> NoReturn:
    harden_this_process()  # the environment holds keys
    environment = dict(os.environ)
    plan = Plan(**json.loads(environment.pop(PLAN)))
    sys.exit(Supervisor(plan, environment=environment).run())


if __name__ == "__main__":
    main()
