"""What is written to the log, and what never is.

It owns structlog's set-up for this service's loggers and everybody else's (uvicorn, httpx, …).
Every value of every entry passes through `_safe`: no secret and no control character comes out.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import unquote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["SHARED", "configure", "log_uncaught", "redact"]

NOTHING: Mapping[str, str] = {}
SHARED: ContextVar[Mapping[str, str]] = ContextVar("shared by lines", default=NOTHING)
"""What all lines have in common that are logged here. structlog has a variable for each name of it,
which each request pays for (18 calls)."""

HIDDEN = "[redacted]"
TEXT_LIMIT = 4096
"""Characters of one value or one line of a traceback; the rest is cut off."""

_NAMES = r"authorization|cookie|token|ticket|secret|password|api[_-]?key"
_SECRET_KEYS = re.compile(_NAMES, re.IGNORECASE)

_SUSPECT = re.compile(rf"[=@]|eyJ|bearer|basic|{_NAMES}", re.IGNORECASE)
"""Something of this is in every text that one of the patterns below is about."""

# None of these may take more than linear time: clients choose what is searched.
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]*\.[\w-]+(?:\.[\w-]*)?")
_QUERY = re.compile(r"\?[^\s\"'<>?=]*=[^\s\"'<>]*")
_USERINFO = re.compile(r"(?<=://)[^\s/@\"']+@")
_SCHEME = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE)
_QUOTED = re.compile(  # a name and its value in the repr of headers or of a mapping
    rf"""({_NAMES})(['"]?\s*[:=,]\s*)(b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*')""", re.IGNORECASE
)
_HEADER = re.compile(r"(authorization|cookie)(\s*[:=]\s*)[^\r\n]*", re.IGNORECASE)
_PAIR = re.compile(r"(token|ticket|secret|password)(=|%3d)[^\s&;,\"']+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_USERS = frozenset({"user", "owner"})
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_QUIET = ("httpx", "httpcore", "asyncio")


def configure(
    log_format: Literal["console", "json"] = "console",
    level: Literal["debug", "info", "warning", "error"] = "info",
    *,
    user_key: bytes | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to `stream` (standard error): one entry, one line.

    A traceback's lines are indented in `console` format. Loggers of the standard library take
    the same way; give uvicorn `log_config=None`, so that it does not change them. May be repeated.
    With `user_key` users are named by a keyed digest: the same one everywhere, and nobody's name.
    """
    stream = stream or sys.stderr
    threshold = getattr(logging, level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_shared,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _access],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *([_pseudonyms(user_key)] if user_key else []),
                _safe,
                renderer,
            ],
            pass_foreign_args=True,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _UVICORN:  # whatever set them up before, their lines come here
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def log_uncaught() -> None:
    """Log what would end this process with a bare traceback, and warnings, like everything else."""

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, Exception):
            structlog.get_logger(__name__).critical("process failed", exc_info=error)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = uncaught
    logging.captureWarnings(True)


def redact(text: str) -> str:
    """The text without tokens, credentials, query strings and control characters; one line."""
    if len(text) > TEXT_LIMIT:
        text = text[:TEXT_LIMIT] + "…"
    if _SUSPECT.search(text):
        text = _hide(text)
    return text if text.isprintable() else _CONTROL.sub(_escape, text)


def _hide(text: str) -> str:
    text = _JWT.sub(HIDDEN, text)
    text = _QUOTED.sub(rf"\1\2{HIDDEN}", text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    text = _QUERY.sub(f"?{HIDDEN}", text)
    text = _PAIR.sub(rf"\1\2{HIDDEN}", text)
    return _USERINFO.sub(f"{HIDDEN}@", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _with_shared(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    return {**SHARED.get(), **entry}


def _access(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    """uvicorn's access line as fields; of the target, only the path."""
    args = entry.pop("positional_args", None)
    if entry["_record"].name == "uvicorn.access" and isinstance(args, tuple) and len(args) == 5:
        client, method, target, _version, status = args
        path = unquote(str(target).partition("?")[0], errors="replace")
        entry.update(event="request", method=method, path=path, status=status, client=client)
    entry.pop("color_message", None)
    return entry


def _pseudonyms(key: bytes) -> Processor:
    """Names of users as HMAC-SHA256 with `key`, shortened."""

    def replace(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
        for field in _USERS & entry.keys():
            digest = hmac.new(key, str(entry[field]).encode(), hashlib.sha256).hexdigest()
            entry[field] = f"u-{digest[:16]}"
        return entry

    return replace


def _safe(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    exception = entry.pop("exception", None)
    safe: EventDict = {redact(name): _field(name, value) for name, value in entry.items()}
    if exception is not None:
        # Line by line: what an error says about a client's input can begin no entry of its own.
        safe["exception"] = "\n".join(f"  {redact(line)}" for line in exception.split("\n"))
    return safe


def _field(name: str | bytes, value: Any) -> Any:
    return HIDDEN if _SECRET_KEYS.search(_text(name)) else _value(value)


def _value(value: Any) -> Any:
    """A value as plain data, whatever it was."""
    match value:
        case None | bool() | int() | float():
            return value
        case str() | bytes():
            return redact(_text(value))
        case Mapping():
            return {redact(_text(name)): _field(_text(name), of) for name, of in value.items()}
        case (str() | bytes() as name, str() | bytes() as of):
            return [redact(_text(name)), _field(name, of)]  # a header of an ASGI scope
        case list() | tuple() | set() | frozenset():
            return [_value(inner) for inner in value]
    return redact(str(value))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
