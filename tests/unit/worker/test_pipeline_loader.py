"""How the pipeline is found: built in, installed plug-ins, or what the operator names."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sse_progress.model.stage_api import StageFunction, Upload
from sse_progress.sandbox.function_ref import Reference
from sse_progress.sandbox.pool import Pool
from sse_progress.settings import SettingsError, load_settings
from sse_progress.worker import pipeline_loader as plugins
from sse_progress.worker.pipeline_loader import GROUP, load_pipeline
from tests.stages_for_tests import asynchronous, ordinary

PIPELINES = "tests.stages_for_tests.pipelines"
HEAVY = "tests.stages_for_tests.heavy"


def named(name: str) -> list[tuple[str, StageFunction]]:
    return load_pipeline(load_settings(pipeline=f"{PIPELINES}:{name}"))


def plug_in(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short built-in pipeline: validating, analyzing twice, processing."""
    monkeypatch.setattr(plugins, "BUILT_IN", f"{PIPELINES}:good")


@pytest.fixture
def without_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (HEAVY, "wave"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_setting_replaces_everything() -> None:
    """The named list is the pipeline, in its order, def and async def side by side."""
    assert named("good") == [
        ("validating", ordinary.nothing),
        ("analyzing", ordinary.echo),
        ("analyzing", asynchronous.here),
        ("processing", ordinary.nothing),
    ]


def test_a_pipeline_may_be_made_by_a_function() -> None:
    """A callable is called once, without arguments."""
    assert named("made") == [("moderating", ordinary.nothing)]


async def test_a_stage_given_by_name_is_imported_in_children_alone(
    without_heavy: None, tmp_path: Path
) -> None:
    """The worker does not carry what a plug-in imports at its top; the child that runs it does."""
    ((stage, function),) = named("by_name")
    assert (stage, function) == ("analyzing", Reference(f"{HEAVY}:measure"))
    assert HEAVY not in sys.modules
    upload = Upload(
        id="one",
        path=str(tmp_path),
        scratch=str(tmp_path),
        filename="one",
        claimed_type="text/plain",
        size=0,
        sha256="",
        created_at="",
    )
    pool = Pool(size=1, memory_bytes=512 * 1024**2, cpu_s=10)
    try:
        result = await pool.run(function, upload, lambda *_: None, timeout_s=20)
    finally:
        await pool.aclose()
    assert result == {"library": "wave"}
    assert HEAVY not in sys.modules


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("raises", "cannot be loaded, RuntimeError: no model found"),
        ("missing", "cannot be loaded, AttributeError"),
        ("empty", "is empty; it needs at least one"),
        ("number", "must be a list of .stage name, function.*, not int"),
        ("no_pairs", "entry 1: .* is not .stage name, function."),
        ("wrong_stage", "entry 1: 'analysing' is not one of validating, analyzing, moderating"),
        ("own_stage", "entry 1: 'finalizing' is not one of validating, analyzing, moderating"),
        ("wrong_order", "'validating' stands after 'analyzing'; the order is validating, analyz"),
        ("no_function", "entry 1: 7 is not a function"),
        ("has_lambda", "entry 1: .* is a lambda, which a child process cannot import"),
        ("one_argument", "entry 1: made must take .upload, report."),
        (
            "no_such_name",
            "entry 1: tests.stages_for_tests.ordinary:missing cannot be imported",
        ),
        ("no_such_module", "entry 1: there is no module tests.no_such_module"),
    ],
)
def test_a_wrong_pipeline_is_told_by_setting_place_and_reason(name: str, why: str) -> None:
    """The message names SSE_PROGRESS_PIPELINE with its value, the entry, and what is wrong."""
    with pytest.raises(SettingsError, match=why) as caught:
        named(name)
    assert str(caught.value).startswith(f"SSE_PROGRESS_PIPELINE={PIPELINES}:{name}: ")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("pipelines", "must be of the form package.module:name"),
        (":name", "must be of the form"),
        ("no_such_package.module:name", "is its directory on PYTHONPATH"),
    ],
)
def test_a_setting_that_names_nothing_is_told(value: str, why: str) -> None:
    """A typing error in the environment ends the start with one line."""
    with pytest.raises(SettingsError, match=why) as caught:
        load_pipeline(load_settings(pipeline=value))
    assert str(caught.value).startswith(f"SSE_PROGRESS_PIPELINE={value}: ")
    assert "\n" not in str(caught.value)


def test_installed_plug_ins_follow_the_built_in_functions_of_their_stage(
    built_in: None, without_heavy: None
) -> None:
    """In the order of their names, whether the stage has functions already or none."""
    ordinary_module = ordinary.__name__
    points = [
        plug_in("moderating.sound", f"{asynchronous.__name__}:refuse"),
        plug_in("analyzing.z", f"{ordinary_module}:nothing"),
        plug_in("analyzing.faces", f"{HEAVY}:measure [gpu]"),
        plug_in("validating", f"{ordinary_module}:echo"),
    ]
    assert [
        (name, str(function) if isinstance(function, Reference) else function)
        for name, function in load_pipeline(load_settings(), installed=lambda: points)
    ] == [
        ("validating", ordinary.nothing),
        ("validating", f"{ordinary_module}:echo"),
        ("analyzing", ordinary.echo),
        ("analyzing", asynchronous.here),
        ("analyzing", f"{HEAVY}:measure"),
        ("analyzing", f"{ordinary_module}:nothing"),
        ("moderating", asynchronous.refuse),
        ("processing", ordinary.nothing),
    ]
    assert HEAVY not in sys.modules


def test_plug_ins_are_found_where_they_are_installed(
    built_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed distribution's entry points are what counts; its name is in the error."""
    info = tmp_path / "face_finder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: face-finder\nVersion: 1.0\n")
    points = info / "entry_points.txt"
    monkeypatch.syspath_prepend(str(tmp_path))
    points.write_text(f"[{GROUP}]\nanalyzing.faces = {HEAVY}:measure\n")
    rows = load_pipeline(load_settings())
    assert ("analyzing", Reference(f"{HEAVY}:measure")) in rows
    points.write_text(f"[{GROUP}]\nanalysing.faces = {HEAVY}:measure\n")
    with pytest.raises(
        SettingsError, match=r"plug-in 'analysing\.faces' of face-finder: 'analysing'"
    ):
        load_pipeline(load_settings())


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("complete.x", f"{HEAVY}:measure", "'complete' is not one of validating"),
        ("analyzing.x", f"{HEAVY}:missing", "cannot be imported"),
        ("analyzing.x", "no_such_package:stage", "there is no module no_such_package"),
    ],
)
def test_a_broken_plug_in_is_told_with_the_way_out(
    built_in: None, name: str, value: str, why: str
) -> None:
    """Which plug-in, why, and what to do."""
    with pytest.raises(SettingsError, match=why) as caught:
        load_pipeline(load_settings(), installed=lambda: [plug_in(name, value)])
    assert str(caught.value).startswith(f"plug-in '{name}' of ")
    assert str(caught.value).endswith(
        "Uninstall it, or name a pipeline without it in SSE_PROGRESS_PIPELINE"
    )


def test_the_setting_leaves_installed_plug_ins_out() -> None:
    """A named pipeline is whole: nothing is added to it."""
    settings = load_settings(pipeline=f"{PIPELINES}:made")
    rows = load_pipeline(settings, installed=lambda: [plug_in("analyzing", f"{HEAVY}:measure")])
    assert rows == [("moderating", ordinary.nothing)]


def test_the_built_in_pipeline_loads_without_the_libraries_of_its_stages() -> None:
    """A worker that has the whole pipeline in hand has no decoder and no model in memory."""
    text = (
        "import sys\n"
        "from sse_progress.worker.pipeline_loader import load_pipeline\n"
        "from sse_progress.settings import load_settings\n"
        "rows = load_pipeline(load_settings(), installed=list)\n"
        "print(*[name for name, _ in rows])\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    stages, modules = done.stdout.splitlines()
    assert set(stages.split()) == {"validating", "analyzing", "moderating", "processing"}
    heavy = {"PIL", "av", "onnxruntime", "numpy", "pypdfium2", "yara_x", "py3langid"}
    assert not heavy & set(modules.split())
