"""Runs a pipeline and kills itself at a named step: ``crasher.py DSN FOLDER STEP``. For crash tests.

Steps: ``read`` (a batch was read), ``apply`` (rows are in the open transaction), ``before commit``, ``after commit``
(committed, not acknowledged), ``acknowledge`` (told the source, then died), ``copy`` (in the middle of a snapshot),
``begin`` (slot created, no checkpoint), ``none``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.application.sync import sync
from tests.support.attached import attached_world

_METHODS = {
    "read": ("next", "after"),
    "apply": ("apply", "after"),
    "before commit": ("commit", "before"),
    "after commit": ("commit", "after"),
    "acknowledge": ("acknowledge", "after"),
    "copy": ("replace", "after"),
    "begin": ("begin", "before"),
}


def die() -> None:
    """Be gone."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Hands every call on; at the step's method the process is gone, or ``act`` is called. What methods return does
    alike.
    """

    def __init__(self, inner: Any, step: str, act: Callable[[], None] = die) -> None:
        self._inner = inner
        self._step = step
        self._act = act

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not callable(inner):
            return inner

        def call(*args: Any, **options: Any) -> Any:
            method, when = _METHODS.get(self._step, ("", ""))
            if name == method and when == "before":
                self._act()
            result = inner(*args, **options)
            if name == method and when == "after" and result is not False and not _is_empty(result):
                self._act()
            return Dying(result, self._step, self._act) if name in {"load", "read"} else result

        return call

    def __enter__(self) -> Dying:
        self._inner.__enter__()
        return self

    def __exit__(self, *details: Any) -> Any:
        return self._inner.__exit__(*details)


def _is_empty(result: Any) -> bool:
    return getattr(result, "is_empty", False) is True


def main() -> None:
    """Run to the step."""
    dsn, folder, step = sys.argv[1:]
    world = attached_world(dsn, Path(folder))
    world.stream("orders")
    session = world.session(
        warehouse=Dying(world.warehouse, step),  # type: ignore[arg-type] # hands everything on
        source=lambda source: Dying(source, step) if step in {"read", "acknowledge"} else source,  # type: ignore[arg-type,return-value] # as above
    )
    sync(session)
    world.warehouse.close()


if __name__ == "__main__":
    main()
