"""The distributions for PyPI, from their archives: each works with what it declares."""

from __future__ import annotations

import json
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sse_progress
from tests.helpers.commands import run
from tests.helpers.media import jpeg
from tests.helpers.service import ROOT, Service

BIN = Path(sys.executable).parent
PROJECTS = {"sse_progress": ROOT, "sse_progress_client": ROOT / "packages" / "client"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both distributions as `twine upload` would send them, each wheel made from its sdist."""
    place = tmp_path_factory.mktemp("dist")
    for name, project in PROJECTS.items():
        run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place, cwd=project)
        run("tar", "-xzf", f"{name}-{sse_progress.__version__}.tar.gz", cwd=place)
        unpacked = place / f"{name}-{sse_progress.__version__}"
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place, cwd=unpacked)
    return place


def needed(requirements: list[str] | None, extras: frozenset[str] = frozenset()) -> set[str]:
    """Names of what a distribution's requirements bring, with what these bring in turn."""
    found: set[str] = set()
    for one in map(Requirement, requirements or ()):
        marker = one.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            more = metadata.distribution(one.name).requires
            found |= {canonicalize_name(one.name), *needed(more, frozenset(one.extras))}
    return found


def environment(place: Path, wheel: Path) -> Path:
    """A bare environment with this wheel and links to its dependencies; nothing is downloaded."""
    venv = place / "venv"
    run(BIN / "uv", "venv", "--quiet", "--offline", "--python", sys.executable, venv, cwd=place)
    install = ("pip", "install", "--quiet", "--offline", "--no-deps")
    run(BIN / "uv", *install, "--python", venv / "bin" / "python", wheel, cwd=place)
    [packages] = venv.glob("lib/python*/site-packages")
    [installed] = metadata.distributions(path=[str(packages)], name=wheel.name.split("-")[0])
    for name in needed(installed.requires):
        distribution = metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))
    return venv / "bin"


def wheel_of(archives: Path, name: str) -> Path:
    return archives / f"{name}-{sse_progress.__version__}-py3-none-any.whl"


def test_there_is_one_version() -> None:
    """Server, client for Python and module for npm are of the same release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module = json.loads((ROOT / "sse_progress" / "browser" / "package.json").read_text())
    assert project["version"] == module["version"] == sse_progress.__version__


def test_twine_finds_nothing(archives: Path) -> None:
    """Names, metadata and descriptions are what PyPI takes."""
    files = [path for path in archives.iterdir() if path.suffix in (".whl", ".gz")]
    assert len(files) == 4
    run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files, cwd=archives)


def test_the_client_has_the_servers_files(archives: Path) -> None:
    """Every file of it is in the server's wheel too, the same: either order of installing works."""
    with (
        zipfile.ZipFile(wheel_of(archives, "sse_progress_client")) as client,
        zipfile.ZipFile(wheel_of(archives, "sse_progress")) as server,
    ):
        own = [name for name in client.namelist() if ".dist-info/" not in name]
        assert len(own) > 30
        assert {name.split("/")[1] for name in own} == {
            "__init__.py",
            "client",
            "model",
            "py.typed",
        }
        for name in own:
            assert client.read(name) == server.read(name), name


def test_the_client_works_with_what_it_declares(
    archives: Path, service: Callable[..., Service], tmp_path: Path
) -> None:
    """Installed alone it sends a file and follows it; nothing of the server is there to import."""
    one = service()
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    python = environment(tmp_path, wheel_of(archives, "sse_progress_client")) / "python"
    code = f"""
import importlib.util, json
from sse_progress.client import Client, AsyncClient
with Client({one.url!r}) as client:
    media = client.upload("photo.jpg", resume=True, id="from-the-wheel")
    stages = {{event["stage"] for event in client.history(media.id).events}}
absent = ["starlette", "redis", "pydantic", "typer", "sse_progress.web", "sse_progress.settings"]
found = [name for name in absent if importlib.util.find_spec(name)]
print(json.dumps([media.content_type, "complete" in stages, found]))
"""
    assert json.loads(run(python, "-I", "-c", code, cwd=tmp_path)) == ["image/jpeg", True, []]


def test_the_server_works_with_what_it_declares(archives: Path, tmp_path: Path) -> None:
    """`sse-progress serve` from its wheel: page, module, rules, words and scripts are there."""
    programs = environment(tmp_path, wheel_of(archives, "sse_progress"))
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    (tmp_path / "letter.txt").write_text("Dear all,\nthe ship leaves at nine.\n")
    serve = (str(programs / "sse-progress"), "serve")
    with Service(tmp_path, {"PYTHONPATH": ""}, command=serve) as one:
        for path in ("/", "/api", "/client/index.js", "/client/panel.js", "/openapi.json"):
            assert httpx.get(one.url + path).status_code == 200, path
        command = (programs / "sse-progress", "upload", "photo.jpg", "letter.txt", "--url", one.url)
        told = run(*command, cwd=tmp_path)
        assert told.count(": complete: ") == 2
        assert str(ROOT) not in one.log
