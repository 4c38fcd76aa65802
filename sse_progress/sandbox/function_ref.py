"""A stage function by its name: how it is found, and whether it is `def` or `async def`.

The source tells which, so a plug-in that imports a heavy library at its top is imported only in
the children that run it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["NotAStage", "Reference", "is_asynchronous", "resolve"]

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef


class NotAStage(Exception):
    """This cannot be run as a stage; the text says why, and what would."""


def resolve(name: str) -> Any:
    """The object that `package.module:name` names; imports the module."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def is_asynchronous(function: object) -> bool:
    """`async def`, also behind functools.partial or as an object's `__call__`."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004  # its kind is asked, not its being
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """A `def` stage by name, `package.module:name`: what a child is asked to run.

    It stands for the function in a pipeline, and calling it calls the function here.
    """

    name: str

    def __str__(self) -> str:
        return self.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return resolve(self.name)(*args, **kwargs)

    @property
    def module(self) -> str:
        return self.name.partition(":")[0]

    @classmethod
    def to(cls, function: object) -> Reference:
        """The name under which a child can import `function`. Raises NotAStage."""
        if isinstance(function, cls):
            return function
        module = getattr(function, "__module__", None)
        path = getattr(function, "__qualname__", None)
        if not (callable(function) and isinstance(module, str) and isinstance(path, str)):
            raise NotAStage(f"{function!r} is not a function")
        if "<lambda>" in path or "<locals>" in path:
            kind = "a lambda" if "<lambda>" in path else "defined inside a function"
            raise NotAStage(
                f"{module}.{path} is {kind}, which a child process cannot import: "
                "make it a def at the top of a module, or an async def"
            )
        if module == "__main__":
            raise NotAStage(
                f"{path} is defined in the script that is running, which a child process cannot "
                "import: move it to a module of its own"
            )
        reference = cls(f"{module}:{path}")
        try:
            found = resolve(reference.name)
        except (ImportError, AttributeError) as error:
            raise NotAStage(f"a child process cannot import {reference}: {error}") from error
        if found is not function:
            raise NotAStage(f"{reference} is something else than the function given")
        return reference

    @classmethod
    def find(cls, name: str) -> Reference | Callable[..., Any]:
        """What `package.module:name` names: a reference to a `def`, or the `async def` itself.

        The module of a `def` is not imported. Raises NotAStage.
        """
        if not _NAME.fullmatch(name):
            raise NotAStage(f"{name!r} is not of the form package.module:name")
        definition = _definition(name)
        if isinstance(definition, ast.FunctionDef):
            _check_parameters(name, definition.args)
            return cls(name)
        try:
            function = resolve(name)
        except Exception as error:
            raise NotAStage(f"{name} cannot be imported: {_told(error)}") from error
        if not callable(function):
            raise NotAStage(f"{name} is not a function but {type(function).__name__}")
        check_signature(name, function)
        return function if is_asynchronous(function) else cls.to(function)


def check_signature(name: str, function: Callable[..., Any]) -> None:
    """A stage is called with an upload and a report; NotAStage if that cannot be."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # built in C, and silent about it
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise NotAStage(f"{name} must take (upload, report): {error}") from error


def _check_parameters(name: str, args: ast.arguments) -> None:
    positional = len(args.posonlyargs) + len(args.args)
    needed = positional - len(args.defaults)
    named = sum(default is None for default in args.kw_defaults)
    if needed > 2 or named or (positional < 2 and args.vararg is None):
        raise NotAStage(f"{name} must take (upload, report), not ({ast.unparse(args)})")


def _definition(name: str) -> _Definition | None:
    """Where the module's source defines the name, or None if that is unknown without it."""
    module, _, path = name.partition(":")
    if module in sys.modules:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:
        raise NotAStage(f"{name} cannot be imported: {_told(error)}") from error
    if spec is None:
        raise NotAStage(f"there is no module {module}; is its directory on PYTHONPATH?")
    get_source = getattr(spec.loader, "get_source", None)
    try:
        source = get_source(module) if get_source else None
        found: _Definition | None = _last(ast.parse(source).body, path) if source else None
    except (ImportError, SyntaxError, ValueError) as error:
        raise NotAStage(f"{name} cannot be imported: {_told(error)}") from error
    return found


def _last(body: Iterable[ast.stmt], name: str) -> _Definition | None:
    """The plain definition that `name` has in the end; None for anything less certain."""
    found = None
    for statement in body:
        if isinstance(statement, _Definition) and statement.name == name:
            found = None if statement.decorator_list else statement
        elif any(_binds(node, name) for node in ast.walk(statement)):
            found = None
    return found


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.alias):
        return (node.asname or node.name) == name
    return isinstance(node, _Definition | ast.ClassDef) and node.name == name


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
