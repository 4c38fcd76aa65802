"""`sse-progress serve`: one socket, a private Redis, web and worker processes, kept alive together.

It owns their order, their restarts and their end, and speaks in plain lines. It serves nothing
itself, has one thread, and imports little: it is there all the time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from sse_progress.runtime.handed_over import take_over
from sse_progress.runtime.linux import harden_this_process
from sse_progress.supervisor.checks import (
    Failed,
    check_writable,
    healthy,
    own_directory,
    unreachable,
)
from sse_progress.supervisor.launch_plan import PLAN, Plan
from sse_progress.supervisor.listen_socket import ListenError, base_url, listen, local_url
from sse_progress.supervisor.managed_process import ManagedProcess
from sse_progress.supervisor.output import Output, how_it_ended
from sse_progress.supervisor.private_redis import PrivateRedis
from sse_progress.supervisor.process_table import STOPS, ProcessTable, has_terminal
from sse_progress.supervisor.redis_binaries import PrivateRedisError
from sse_progress.supervisor.rolling_restart import RollingRestart
from sse_progress.supervisor.service_processes import (
    default_commands,
    redis_process,
    service_processes,
)

__all__ = ["Supervisor"]

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
        self._table = ProcessTable(clock=clock, on_signal=self._take_signal, on_end=self._ended)
        self._redis: PrivateRedis | None = None
        self._socket: socket.socket | None = None
        self._say = Output(json_lines=plan.json_log).say
        self._began_at = clock()
        self._stopping = False
        self._at_once = False
        self._waiting_for_redis = False
        self._announced = False
        self._roll_wanted = False
        self._rolling = RollingRestart(
            self._table,
            turn_until=self._turn_until,
            stopping=lambda: self._stopping,
            say=self._say,
            end_grace_s=plan.end_grace_s,
        )
        self._next_probe_at = 0.0

    # ---- the whole life

    def run(self) -> int:
        self._table.listen_to_signals()
        try:
            self._prepare()
            self._start()
            self._keep()
            return self._end()
        except (ListenError, PrivateRedisError) as error:
            self._say(str(error), "error")
            return 2
        except Failed as error:
            self._say(str(error), "error")
            self._end()
            return error.code
        finally:
            self._table.kill_all()

    def _prepare(self) -> None:
        """Everything that can be found wrong before a process is started."""
        plan = self._plan
        check_writable(Path(plan.data_dir))
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
            self._table.add(redis_process(self._redis))
            environment["SSE_PROGRESS_REDIS_URL"] = self._redis.url
            self._wait_for_redis(self._redis)
            if self._stopping:
                return
        assert self._socket is not None
        about_redis = f"{self._redis.binary}, private" if self._redis else f"at {self._plan.redis}"
        for line in self._plan.banner(bound=base_url(self._socket), redis=about_redis):
            self._say(line)
        if self._plan.redis and (reason := unreachable(self._plan.redis)):
            self._say(
                f"Redis at {self._plan.redis} does not answer ({reason}): waiting for it.",
                "warning",
            )
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(own_directory(Path(self._plan.data_dir)))
        for process in service_processes(
            self._plan, self._commands, environment, self._socket.fileno()
        ):
            self._table.add(process)

    def _keep(self) -> None:
        """Until asked to end: restart what ends, and log once when all is ready."""
        warned = False
        while not self._stopping:
            self._turn()
            if self._announced:
                if self._roll_wanted:
                    self._roll_wanted = False
                    self._rolling.roll()
                continue
            if self._all_ready():
                self._announce()
            elif not warned and self._clock() - self._began_at > SLOW_START_S:
                warned = True
                waiting = ", ".join(
                    process.name for process in self._table.all if not process.ready
                )
                self._say(
                    f"Not ready after {SLOW_START_S:.0f} s: {waiting or 'no answer'}.", "warning"
                )

    def _turn_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        deadline = self._clock() + limit_s
        while not condition() and not self._stopping and self._clock() < deadline:
            self._turn(deadline)

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
        def living() -> list[ManagedProcess]:
            return self._table.living(role)

        for process in living():
            process.terminate()
        self._table.pump_until(lambda: not living() or self._at_once, grace_s)
        stubborn = living()
        for process in stubborn:
            if not self._at_once:
                self._say(
                    f"{process.name} did not end within {grace_s:g} s; killing it.", "warning"
                )
            process.kill()
        self._table.pump_until(lambda: not living(), KILL_WAIT_S)
        return bool(stubborn)

    # ---- processes

    def _wait_for_redis(self, redis: PrivateRedis) -> None:
        process = self._table.all[0]
        self._waiting_for_redis = True
        answer = redis.probe()
        deadline = self._clock() + REDIS_START_S
        while answer != "ready" and not self._stopping:
            if process.process is None or (answer == "away" and self._clock() > deadline):
                reason = redis.last_words() or "it gave no reason"
                raise Failed(
                    f"{redis.binary} ({redis.binary.path}) does not start: {reason}. "
                    f"Its log is {redis.log_path}.",
                    2,
                )
            self._table.pump(STEP_S)
            answer = redis.probe()
        self._waiting_for_redis = False
        process.ready = True
        redis.wrote()

    def _turn(self, until: float | None = None) -> None:
        """One round: wait for whatever comes first, then restart what is due."""
        now = self._clock()
        dues = [process.restart_at - now for process in self._table.all if process.restart_at]
        if until is not None:
            dues.append(until - now)
        if not self._announced:
            dues.append(HEALTH_STEP_S)
        redis = self._redis_to_probe()
        if redis is not None:
            dues.append(STEP_S)
        self._table.pump(max(min(dues), 0.0) if dues else None)
        if not self._stopping:
            self._table.start_due()
        redis = self._redis_to_probe()
        if redis is not None and redis.probe(timeout_s=0.2) == "ready":
            self._table.all[0].ready = True
            self._say("redis answers again.")

    def _redis_to_probe(self) -> PrivateRedis | None:
        """The private Redis while it is coming back."""
        if self._redis is None or self._table.all[0].ready or not self._table.all[0].process:
            return None
        return self._redis

    def _ended(self, process: ManagedProcess, pid: int, code: int) -> None:
        if self._stopping or self._waiting_for_redis or process is self._rolling.leaving:
            return
        if not self._announced:
            if code == 2:  # it has said what is wrong
                raise Failed(f"{process.name} refuses to start.", 2)
            if process.failures + 1 >= EARLY_FAILURES:
                raise Failed(f"{process.name} ended {EARLY_FAILURES} times before it was ready.", 1)
        delay_s = process.plan_restart(self._clock())
        self._say(
            f"{process.name} (process {pid}) {how_it_ended(code)}; restarting in {delay_s:.1f} s.",
            "warning",
        )

    def _take_signal(self, number: int) -> None:
        if number not in STOPS:
            return
        if number == signal.SIGHUP and self._announced and not has_terminal():
            self._roll_wanted = True
            return
        if self._stopping:
            self._at_once |= number == signal.SIGINT
            return
        self._stopping = True
        self._say(
            "Shutting down: streams first, then workers."
            + (" Press Ctrl-C again to end at once." if number == signal.SIGINT else "")
        )

    # ---- readiness and words

    def _all_ready(self) -> bool:
        if not all(process.ready for process in self._table.all):
            return False
        now = self._clock()
        if now < self._next_probe_at:
            return False
        self._next_probe_at = now + HEALTH_STEP_S
        assert self._socket is not None
        return healthy(self._socket, self._plan.prefix)

    def _announce(self) -> None:
        self._announced = True
        assert self._socket is not None
        ready_s = self._clock() - self._began_at
        for line in self._plan.invitation(local=local_url(self._socket), ready_s=ready_s):
            self._say(line)


def main() -> NoReturn:
    harden_this_process()
    take_over()
    environment = dict(os.environ)
    plan = Plan(**json.loads(environment.pop(PLAN)))
    sys.exit(Supervisor(plan, environment=environment).run())


if __name__ == "__main__":
    main()
