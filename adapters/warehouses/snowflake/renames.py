"""The names of columns within rows, where columns were renamed: of unchanged columns, old keys and what waits.

The columns themselves are renamed by ``tables``, one statement for each. Names in rows are changed all at once, in one
transaction that also notes it, so that a run that dies leaves them renamed or not, and ``undoing`` knows which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from adapters.warehouses.snowflake import control, sql
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, quote
from pipeline.domain.canonical import renamed
from pipeline.domain.change import OLD_KEY, SEQUENCE, UNCHANGED
from pipeline.domain.loading import RenameColumn, SchemaChange, Target
from pipeline.domain.quarantine import STATUS_WAITING

#: Rows that are written anew in one statement.
_AT_A_TIME = 200

#: How a note of renamed rows begins among the recorded steps; the names follow as JSON.
_NOTE = "rename in rows "


def renames_of(changes: Iterable[SchemaChange]) -> dict[str, str]:
    """What each column is called in the end, by its first name; columns that keep their name are left out."""
    origins: dict[str, str] = {}
    for change in changes:
        if isinstance(change, RenameColumn):
            origins[change.column.name] = origins.pop(change.name, change.name)
    return {origin: name for name, origin in origins.items() if origin != name}


def rename_in_rows(session: Session, target: Target, names: Mapping[str, str]) -> None:
    """Give columns their new names within rows, unless that was done for this version before."""
    if not names or names in _noted(session, target, version=f"= {target.schema_version}"):
        return
    with session.transaction():
        _rename(session, target, names)
        session.execute(control.note_migration(target, _note(names)))


def undo_in_rows(session: Session, target: Target) -> None:
    """Give columns their former names within rows, where versions after the target's renamed them."""
    for names in _noted(session, target, version=f"> {target.schema_version}"):
        with session.transaction():
            _rename(session, target, {new: old for old, new in names.items()})
            text = f"DELETE FROM {control.own('migrations')} WHERE {quote('table_name')} = ? AND {quote('change')} = ?"
            session.execute(Statement(text, [target.table, _note(names)]))


def _note(names: Mapping[str, str]) -> str:
    return _NOTE + json.dumps(names, ensure_ascii=False, sort_keys=True)


def _noted(session: Session, target: Target, *, version: str) -> list[dict[str, str]]:
    change = quote("change")
    text = f"""SELECT {change} FROM {control.own("migrations")}
WHERE {quote("table_name")} = ? AND {quote("schema_version")} {version} AND STARTSWITH({change}, ?)
ORDER BY {quote("schema_version")} DESC"""
    return [json.loads(row[0].removeprefix(_NOTE)) for row in session.rows(Statement(text, [target.table, _NOTE]))]


def _rename(session: Session, target: Target, names: Mapping[str, str]) -> None:
    _rename_lists(session, target, names)
    if target.schema.key:
        _rename_old_keys(session, target, names)
    _rename_waiting(session, target, names)


def _rename_lists(session: Session, target: Target, names: Mapping[str, str]) -> None:
    table, lists = sql.changelog(target), quote(UNCHANGED)
    query = f"SELECT {quote(SEQUENCE)}, TO_JSON({lists}) FROM {table} WHERE {lists} IS NOT NULL"
    rows = ((int(sequence), text) for sequence, text in session.rows(Statement(query)))
    _rewrite(session, table, UNCHANGED, rows, names, value=f"PARSE_JSON(s.{lists})::ARRAY")


def _rename_old_keys(session: Session, target: Target, names: Mapping[str, str]) -> None:
    table, column = sql.changelog(target), quote(OLD_KEY)
    query = f"SELECT {quote(SEQUENCE)}, {column} FROM {table} WHERE {column} IS NOT NULL"
    rows = ((int(sequence), text) for sequence, text in session.rows(Statement(query)))
    _rewrite(session, table, OLD_KEY, rows, names, value=f"s.{column}")


def _rewrite(
    session: Session,
    table: str,
    name: str,
    rows: Iterable[tuple[int, str]],
    names: Mapping[str, str],
    *,
    value: str,
) -> None:
    """Write the texts of a column anew, row by row, by a MERGE on the sequence."""
    found = [(sequence, text, _renamed(text, names)) for sequence, text in rows]
    for some in _parts([(sequence, after) for sequence, before, after in found if before != after]):
        others = "\n    UNION ALL SELECT ?, ?" * (len(some) - 1)
        session.execute(
            Statement(
                f"""MERGE INTO {table} AS t
USING (
    SELECT ? AS {quote(SEQUENCE)}, ? AS {quote(name)}{others}
) AS s
ON t.{quote(SEQUENCE)} = s.{quote(SEQUENCE)}
WHEN MATCHED THEN UPDATE SET {quote(name)} = {value}""",
                [each for row in some for each in row],
            )
        )


def _rename_waiting(session: Session, target: Target, names: Mapping[str, str]) -> None:
    table, columns = sql.quarantine(target), (quote("key"), quote("row"))
    query = f"SELECT {quote('sequence')}, {', '.join(columns)} FROM {table} WHERE {quote('status')} = ?"
    for sequence, *before in session.rows(Statement(query, [STATUS_WAITING])):
        after = [_renamed(text, names) for text in before]
        if after != before:
            update = f"""UPDATE {table} SET {columns[0]} = ?, {columns[1]} = ?
WHERE {quote("status")} = ? AND {quote("sequence")} = ?"""
            session.execute(Statement(update, [*after, STATUS_WAITING, int(sequence)]))


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A list of names, or a row or key in canonical JSON, with all columns renamed at once."""
    if text.startswith("["):
        return json.dumps([names.get(name, name) for name in json.loads(text)], ensure_ascii=False)
    for number, old in enumerate(names):  # by names in between, since columns may have swapped theirs
        text = renamed(text, old, f"\0{number}")
    for number, new in enumerate(names.values()):
        text = renamed(text, f"\0{number}", new)
    return text


def _parts(rows: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    return (rows[start : start + _AT_A_TIME] for start in range(0, len(rows), _AT_A_TIME))
