"""A stage function's name: found without importing, checked, and told apart from what is none."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sse_progress.sandbox.function_ref import NotAStage, Reference, is_asynchronous, resolve
from tests.stages_for_tests import asynchronous, ordinary


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a module that can be imported: `module(name, source)`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


Module = Callable[[str, str], str]
STAGE = "(upload, report): return {}\n"


def test_a_def_is_found_without_importing_its_module(module: Module) -> None:
    """Its source tells enough, so what the module imports stays out of this process."""
    module("refs_heavy", f"import no_such_library\ndef faces{STAGE}")
    found = Reference.find("refs_heavy:faces")
    assert found == Reference("refs_heavy:faces")
    assert (str(found), found.module) == ("refs_heavy:faces", "refs_heavy")
    assert not is_asynchronous(found)
    assert "refs_heavy" not in sys.modules


def test_an_async_def_is_imported_and_given_as_it_is(module: Module) -> None:
    """It runs here, so it has to be importable here, and its errors are found at start."""
    module("refs_async", f"async def ask{STAGE}")
    assert Reference.find("refs_async:ask") is resolve("refs_async:ask")
    module("refs_async_broken", f"import no_such_library\nasync def ask{STAGE}")
    with pytest.raises(NotAStage, match="ModuleNotFoundError: No module named 'no_such_library'"):
        Reference.find("refs_async_broken:ask")


@pytest.mark.parametrize(
    "source",
    [
        f"def other{STAGE}stage = other\n",
        "from refs_target import stage\n",
        f"async def ask{STAGE}def wrap(f):\n    return ask\n@wrap\ndef stage{STAGE}",
        f"def stage{STAGE}async def ask(upload, report): ...\nstage = ask\n",
        f"if True:\n    async def stage{STAGE}",
        "class Stage:\n    async def __call__(self, upload, report): ...\nstage = Stage()\n",
    ],
)
def test_what_the_source_does_not_tell_for_sure_is_imported(module: Module, source: str) -> None:
    """Aliases, decorators and conditions may make anything of a def: the object itself decides."""
    module("refs_target", f"def stage{STAGE}")
    name = module("refs_unsure", source)
    found = Reference.find(f"{name}:stage")
    assert name in sys.modules
    assert isinstance(found, Reference) is not is_asynchronous(resolve(f"{name}:stage"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is not of the form package.module:name"),
        ("refs_bad", "is not of the form"),
        ("refs_bad:", "is not of the form"),
        ("refs bad:x", "is not of the form"),
        ("../refs_bad:x", "is not of the form"),
        ("no_such_module:x", "there is no module no_such_module; is its directory on PYTHONPATH"),
        ("no_such_package.module:x", "No module named 'no_such_package'"),
        ("refs_bad:missing", "AttributeError"),
        ("refs_bad:NUMBER", "is not a function but int"),
        ("refs_bad:none", r"must take \(upload, report\), not \(\)"),
        ("refs_bad:one", r"must take \(upload, report\), not \(upload\)"),
        ("refs_bad:three", r"must take \(upload, report\), not \(a, b, c\)"),
        ("refs_bad:named", r"must take \(upload, report\), not \(a, b, \*, c\)"),
        ("refs_bad:ask", r"must take \(upload, report\): too many positional arguments"),
        ("refs_wrong:x", "SyntaxError"),
    ],
)
def test_what_cannot_be_a_stage_is_told_with_its_reason(
    module: Module, name: str, why: str
) -> None:
    """Each error names the reference and what is wrong with it."""
    module(
        "refs_bad",
        "NUMBER = 7\n"
        "def none(): ...\n"
        "def one(upload): ...\n"
        "def three(a, b, c): ...\n"
        "def named(a, b, *, c): ...\n"
        "async def ask(upload): ...\n",
    )
    module("refs_wrong", "def x(:\n")
    with pytest.raises(NotAStage, match=why):
        Reference.find(name)


@pytest.mark.parametrize(
    "parameters", ["(upload, report, extra=1)", "(*args)", "(a, /, b)", "(a, b=None, *, c=1)"]
)
def test_other_ways_to_take_two_arguments_are_fine(module: Module, parameters: str) -> None:
    """Only what cannot be called with (upload, report) is refused."""
    module("refs_fine", f"def stage{parameters}: ...\n")
    assert Reference.find("refs_fine:stage") == Reference("refs_fine:stage")


def test_a_function_has_its_name_and_the_name_its_function() -> None:
    """`to` and calling are each other's inverse."""
    reference = Reference.to(ordinary.returns_bytes)
    assert reference.name == "tests.stages_for_tests.ordinary:returns_bytes"
    assert Reference.to(reference) is reference
    assert reference(None, None) == b"no dict"


def test_a_name_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced function would run as what it was replaced with."""
    original = ordinary.nothing
    monkeypatch.setattr(ordinary, "nothing", ordinary.echo)
    with pytest.raises(NotAStage, match="is something else than the function given"):
        Reference.to(original)
    monkeypatch.delattr(ordinary, "nothing")
    with pytest.raises(NotAStage, match="a child process cannot import"):
        Reference.to(original)


def test_functions_of_the_running_script_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has another `__main__`."""
    monkeypatch.setattr(ordinary.nothing, "__module__", "__main__")
    with pytest.raises(NotAStage, match="move it to a module of its own"):
        Reference.to(ordinary.nothing)


def test_kinds_are_told_apart() -> None:
    """async def, also behind a partial or as an object; everything else is not."""
    assert is_asynchronous(asynchronous.here)
    assert is_asynchronous(functools.partial(functools.partial(asynchronous.here), None))
    assert is_asynchronous(asynchronous.Caller())
    assert not is_asynchronous(ordinary.nothing)
    assert not is_asynchronous(functools.partial(ordinary.nothing))
