"""The frame of a load: what it holds while it is open is let go once, however it ends.

What it holds, and what is done with it, is each warehouse adapter's.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

from adapters.warehouses.changerows import Stamp
from adapters.warehouses.refusals import load_is_over
from pipeline.domain.checkpoint import Checkpoint

_Held = TypeVar("_Held")


class OpenLoad(ABC, Generic[_Held]):
    """See ``pipeline.ports.warehouse.Load``, which it is the beginning of. It ends when it is committed, when any of
    its methods fails, and when it is left.
    """

    def __init__(self, checkpoint: Checkpoint, take: Callable[[], _Held]) -> None:
        """``take`` gives what is to be held, which may have to be waited for."""
        self._checkpoint = checkpoint
        self._stamp = Stamp(checkpoint.load, checkpoint.at)
        self._started = time.monotonic()
        self._held: _Held | None = take()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    @abstractmethod
    def _let_go(self, held: _Held, error: BaseException | None) -> None:
        """Let go of what was held, after an error if there was one; what is not committed is to be undone."""

    @property
    def _seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._started

    @contextmanager
    def _running(self) -> Iterator[_Held]:
        """What it holds, for one of its methods; raises ``WarehouseError`` after its end."""
        if self._held is None:
            raise load_is_over(self._checkpoint.group)
        try:
            yield self._held
        except BaseException as error:
            self._end(error)
            raise

    def _end(self, error: BaseException | None = None) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._let_go(held, error)
