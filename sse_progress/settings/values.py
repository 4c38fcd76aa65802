"""What the text of a setting means, by the type and the limits that the setting is declared with.

Which settings there are is in `declared`; errors are ValueErrors that never tell the value, which
may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

__all__ = ["Secret", "limited", "read"]

_WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*(\.0+)?")
_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}


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
    """The default of a setting with limits: `ge`, `gt` and `le` of a number, `min_length` of a
    text."""
    return field(default=default, metadata=limits)


def read(kind: Any, limits: Mapping[str, float], value: Any) -> Any:
    """`value`, a text or of the type already, as a `kind` within `limits`. Raises ValueError."""
    if isinstance(kind, UnionType):  # optional, and this one is given
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind), value)
    found = _READERS[kind](value)
    for limit, bound in limits.items():
        _LIMITS[limit](found, bound)
    return found


# ---- types


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")  # noqa: TRY004  # told as any wrong setting is
    return value


def _secret(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(_text(value))


def _whole(value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or _WHOLE.fullmatch(text) is None:
        raise ValueError("is not a whole number")
    return int(text.partition(".")[0])


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("is not a number") from None


def _truth(value: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false")
    return text in _TRUE


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str):
        return tuple(map(_text, value))
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _one_of(choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        *others, last = choices
        raise ValueError(f"is not {', '.join(others)} or {last}")
    return str(value)


_READERS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    Secret: _secret,
    int: _whole,
    float: _number,
    bool: _truth,
    Path: Path,
    tuple[str, ...]: _words,
}


# ---- limits; each is worded so that NaN is outside


def _at_least(value: float, bound: float) -> None:
    if not value >= bound:
        raise ValueError(f"is less than {bound}")


def _above(value: float, bound: float) -> None:
    if not value > bound:
        raise ValueError(f"is not more than {bound}")


def _at_most(value: float, bound: float) -> None:
    if not value <= bound:
        raise ValueError(f"is more than {bound}")


def _long_enough(value: Secret, least: float) -> None:
    if (size := len(value.get_secret_value())) < least:
        raise ValueError(f"is {size} characters, needs at least {least}")


_LIMITS: dict[str, Callable[[Any, float], None]] = {
    "ge": _at_least,
    "gt": _above,
    "le": _at_most,
    "min_length": _long_enough,
}
