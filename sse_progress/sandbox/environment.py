"""What a stage child may know of the worker's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["child_environment"]

_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH")


def child_environment(given: Mapping[str, str], directory: Path) -> dict[str, str]:
    """What a child may know of the environment `given`: how to find programs, texts and modules.

    Relative entries of PYTHONPATH are taken from `directory`, as an empty one is. Our own package
    is added where it runs from a source tree.
    """
    passed = {
        name: value for name, value in given.items() if name in _PASSED_ON or name.startswith("LC_")
    }
    passed["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime looks up its maker's host otherwise
    # Large pages: fewer of them to be copied for a fork, and to be made for a picture.
    passed["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    found = given.get("PYTHONPATH", "")
    paths = [str(directory / entry) for entry in found.split(os.pathsep)] if found else []
    home = Path(__file__).absolute().parents[2]
    if home.name not in ("site-packages", "dist-packages"):
        paths.append(str(home))
    if paths:
        passed["PYTHONPATH"] = os.pathsep.join(paths)
    return passed
