"""What the demo says: a line for each step, results as tables, and at the end where everything is.

With ``--json`` it says nothing but one document at the end.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from rich.console import RenderableType
from rich.table import Table

from entrypoints.cli.invocation import redactor
from entrypoints.cli.output import shown
from entrypoints.cli.plain import plain
from entrypoints.cli.tables import console, transform_line, verify_table
from pipeline.application.session import Session
from pipeline.application.verify import VerifyResult
from pipeline.ports.transformer import TransformResult


class Report:
    """Prints to stdout as things happen, or collects them if ``is_silent``."""

    def __init__(self, *, is_silent: bool) -> None:
        self.is_silent = is_silent
        self._console = console()
        self._results: dict[str, object] = {}
        self._started = time.monotonic()

    def title(self, text: str) -> None:
        """The head of a part."""
        self._print(f"\n[bold]{text}[/bold]")

    def line(self, text: str) -> None:
        """A plain sentence."""
        self._print(text)

    def step(self, text: str, *, started: float) -> None:
        """A sentence with how long it took since ``started`` (monotonic)."""
        self._print(f"{text} ({time.monotonic() - started:.1f} s)")

    def result(self, name: str, value: object) -> None:
        """Keep a result for the JSON document."""
        self._results[name] = value

    def transform(self, result: TransformResult) -> None:
        """What dbt did."""
        self._print(transform_line(result))

    def verify(self, result: VerifyResult) -> None:
        """The verdicts."""
        self._print(verify_table(result))

    def mart(self, sql: str, rows: pa.Table) -> None:
        """Some rows of a mart."""
        name = sql.split(" from ", 1)[1].split()[0]
        self.title(name)
        self._results["mart"] = {"name": name, "rows": plain(rows.to_pylist())}
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for field in rows.schema:
            is_number = pa.types.is_integer(field.type) or pa.types.is_decimal(field.type)
            table.add_column(field.name.lower(), justify="right" if is_number else "left", no_wrap=True)
        for row in rows.to_pylist():
            table.add_row(*(_cell(value) for value in row.values()))
        self._print(table)

    def end(self, lines: list[str]) -> None:
        """The end: how long it took and what to do next."""
        seconds = time.monotonic() - self._started
        self._results["seconds"] = round(seconds, 1)
        self.title(f"Done in {seconds:.0f} s")
        for line in lines:
            self.line(line)
        if self.is_silent:
            sys.stdout.write(redactor().mask(json.dumps(self._results, default=str)) + "\n")
            sys.stdout.flush()

    def _print(self, content: RenderableType) -> None:
        if not self.is_silent:
            self._console.print(content, soft_wrap=isinstance(content, str))
            sys.stdout.flush()


def next_steps(session: Session, *, log: Path, environment: Path | None) -> list[str]:
    """Where things are, and commands that work now."""
    python = _program()
    lines = [
        *_warehouse(session),
        f"log        {shown(log)}",
        "",
        *_look(session, python, is_kept=environment is not None),
    ]
    if environment is None:
        return [
            *lines,
            "Leave the shop's database running, to play with:",
            f"  {python} -m entrypoints.cli demo --keep",
            "",
            "Begin with a database of your own:",
            f"  {python} -m entrypoints.cli init crm --dsn-env CRM_DSN",
        ]
    return [
        *lines,
        f"The shop's database stays up until Ctrl-C. In another terminal: . {shown(environment)}",
        f"  {python} -m entrypoints.cli stream shop",
        f"  {python} -m entrypoints.cli verify shop",
    ]


def _warehouse(session: Session) -> list[str]:
    schemas = "schemas staging, changelog, quarantine, pipeline, stg, marts"
    path = session.pipeline.warehouse.options.get("path")
    if path is None:
        return [f"warehouse  {session.warehouse.name}", f"           ({schemas})"]
    return [f"warehouse  {shown(Path(str(path)))}", f"           (DuckDB: {schemas})"]


def _look(session: Session, python: str, *, is_kept: bool) -> list[str]:
    path = session.pipeline.warehouse.options.get("path")
    if path is None and not is_kept:
        return []  # the warehouse may be gone with the demo, as an emulated one is
    lines = [
        "Try next:",
        f"  {python} -m entrypoints.cli status shop",
        f"  {python} -m entrypoints.cli transform shop",
    ]
    if path is not None:
        query = "from marts.fct_daily_revenue order by 1 desc limit 3"
        look = f"duckdb.connect('{shown(Path(str(path)))}', read_only=True).sql('{query}')"
        lines.append(f'  {python} -c "import duckdb; print({look})"')
    return [*lines, ""]


def _program() -> str:
    """How a person would start this Python from here."""
    return shown(Path(sys.executable)) if Path(sys.executable).is_relative_to(Path.cwd()) else "python"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int | Decimal) else str(value)
