"""Structured Field Values for HTTP (RFC 9651), the three shapes that uploads use.

A value that is not what its header has to be is as if it was not sent: None.
"""

from __future__ import annotations

import base64
import re

__all__ = ["boolean", "byte_sequences", "non_negative_integer"]

# Atomic groups in place of possessively repeated ones: CPython before 3.11.5 does not restore the
# position when a repetition fails in the middle (gh-106052), and takes `?1;` for a Boolean.
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_BYTES = r":([A-Za-z0-9+/]*+={0,2}+):"
_BARE = (
    r'(?:-?[0-9]{1,15}(?:\.[0-9]{1,3})?|"(?>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+|:[A-Za-z0-9+/]*+={0,2}+:|\?[01])"
)
_PARAMETERS = rf"(?>(?:; *+{_KEY}(?>(?:={_BARE})?))*)"
_BOOLEAN = re.compile(rf" *+\?([01]){_PARAMETERS} *+")
_INTEGER = re.compile(rf" *+([0-9]{{1,15}}){_PARAMETERS} *+")
_MEMBER = re.compile(rf"({_KEY})(?>(?:=(?:{_BYTES}|{_BARE}))?){_PARAMETERS}[ \t]*+")
_COMMA = re.compile(r",[ \t]*+")


def boolean(value: str | None) -> bool | None:
    """An Item that is a Boolean (§3.3.6): `?1`."""
    found = _BOOLEAN.fullmatch(value) if value is not None else None
    return None if found is None else found[1] == "1"


def non_negative_integer(value: str | None) -> int | None:
    """An Item that is an Integer (§3.3.1) and not negative: at most 15 digits."""
    found = _INTEGER.fullmatch(value) if value is not None else None
    return None if found is None else int(found[1])


def byte_sequences(value: str | None) -> dict[str, bytes] | None:
    """A Dictionary (§3.2) of Byte Sequences: `sha-256=:…:, sha-512=:…:`.

    Members of another type are left out, and the last of a repeated key holds. None where the
    value is no Dictionary.
    """
    if value is None:
        return None
    found: dict[str, bytes] = {}
    at, value = 0, value.strip(" ")
    while at < len(value):
        member = _MEMBER.match(value, at)
        if member is None:
            return None
        found.pop(member[1], None)
        if member[2] is not None:
            try:
                found[member[1]] = base64.b64decode(member[2], validate=True)
            except ValueError:
                return None
        at = member.end()
        if at == len(value):
            break
        comma = _COMMA.match(value, at)
        if comma is None or comma.end() == len(value):
            return None
        at = comma.end()
    return found
