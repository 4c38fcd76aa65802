"""What the text of a setting means, by the type and the limits that the setting is declared with.

Which settings there are is in `declared`; errors are ValueErrors that never tell the value, which
may be a secret. msgspec converts, since pydantic's import took a quarter of each process' start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Meta, ValidationError, convert

__all__ = ["Secret", "limited", "read"]


class Secret:
    """A text that is not shown where settings are printed or logged."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__


def limited(default: Any, **limits: float) -> Any:
    """The default of a setting that is a number, with its limits: `ge`, `gt` and `le`."""
    return field(default=default, metadata=limits)


def read(kind: Any, limits: Mapping[str, Any], value: Any) -> Any:
    """`value`, a text or of the type already, as a `kind` within `limits`. Raises ValueError."""
    if isinstance(kind, UnionType):  # optional, and this one is given
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
    if isinstance(value, str) and kind in _SPELLINGS:
        value = _SPELLINGS[kind](value)
    bounded = Annotated[kind, Meta(**limits)] if limits else kind
    try:
        return convert(value, bounded, strict=False, dec_hook=_construct)
    except ValidationError as error:
        raise ValueError(_fault(kind, limits, str(error))) from None


def _construct(kind: type, value: Any) -> Any:
    """A Path or a Secret, which msgspec does not know."""
    return value if isinstance(value, kind) else kind(convert(value, str))


# ---- what people write that msgspec does not take


_TRUTH = dict.fromkeys(("t", "yes", "y", "on"), "true") | dict.fromkeys(
    ("f", "no", "n", "off"), "false"
)


def _truth(text: str) -> str:
    return _TRUTH.get(text.lower(), text)


def _whole(text: str) -> str:
    return text.strip().removeprefix("+").replace("_", "")


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_SPELLINGS: dict[Any, Callable[[str], Any]] = {
    bool: _truth,
    int: _whole,
    float: str.strip,
    tuple[str, ...]: _words,
}


# ---- what is wrong


_LIMITS = {
    ">=": ("ge", "is less than"),
    ">": ("gt", "is not more than"),
    "<=": ("le", "is more than"),
}
_KINDS = {
    bool: "is neither true nor false",
    int: "is not a whole number",
    float: "is not a number",
}


def _fault(kind: Any, limits: Mapping[str, Any], error: str) -> str:
    """msgspec's error in our words."""
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"is not {', '.join(others)} or {last}"
    if found := re.search(r" (>=|>|<=) ", error):
        limit, words = _LIMITS[found[1]]
        return f"{words} {limits[limit]}"
    return _KINDS.get(kind, "is not a text")
