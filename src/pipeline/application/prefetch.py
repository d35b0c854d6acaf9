"""Work one item ahead: produce the next item in a thread while the last one is consumed.

Meant for items whose production and consumption both release the interpreter lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pipeline.application.threads import Workthread

Item = TypeVar("Item")

_POLL_S = 0.1


class Prefetch(Generic[Item]):
    """Iterates over what ``produce`` returns, at most ``depth`` items ahead, and one more in the producer's hands.

    It works ahead only after an item for which ``is_eager`` holds, else waits to be asked for the next one: what is
    produced late may be fresher or larger.

    ``produce`` returns None where there is nothing just now and is then called again; it raises ``StopIteration`` at
    the end. Any other exception is raised in the consumer, in its place of the order. Leaving the context stops the
    producer after its current call, waits for it, and then calls ``release``.
    """

    def __init__(
        self,
        produce: Callable[[], Item | None],
        *,
        depth: int = 1,
        is_eager: Callable[[Item], bool] = lambda _: True,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._produce = produce
        self._release = release
        self._is_eager = is_eager
        self._is_ahead = True
        self._asked = threading.Event()
        self._items: queue.Queue[Item | BaseException] = queue.Queue(maxsize=depth)
        self._cancelled = threading.Event()
        self._thread = Workthread(self._run, name="prefetch")

    def __enter__(self) -> Prefetch[Item]:
        self._thread.start_or(self._cancelled.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._cancelled.set()
        try:
            self._thread.outlast()
        finally:
            self._release()

    def __iter__(self) -> Iterator[Item]:
        while True:
            self._asked.set()
            item = self._items.get()
            self._asked.clear()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        while not self._cancelled.is_set():
            if not self._is_ahead and not self._asked.wait(_POLL_S):
                continue
            item: Item | BaseException | None
            try:
                item = self._produce()
            except BaseException as error:  # handed over to the consumer, whatever it is
                item = error
            if item is None:
                continue
            self._put(item)
            if isinstance(item, BaseException):
                return
            self._is_ahead = self._is_eager(item)

    def _put(self, item: Item | BaseException) -> None:
        while not self._cancelled.is_set():
            try:
                self._items.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return


def ahead(
    items: Iterator[Item | None], *, depth: int = 1, is_eager: Callable[[Item], bool] = lambda _: True
) -> Prefetch[Item]:
    """Run an iterator in a thread, ahead of its consumer as ``Prefetch`` has it; a None from it is passed over. A
    generator is closed in the end: an error that is kept would keep open what it has open.
    """
    release = getattr(items, "close", lambda: None)
    return Prefetch(lambda: next(items), depth=depth, is_eager=is_eager, release=release)
