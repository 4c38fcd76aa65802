"""A decoder in an attacker's hands: what one upload's stages can do to everything else.

The stages of `exploited` run what the uploaded file says, as a decoder does that was taken over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.conftest import TOKENS, running
from tests.attacks.exploited import MARK
from tests.attacks.words import SECRET, Caller, check_refused, new_id
from tests.helpers.multipart import Part, file_part
from tests.helpers.service import ROOT, SERVE, Service

HELD = b"what alice gave us to keep"


@pytest.fixture(scope="module")
def taken() -> Iterator[Service]:
    """A service with a secret, whose stages do what a file tells them. Its settings lie beside
    modules that stages import."""
    beside = Path(tempfile.mkdtemp(prefix="sp-attack-"))
    settings = beside / ".env"
    settings.write_text(f"SSE_PROGRESS_JWT_SECRET={SECRET}\n")
    env = {
        "SSE_PROGRESS_ENV_FILE": str(settings),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{beside}",
        "SSE_PROGRESS_PIPELINE": "tests.attacks.exploited:pipeline",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
        "SSE_PROGRESS_STAGE_TIMEOUT_S": "60",
    }
    with running({**TOKENS, **env}) as service:
        yield service
    shutil.rmtree(beside)


@pytest.fixture
def owner(taken: Service) -> Caller:
    return Caller.named(taken, f"alice-{new_id()}")


@pytest.fixture
def intruder(taken: Service) -> Caller:
    return Caller.named(taken, f"mallory-{new_id()}")


@pytest.fixture
def kept(owner: Caller) -> Path:
    """The original of somebody else's finished upload, where it lies."""
    upload_id = new_id()
    answer = owner.post([Part("file", HELD, "hers.txt", "text/plain")], upload_id=upload_id)
    assert answer.status == 200, answer.body
    (path,) = [path for path in owner.files_of(upload_id) if path.endswith("/original")]
    return owner.service.data_dir / path


def exploit(stage: str, *lines: str) -> Part:
    """A file that does `lines` in `stage`."""
    return file_part("\n".join([MARK + stage, *lines, ""]).encode(), "a.txt", "text/plain")


def media_after(caller: Caller, *parts: Part) -> dict[str, Any]:
    answer = caller.post(list(parts))
    assert answer.status == 200, answer.body
    media: dict[str, Any] = answer.json["data"]["media"]
    return media


def logged(caller: Caller, upload_id: str, event: str) -> bool:
    return any(event in line and upload_id in line for line in caller.service.log.splitlines())


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")


def capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16)


def test_web_and_workers_have_no_more_than_they_need(taken: Service) -> None:
    """No capabilities but those of files, and no keys in an environment that came from a file."""
    pids = taken.pids()
    for pid in (*pids["web"], *pids["worker"]):
        assert capabilities(pid) & ~0b1111 == 0
    if os.geteuid() == 0:  # nobody else may look
        assert all(SECRET not in environment(pid) for role in pids.values() for pid in role)


def test_readiness_tells_what_stages_are_kept_from(taken: Service) -> None:
    """The setting, and what this kernel has."""
    answer = Caller(taken).ask("GET", "/readyz")
    assert answer.status == 200
    assert answer.json["sandbox"]["mode"] == "best-effort"
    assert "Landlock ABI" in answer.json["sandbox"]["kernel"]


# ---- what comes out of a child

WRONG = {
    "a path for a name": "{'original': {'name': there}}",
    "a climbing name": "{'original': {'name': '../../../' + there}}",
    "a link for a name": "{'original': {'name': link(there)}}",
    "a second name of a file": "{'original': {'name': hard_link()}}",
    "a derived file elsewhere": "{'files': [{'name': there, 'contentType': 'text/plain'}]}",
    "a derived file by a link": "{'files': [{'name': link(there), 'contentType': 'text/plain'}]}",
    "a number for a name": "{'original': {'name': 7}}",
    "text for files": "{'files': 'there'}",
    "a header for a type": "{'files': [{'name': 'a', 'contentType': 'a/b\\r\\nSet-Cookie: a=b'}]}",
    "more files than anybody makes": "{'files': [{'name': f'{at}', 'contentType': 'a/b'} "
    "for at in range(101)]}",
}
HELPERS = (
    "import os",
    "def link(path):",
    "    os.symlink(path, upload.scratch + '/link')",
    "    return 'link'",
    "def hard_link():",
    "    open(upload.scratch + '/first', 'w').close()",
    "    os.link(upload.scratch + '/first', upload.scratch + '/second')",
    "    return 'second'",
)


@pytest.mark.parametrize("case", WRONG)
async def test_a_result_reaches_no_file_of_another_user(
    intruder: Caller, kept: Path, case: str
) -> None:
    """A result that names what is not its own, or has another shape, ends its own upload."""
    upload_id = new_id()
    lines = (*HELPERS, f"there = {str(kept)!r}", f"result = {WRONG[case]}")
    answer = intruder.post([exploit("processing", *lines)], upload_id=upload_id)
    await check_refused(intruder, answer, upload_id, 500, "internal")
    assert logged(intruder, upload_id, "stage result refused")
    assert kept.read_bytes() == HELD


async def test_a_type_is_no_way_into_a_header(intruder: Caller) -> None:
    """What validating returns as the type is sent with the file, so it must be one."""
    upload_id = new_id()
    lines = "result = {'contentType': 'text/html\\r\\nSet-Cookie: a=b'}"
    answer = intruder.post([exploit("validating", lines)], upload_id=upload_id)
    await check_refused(intruder, answer, upload_id, 500, "internal")


def test_a_rewritten_original_is_described_by_the_worker(intruder: Caller) -> None:
    """Size and digest are those of the bytes, whatever the stage says of them."""
    media = media_after(
        intruder,
        exploit(
            "processing",
            "open(upload.scratch + '/new', 'wb').write(b'rewritten')",
            "result = {'original': {'name': 'new', 'size': 5, 'sha256': '0' * 64}}",
        ),
    )
    assert media["size"] == len(b"rewritten")
    assert media["sha256"] == hashlib.sha256(b"rewritten").hexdigest()


CHANNEL = (
    "import os, stat, time",
    "for fd in range(3, 256):",
    "    try:",
    "        if stat.S_ISFIFO(os.fstat(fd).st_mode): break",
    "    except OSError: pass",
)
"""Finds the descriptor over which a child talks to its worker."""

FRAMES = {
    "nested beyond measure": """b'{"type":"finished","result":' + b'{"a":' * 90_000 + b'1'
        + b'}' * 90_000 + b'}'""",
    "a result that is too large": """b'{"type":"finished","result":{"a":"' + b'x' * 1_200_000
        + b'"}}'""",
}


@pytest.mark.parametrize("case", FRAMES)
async def test_a_frame_that_no_stage_sends_ends_the_child(intruder: Caller, case: str) -> None:
    """The worker bounds what it reads and decodes, and the upload ends at once."""
    upload_id = new_id()
    lines = (
        *CHANNEL,
        f"body = ({FRAMES[case]})",
        "left = memoryview(len(body).to_bytes(4, 'big') + body)",
        "while left:",
        "    left = left[os.write(fd, left):]",
        "time.sleep(300)",
    )
    answer = intruder.post([exploit("analyzing", *lines)], upload_id=upload_id)
    await check_refused(intruder, answer, upload_id, 500, "internal")
    assert logged(intruder, upload_id, "a stage child breaks the protocol")


async def test_a_flood_of_reports_ends_the_child(intruder: Caller) -> None:
    """Decoding them costs the worker's time, which belongs to all uploads."""
    upload_id = new_id()
    lines = (
        *CHANNEL,
        """body = b'{"type":"progress","fraction":0.5}'""",
        "while True:",
        "    os.write(fd, len(body).to_bytes(4, 'big') + body)",
    )
    answer = intruder.post([exploit("analyzing", *lines)], upload_id=upload_id)
    await check_refused(intruder, answer, upload_id, 500, "internal")
    assert logged(intruder, upload_id, "a stage child breaks the protocol")


# ---- what a child can reach

BEGIN = (
    "import ctypes, errno, glob, os, signal, socket, subprocess, sys, time",
    "def tried(action):",
    "    try:",
    "        return f'did it: {action()!r}'",
    "    except BaseException as error:",
    "        return errno.errorcode.get(getattr(error, 'errno', None), repr(error))",
    "libc = ctypes.CDLL(None, use_errno=True)",
    "def call(number, *arguments):",
    "    if libc.syscall(ctypes.c_long(number), *arguments) < 0:",
    "        raise OSError(ctypes.get_errno(), 'no')",
)
DENIED = ("EPERM", "EACCES", "EXDEV")
"""EXDEV: landlock(7), a link or rename that would widen what may be done with a file."""
ATTEMPTS = {
    "reads another user's file": "open(there, 'rb').read()",
    "overwrites another user's file": "open(there, 'r+b').write(b'x')",
    "removes another user's file": "os.unlink(there)",
    "takes a second name of it": "os.link(there, upload.scratch + '/second')",
    "takes it away": "os.rename(there, upload.scratch + '/moved')",
    "rewrites its own original": "open(upload.path, 'r+b').write(b'x')",
    "plants a .pth": "open(next(p for p in sys.path if 'site-packages' in p) + '/a.pth', 'w')",
    "plants a module": "open(sys.path[-1] + '/a.py', 'w')",
    "writes to /tmp": "open('/tmp/left-behind', 'w')",
    "exchanges its directory": "os.rename(upload.scratch, upload.scratch + '-moved')",
    "takes the place of a later one": "os.symlink(there, os.path.dirname(upload.scratch) + '/3')",
    "reads the settings": "open(next(p for p in sys.path if os.path.exists(p + '/.env')) "
    "+ '/.env').read()",
    "reads the password of Redis": "open(there.partition('/objects/')[0] + '/redis/password')",
    "reads accounts": "open('/etc/passwd').read()",
    "reads the environment of its parent": "open(f'/proc/{os.getppid()}/environ').read()",
    "reads the memory of its parent": "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
    "lists processes": "os.listdir('/proc')",
    "opens TCP": "socket.create_connection(('127.0.0.1', 1), 1)",
    "opens UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "opens a Unix socket": "socket.socket(socket.AF_UNIX)",
    "kills its parent": "os.kill(os.getppid(), signal.SIGKILL)",
    "asks whether init is there": "os.kill(1, 0)",
    "kills its group": "os.killpg(0, signal.SIGCONT)",
    "kills everybody": "os.kill(-1, 0)",
    "forks": "os.fork()",
    "starts a program": "subprocess.run(['/bin/true'])",
    "becomes a program": "os.execv('/bin/true', ['true'])",
    "becomes a daemon": "os.setsid()",
    "makes a namespace": "call({'x86_64': 272, 'aarch64': 97}[os.uname().machine], "
    "ctypes.c_long(0x10000000))",
    "traces its parent": "call({'x86_64': 101, 'aarch64': 117}[os.uname().machine], "
    "ctypes.c_long(16), ctypes.c_long(os.getppid()), None, None)",
    "makes an io_uring": "call(425, ctypes.c_long(1), None)",
    "takes a key": "call({'x86_64': 250, 'aarch64': 219}[os.uname().machine], ctypes.c_long(0), "
    "ctypes.c_long(-3), ctypes.c_long(0))",
    "takes memory that counts as nobody's": "os.memfd_create('a')",
    "takes its parent's turn": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "leaves its parent idle time": "os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, "
    "os.sched_param(0))",
    "leaves its parent one processor": "os.sched_setaffinity(os.getppid(), {0})",
    "leaves its parent idle disks": "call({'x86_64': 251, 'aarch64': 30}[os.uname().machine], "
    "ctypes.c_long(1), ctypes.c_long(os.getppid()), ctypes.c_long(3 << 13))",
    "limits its parent": "__import__('resource').prlimit(os.getppid(), 7, (0, 0))",
    "sends signals by a pipe": "__import__('fcntl').fcntl(os.pipe()[0], 8, os.getppid())",
}


def test_a_taken_decoder_reaches_nothing_but_its_upload(intruder: Caller, kept: Path) -> None:
    """Each attempt is denied by the kernel, on this one by Landlock and seccomp both."""
    lines = [*BEGIN, f"there = {str(kept)!r}", "result = {'tried': {}}"]
    for name, attempt in ATTEMPTS.items():
        lines.append(f"result['tried'][{name!r}] = tried(lambda: {attempt})")
    found = media_after(intruder, exploit("analyzing", *lines))["analysis"]["tried"]
    assert {name: said for name, said in found.items() if said not in DENIED} == {}
    assert found.keys() == ATTEMPTS.keys()
    assert kept.read_bytes() == HELD


def test_what_a_stage_needs_is_left(intruder: Caller) -> None:
    """Its file, its scratch directory, threads, libraries and more imports."""
    lines = (
        *BEGIN,
        "import threading, sqlite3, tempfile",
        "thread = threading.Thread(target=print); thread.start(); thread.join()",
        "with tempfile.TemporaryFile() as file: file.write(b'a')",
        "os.sched_setaffinity(0, os.sched_getaffinity(0))",
        "result = {'own': len(open(upload.path, 'rb').read()) == upload.size}",
    )
    assert media_after(intruder, exploit("analyzing", *lines))["analysis"] == {"own": True}


def test_a_poisoned_process_sees_no_other_file(intruder: Caller, owner: Caller) -> None:
    """What one file did to the stages' code is gone for the next one, of whomever."""
    poison = (
        "import tests.attacks.exploited as stages",
        "stages._act = lambda *_: {'contentType': 'text/plain', 'poisoned': True}",
        "result = {'contentType': 'text/plain'}",
    )
    for stage in ("validating", "analyzing", "moderating", "processing"):
        media_after(intruder, exploit(stage, *poison))
    media = media_after(owner, file_part(b"plain words", "a.txt", "text/plain"))
    assert "poisoned" not in str(media)


def test_a_taken_decoder_has_no_say_in_moderation(intruder: Caller) -> None:
    """The stages before share its process; those from moderation on find a new one."""
    media = media_after(
        intruder,
        exploit(
            "validating",
            "import tests.attacks.exploited as stages",
            "stages._act = lambda stage, *_: {'contentType': 'text/plain', 'poisoned': True}",
            "result = {'contentType': 'text/plain'}",
        ),
    )
    assert media["analysis"]["poisoned"]
    assert media["moderation"] == {"verdict": "approved"}


# ---- on a kernel without Landlock

WITHOUT_LANDLOCK = (sys.executable, "-m", "tests.attacks.without_landlock", *SERVE[2:])
BY_LANDLOCK_ALONE = frozenset(
    {
        *("reads another user's file", "overwrites another user's file"),
        *("removes another user's file", "takes a second name of it", "takes it away"),
        *("rewrites its own original", "plants a .pth", "plants a module", "writes to /tmp"),
        *("exchanges its directory", "takes the place of a later one"),
        *("reads the settings", "reads the password of Redis", "reads accounts", "lists processes"),
    }
)


@pytest.fixture(scope="module")
def lesser() -> Iterator[Service]:
    """The same service where seccomp is all there is."""
    env = {
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_PIPELINE": "tests.attacks.exploited:pipeline",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
    }
    with running({**TOKENS, **env}, command=WITHOUT_LANDLOCK) as service:
        yield service


def test_without_landlock_there_is_no_way_out_of_the_process(lesser: Service) -> None:
    """Files are open to it, and only they: no network, no programs, no other process."""
    caller = Caller.named(lesser, "mallory")
    lines = [*BEGIN, "there = '/nowhere'", "result = {'tried': {}}"]
    left = ATTEMPTS.keys() - BY_LANDLOCK_ALONE
    lines += [f"result['tried'][{name!r}] = tried(lambda: {ATTEMPTS[name]})" for name in left]
    found = media_after(caller, exploit("analyzing", *lines))["analysis"]["tried"]
    assert {name: said for name, said in found.items() if said not in DENIED} == {}
    assert found.keys() == left


def test_without_landlock_the_operator_is_told(lesser: Service) -> None:
    """In the log and by `/readyz`; the service runs."""
    answer = Caller(lesser).ask("GET", "/readyz")
    assert answer.status == 200
    assert answer.json["sandbox"] == {"mode": "best-effort", "kernel": "no Landlock, seccomp"}
    assert "stages are confined in part" in lesser.log


def test_without_landlock_nothing_starts_that_requires_it(tmp_path: Path) -> None:
    """`required` says what is missing, and ends."""
    service = Service(tmp_path, {"SSE_PROGRESS_SANDBOX": "required"}, command=WITHOUT_LANDLOCK)
    assert service.launch().wait(60) == 2
    assert "SSE_PROGRESS_SANDBOX=required, but this kernel has no Landlock" in service.log
    service.wait_gone()
