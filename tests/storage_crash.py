"""Crashes storage operations at every step; run as a script by test_storage.

    storage_crash.py kill DIRECTORY    kill -9 before the 1st, 2nd, 3rd... change on the disk
    storage_crash.py power MOUNTPOINT  power loss before each fsync and rename (ext4)

The first leaves one data directory per operation and step below DIRECTORY. The second looks at the
file system itself, after each power loss. Both print one JSON object per step.
"""

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sse_progress.storage.disk import DiskStorage
from sse_progress.storage.manifest import DiskObject, Manifest

UPLOAD_ID = "upload_1"
BODY = b"0123456789abcdef" * 20_000
DERIVED = {"thumb.webp": b"thumb" * 5_000, "text.txt": b"text"}
STRIPPED = b"stripped" * 1_000
RECORD = b'{"record":1}'

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
LOST, FINISHED = 1, 2
CHANGING = {"open", "write", "mkdir", "rename", "link", "unlink", "rmdir", "fchmod", "fsync"}


def manifest(upload_id: str, body: bytes, prefix: str = "") -> Manifest:
    return Manifest(
        upload_id=upload_id,
        owner="somebody",
        filename="original.bin",
        claimed_type="application/octet-stream",
        fields={"title": "a", "tag": ["b", "c"]},
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        epoch="e1",
        created_at="2026-01-15T10:30:00.000Z",
        storage_prefix=prefix,
    )


def store(storage: DiskStorage, body: bytes = BODY, prefix: str = "") -> None:
    incoming = storage.bodies.incoming(UPLOAD_ID)
    incoming.write(body)
    incoming.store(manifest(UPLOAD_ID, body, prefix))


def store_prefixed(storage: DiskStorage) -> None:
    store(storage, prefix="media/courses")


def publish(storage: DiskStorage) -> bytes:
    scratch = storage.objects.scratch(UPLOAD_ID)
    for name, data in DERIVED.items():
        (scratch / name).write_bytes(data)
    (scratch / "left over").write_bytes(b"not wanted")
    storage.objects.keep_derived(UPLOAD_ID, scratch, {name: name for name in DERIVED})
    return storage.objects.publish(UPLOAD_ID, RECORD)


def replace(storage: DiskStorage) -> None:
    path = storage.objects.scratch(UPLOAD_ID) / "stripped"
    path.write_bytes(STRIPPED)
    storage.objects.replace_original(UPLOAD_ID, path.parent, path.name)


def nothing(storage: DiskStorage) -> None:
    pass


OPERATIONS: dict[str, tuple[Callable[[DiskStorage], Any], Callable[[DiskStorage], Any]]] = {
    "store": (nothing, store),
    "publish": (store, publish),
    "replace": (store, replace),
    "remove": (lambda storage: (store(storage), publish(storage)), lambda s: s.remove(UPLOAD_ID)),
    "publish-prefixed": (store_prefixed, publish),
    "remove-prefixed": (
        lambda storage: (store_prefixed(storage), publish(storage)),
        lambda s: s.remove(UPLOAD_ID),
    ),
}

FINAL = {
    "store": "open",
    "publish": "done",
    "replace": "replaced",
    "remove": "absent",
    "publish-prefixed": "done",
    "remove-prefixed": "absent",
}


def state(found: DiskObject | None) -> str:
    """What a reader sees; anything that is not whole says so."""
    if found is None:
        return "absent"
    if found.manifest != manifest(UPLOAD_ID, BODY, found.manifest.storage_prefix):
        return "broken manifest"
    body = found.original().read_bytes()
    if body not in (BODY, STRIPPED):
        return f"broken original ({len(body)} bytes)"
    if not found.done:
        return "replaced" if body == STRIPPED else "open"
    if found.record != RECORD:
        return f"broken record {found.record!r}"
    for name, data in DERIVED.items():
        path = found.file(name)
        if path is None or path.read_bytes() != data:
            return f"broken {name}"
    return "done"


def die_before_call(step: int) -> None:
    """Kill this process before the `step`-th system call that changes something on the disk."""
    calls = 0

    def profile(frame: FrameType, event: str, function: Any) -> None:
        nonlocal calls
        if event == "c_call" and function.__name__ in CHANGING:
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def kill(operation: str, directory: Path) -> None:
    before, crashing = OPERATIONS[operation]
    for step in itertools.count(1):
        storage = DiskStorage.open(directory / f"{operation}-{step:03}")
        before(storage)
        pid = os.fork()
        if pid == 0:
            with exiting():
                die_before_call(step)
                crashing(storage)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code not in (0, -signal.SIGKILL):
            sys.exit(code)
        say(operation, step, finished=code == 0)
        if code == 0:
            return


def say(operation: str, step: int, **more: object) -> None:
    print(json.dumps({"operation": operation, "step": step, **more}))


@contextlib.contextmanager
def exiting() -> Iterator[None]:
    """End this forked process here, whatever happens inside: 0 if all went well, else 70."""
    try:
        yield
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


def lose_power_before(step: int, mountpoint: Path) -> None:
    calls = 0

    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                lose_power(mountpoint)
            return real(*args, **kwargs)

        return call

    os.fsync = before(os.fsync)
    os.rename = before(os.rename)


def lose_power(mountpoint: Path, code: int = LOST) -> None:
    """Nothing that is not on the medium by now ever gets there."""
    descriptor = os.open(mountpoint, os.O_RDONLY)
    fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os._exit(code)


@contextlib.contextmanager
def mounted(image: Path, mountpoint: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", image, mountpoint], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", mountpoint], check=True)


def power(operation: str, mountpoint: Path) -> None:
    before, crashing = OPERATIONS[operation]
    image = mountpoint.with_suffix(".img")
    for step in itertools.count(1):
        root = mountpoint / f"{operation}-{step:03}"
        with mounted(image, mountpoint):
            storage = DiskStorage.open(root)
            before(storage)
            os.sync()
            pid = os.fork()
            if pid == 0:
                with exiting():
                    lose_power_before(step, mountpoint)
                    crashing(storage)
                    lose_power(mountpoint, FINISHED)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code not in (LOST, FINISHED):
            sys.exit(code)
        with mounted(image, mountpoint):
            seen = state(DiskStorage.open(root).objects.find(UPLOAD_ID))
        say(operation, step, finished=code == FINISHED, state=seen)
        if code == FINISHED:
            return


if __name__ == "__main__":
    for operation in OPERATIONS:
        {"kill": kill, "power": power}[sys.argv[1]](operation, Path(sys.argv[2]))
