"""The test's side of the paced pipeline: files that stages wait for."""

from __future__ import annotations

from pathlib import Path

from tests.browser.paced import PREFIX, STAGES


class Gates:
    """A directory of gates, and files whose stages wait at them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory

    def file(self, name: str, size: int = 0) -> Path:
        """A file that names these gates, of at least `size` bytes."""
        path = self.directory.parent / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{PREFIX}{self.directory}\n".encode() + b"x" * size)
        return path

    def open(self, *names: str) -> None:
        for name in names:
            (self.directory / name).touch()

    def close_all(self) -> None:
        for gate in self.directory.iterdir():
            gate.unlink()

    def open_all(self) -> None:
        for stage in STAGES:
            self.open(f"{stage}-half", stage)
