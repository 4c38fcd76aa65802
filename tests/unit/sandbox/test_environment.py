"""What a worker tells its children of its environment."""

from __future__ import annotations

from pathlib import Path

from sse_progress.sandbox.environment import child_environment

HERE = Path("/srv/service")
SOURCE_TREE = str(Path(__file__).parents[3])


def test_only_listed_names_are_passed_on() -> None:
    """An allow-list: whatever a secret is called, it stays."""
    given = {
        **dict.fromkeys(("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "LC_ALL"), "x"),
        **dict.fromkeys(("SSE_PROGRESS_JWT_SECRET", "HOME", "USER", "XLC_ALL", "REDIS_URL"), "y"),
        **dict.fromkeys(("PYTHONSTARTUP", "PYTHONHOME", "LD_PRELOAD", "BASH_ENV", "PATHS"), "y"),
    }
    passed = child_environment(given, HERE)
    assert "y" not in passed.values()
    ours = {"PYTHONPATH", "ORT_DISABLE_TELEMETRY", "GLIBC_TUNABLES"}
    assert passed.keys() - ours == {name for name, value in given.items() if value == "x"}


def test_plug_ins_are_found_from_any_directory() -> None:
    """A child works in its scratch directory, so relative entries are made absolute."""
    path = child_environment({"PYTHONPATH": "plugins:/opt/more:"}, HERE)["PYTHONPATH"]
    assert path.split(":") == ["/srv/service/plugins", "/opt/more", "/srv/service", SOURCE_TREE]
    assert child_environment({"PYTHONPATH": ""}, HERE)["PYTHONPATH"] == SOURCE_TREE
