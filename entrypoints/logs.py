"""Logging of the command line: JSON lines to a rotating file, text or JSON to stderr, no row values, no secrets.

Airflow configures logging itself: nothing here may be called from a DAG.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import threading
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from entrypoints.redaction import Redactor
from entrypoints.settings import LogSettings
from pipeline.domain.errors import PipelineError

#: Libraries say much that is of no use here, and below this level sometimes what they send.
_LIBRARY_LEVEL = logging.WARNING

_OWN = "pipeline"

EventDict = MutableMapping[str, Any]

#: Context of the whole process: threads would not see context variables.
_context: dict[str, object] = {}


def configure(
    settings: LogSettings,
    *,
    name: str,
    redactor: Redactor,
    console_level: str | None = None,
) -> logging.handlers.RotatingFileHandler | None:
    """Send all log lines to ``<folder>/<name>.log`` and to the console; returns the file's handler, None where the
    folder cannot be written. ``console_level`` keeps lower lines off the console.
    """
    handlers: list[logging.Handler] = []
    file_handler = _file_handler(settings, name=name, redactor=redactor)
    if file_handler is not None:
        handlers.append(file_handler)
    if settings.console != "off":
        handlers.append(_console_handler(settings, redactor=redactor, level=console_level))
    _install(handlers, level=settings.level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _add_context,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    threading.excepthook = _log_thread_failure
    if file_handler is None:
        logger().warning("log file not written", folder=str(settings.folder))
    return file_handler


def close() -> None:
    """Flush and close what ``configure`` opened."""
    _install([], level="WARNING")
    _context.clear()


def logger() -> structlog.stdlib.BoundLogger:
    """The product's logger."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(_OWN)
    return bound


def bind(**context: object) -> None:
    """Add ``context`` to every line of this process from here on, whichever thread it comes from."""
    _context.update(context)


def describe_exception(error: BaseException) -> list[dict[str, object]]:
    """The chain of ``error``, outermost first, without what drivers said: their texts may quote rows (P10).

    Each part has class, SQLSTATE where there is one, and the places it passed; our own errors their message too.
    """
    parts: list[dict[str, object]] = []
    current: BaseException | None = error
    while current is not None and len(parts) < 10:
        part: dict[str, object] = {"class": f"{type(current).__module__}.{type(current).__qualname__}"}
        sqlstate = getattr(current, "sqlstate", None)
        if isinstance(sqlstate, str):
            part["sqlstate"] = sqlstate
        if isinstance(current, PipelineError):
            part["message"] = str(current)
        frames = traceback.extract_tb(current.__traceback__)
        part["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        parts.append(part)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return parts


def _shared_processors() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_values,
    ]


def _exception_without_values(_: object, __: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if error is not None:
        event["exception"] = describe_exception(error)
    return event


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks secrets in the finished line, wherever in it they came from."""

    def __init__(self, renderer: Any, *, redactor: Redactor) -> None:
        super().__init__(
            foreign_pre_chain=[_add_context, _library_name, *_shared_processors()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.mask(super().format(record))


def _add_context(_: object, __: str, event: EventDict) -> EventDict:
    for key, value in _context.items():
        event.setdefault(key, value)
    return event


def _library_name(_: object, __: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["library"] = record.name
    return event


def _file_handler(
    settings: LogSettings, *, name: str, redactor: Redactor
) -> logging.handlers.RotatingFileHandler | None:
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            settings.folder / f"{name}.log",
            maxBytes=settings.max_bytes,
            backupCount=settings.backup_count,
            encoding="utf-8",
        )
    except OSError:
        return None
    handler.setFormatter(_RedactingFormatter(_json_renderer(), redactor=redactor))
    return handler


def _console_handler(settings: LogSettings, *, redactor: Redactor, level: str | None) -> logging.Handler:
    text = settings.console == "text" or (settings.console == "auto" and sys.stderr.isatty())
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: Any = _ConsoleRenderer(colors=colors) if text else _json_renderer()
    handler = _StderrHandler()
    handler.setFormatter(_RedactingFormatter(renderer, redactor=redactor))
    if level:
        handler.setLevel(level)
    return handler


class _StderrHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment: a live display takes its place while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except BrokenPipeError:
            pass
        except Exception:
            self.handleError(record)


class _ConsoleRenderer:
    """One line for people; exceptions only by class, since the file has the places."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=24)

    def __call__(self, wrapped: Any, name: str, event: EventDict) -> Any:
        for key in ("pipeline", "command", "run"):
            event.pop(key, None)
        exception = event.pop("exception", None)
        if exception:
            event["error"] = exception[0]["class"]
        return self._render(wrapped, name, event)


def _json_renderer() -> Any:
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)


def _install(handlers: list[logging.Handler], *, level: str) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, _RedactingFormatter):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(max(_LIBRARY_LEVEL, logging.getLevelName(level)))
    logging.getLogger(_OWN).setLevel(level)
    logging.captureWarnings(capture=bool(handlers))


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        thread = failure.thread.name if failure.thread else ""
        logger().error("thread failed", thread=thread, exc_info=failure.exc_value)
