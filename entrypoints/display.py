"""Live progress on a terminal: bars while streams are copied, a table while changes flow.

The numbers come from ``LiveMetrics``; where stderr is no terminal nothing is drawn and log lines tell the story.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from adapters.clock import SystemClock
from adapters.metrics.live import LiveMetrics, StreamView

_REFRESHES_PER_S = 4
_BAR_WIDTH = 24


@attrs.frozen
class Board:
    """What a command shows while it works; give ``metrics`` to its session."""

    metrics: LiveMetrics
    is_shown: bool


View = Callable[[Sequence[StreamView]], RenderableType]


@contextmanager
def progress(
    *, hidden: bool = False, metrics: LiveMetrics | None = None, view: View | None = None, is_lasting: bool = False
) -> Iterator[Board]:
    """Show a board on stderr inside the context, unless ``hidden`` or stderr is no terminal.

    ``view`` draws the numbers, else what fits the moment. ``is_lasting``: where there is no terminal the last state is
    printed once.
    """
    metrics = metrics or LiveMetrics(SystemClock())
    draw = view or board_of
    console = Console(stderr=True, highlight=False)
    if hidden or not sys.stderr.isatty():
        yield Board(metrics, is_shown=False)
        if is_lasting and not hidden:
            console.print(draw(metrics.view()))
        return
    with Live(
        get_renderable=lambda: draw(metrics.view()),
        console=console,
        refresh_per_second=_REFRESHES_PER_S,
        redirect_stdout=False,
    ):
        yield Board(metrics, is_shown=True)


def board_of(views: Sequence[StreamView]) -> RenderableType:
    """Bars while anything is being copied, the table of changes afterwards."""
    if not views:
        return Text("starting")
    copying = any(not view.is_copied and not view.change_count for view in views)
    return copy_table(views) if copying else change_table(views)


def copy_table(views: Sequence[StreamView]) -> Table:
    """How far the snapshot of each stream is."""
    table = _table("stream", "snapshot", ">rows copied")
    for view in views:
        total = view.copied_count if view.is_copied else max(view.estimated_count or 0, view.copied_count)
        bar = ProgressBar(total=max(total, 1), completed=max(view.copied_count, int(view.is_copied)), width=_BAR_WIDTH)
        table.add_row(view.stream, bar, f"{view.copied_count:,}")
    return table


def change_table(views: Sequence[StreamView]) -> Table:
    """How fast each stream flows and how far behind it is."""
    table = _table("stream", ">rows copied", ">changes", ">changes/s", ">lag", ">visible p50", ">visible p99")
    for view in views:
        table.add_row(
            view.stream,
            f"{view.copied_count:,}",
            f"{view.change_count:,}",
            f"{view.change_rate:,.0f}",
            seconds(view.lag_s),
            seconds(view.visible_p50_s),
            seconds(view.visible_p99_s),
        )
    return table


def seconds(value: float | None) -> str:
    """A duration in the unit that people read: ms below one second."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(
            heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left", no_wrap=True
        )
    return table
