"""One part of the service, in which a background task fails when the test says so.

Arguments: FILE CLASS PART. `CLASS.run` (`package.module:Class`) raises once FILE exists; PART is
`web` or `worker`. The rest comes from the environment.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sse_progress.cli.main import main
from sse_progress.runtime.concurrency import beside


def break_when(path: Path, name: str) -> None:
    module, _, kind = name.partition(":")
    owner = getattr(import_module(module), kind)
    run = owner.run

    async def breaking(self: Any, *args: Any, **options: Any) -> None:
        async with beside(run(self, *args, **options)):
            while not path.exists():
                await asyncio.sleep(0.01)
            raise KeyError("planted")

    owner.run = breaking


if __name__ == "__main__":
    break_when(Path(sys.argv[1]), sys.argv[2])
    main(sys.argv[3:])
