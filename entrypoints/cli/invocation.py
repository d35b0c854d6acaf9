"""One call of a command on a pipeline: settings, logging, signals and the session, opened and closed in order.

Commands only run use cases inside it and hand over results.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import attrs

from entrypoints.cli.options import Common

if TYPE_CHECKING:
    from entrypoints.pipeline_file import PipelineFile
    from entrypoints.redaction import Redactor
    from entrypoints.settings import Settings
    from pipeline.application.session import Session
    from pipeline.ports.metrics import Metrics

#: Masks secrets in everything that this process prints; filled while configuration is read.
_redactor: Redactor | None = None

#: Unexpected errors that the log file has.
_logged: list[BaseException] = []


@attrs.frozen
class Invocation:
    """What a command works with: a session for each group of the pipeline."""

    settings: Settings
    file: PipelineFile
    sessions: tuple[Session, ...]


def redactor() -> Redactor:
    """The redactor of this process."""
    from entrypoints.redaction import Redactor

    global _redactor  # one process has one set of secrets, and failures outlive the invocation
    if _redactor is None:
        _redactor = Redactor()
    return _redactor


def log_unless_logged(error: Exception) -> None:
    """Write an unexpected error to the log file if it came before or after the time in which logging was on."""
    from entrypoints.settings import LogSettings

    if error in _logged:
        return
    try:
        log = settings_of(Common()).log
    except Exception:  # the settings may be what is broken
        log = LogSettings()
    from entrypoints import logs

    logs.configure(log, name="cli", redactor=redactor(), console_level="CRITICAL")
    _log_failure(error)
    logs.close()


def settings_of(common: Common) -> Settings:
    """The settings that the options choose."""
    from entrypoints.settings import load_settings

    return load_settings(
        config_dir=common.config_dir, env=common.env, log_level=common.log_level, secrets=redactor().secrets
    )


@contextmanager
def logging_to(settings: Settings, *, command: str, name: str, quiet: bool) -> Iterator[None]:
    """Log lines of this command to file and console inside the context; ``quiet``: only trouble on the console."""
    from entrypoints import logs

    logs.configure(settings.log, name=name, redactor=redactor(), console_level="WARNING" if quiet else None)
    logs.bind(pipeline=name, command=command, run=random.token_hex(4))
    try:
        yield
    except BaseException as error:
        _log_failure(error)
        raise
    finally:
        logs.close()


@contextmanager
def invocation(
    command: str,
    pipeline: str,
    common: Common,
    *,
    needs_source: bool = True,
    graceful: bool = False,
    quiet: bool = True,
    metrics: tuple[Metrics, ...] = (),
) -> Iterator[Invocation]:
    """Open the pipeline's session for ``command``. ``graceful``: the first signal asks the use case to stop instead of
    aborting it.
    """
    from entrypoints import logs
    from entrypoints.cli.stopping import stopping
    from entrypoints.container import opened_groups
    from entrypoints.pipeline_file import load_pipeline

    settings = settings_of(common)
    file = load_pipeline(pipeline, settings, needs_source=needs_source, secrets=redactor().secrets)
    with ExitStack() as stack:
        stack.enter_context(logging_to(settings, command=command, name=file.spec.name, quiet=quiet))
        stop = stack.enter_context(stopping(graceful=graceful))
        sessions = stack.enter_context(
            opened_groups(
                file.groups,
                logger=logs.logger(),
                stop=stop,
                metrics=metrics,
                gaps=None if needs_source else file.source_gaps,
            )
        )
        yield Invocation(settings, file, sessions)


def _log_failure(error: BaseException) -> None:
    from entrypoints import logs
    from pipeline.domain.errors import PipelineError

    if isinstance(error, PipelineError):
        logs.logger().info("command failed", exc_info=error)
    elif isinstance(error, Exception):
        _logged.append(error)
        logs.logger().info("command failed unexpectedly", exc_info=error)
