"""What ``doctor`` can say about the database file without changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator

import duckdb

from adapters.warehouses.duckdb import control
from adapters.warehouses.duckdb.connection import Database
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level


def inspect(database: Database) -> tuple[Finding, ...]:
    """Findings about the folder, the file, its lock and what interrupted runs left."""
    return tuple(_findings(database))


def _findings(database: Database) -> Iterator[Finding]:
    where = f"duckdb {database.path}"
    folder = next(parent for parent in database.path.absolute().parents if parent.exists())
    if not folder.is_dir():
        hint = "Set the warehouse's path to a folder that you may write to."
        yield Finding(Level.ERROR, "duckdb_folder", f"{folder} is not a folder", where=where, hint=hint)
        return
    if not os.access(folder, os.W_OK):
        yield Finding(
            Level.ERROR, "duckdb_writable", "the folder is not writable", where=where, hint=f"Grant write on {folder}."
        )
        return
    if not database.exists:
        yield Finding(Level.INFO, "duckdb_file", "the file will be created", where=where)
        return
    if not os.access(database.path, os.W_OK):
        yield Finding(
            Level.ERROR, "duckdb_writable", "the file is not writable", where=where, hint="Change its owner or mode."
        )
        return
    try:
        with database.hold(read_only=True) as connection:
            yield from _contents(connection, where, size=database.path.stat().st_size)
    except PipelineError as error:
        yield Finding.of(error, "duckdb_open", where=where)


def _contents(connection: duckdb.DuckDBPyConnection, where: str, *, size: int) -> Iterator[Finding]:
    yield Finding(
        Level.OK, "duckdb_file", f"DuckDB {duckdb.__version__}, {size / 1_000_000:.1f} MB, free to write", where=where
    )
    if not control.is_set_up(connection):
        yield Finding(Level.INFO, "duckdb_setup", "the pipeline's tables will be created", where=where)
        return
    query = """SELECT "group" FROM pipeline.intentions
WHERE "group" NOT IN (SELECT "group" FROM pipeline.checkpoints) ORDER BY 1"""
    for (group,) in connection.execute(query).fetchall():
        yield Finding(
            Level.WARNING,
            "duckdb_interrupted",
            f"a first run of {group} was interrupted",
            where=where,
            hint="The next run begins it anew.",
        )
