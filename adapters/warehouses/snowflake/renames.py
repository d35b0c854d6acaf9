"""The names of columns within rows, where a column was renamed: of unchanged columns, old keys and what waits.

The columns themselves are renamed by ``tables``. Names are compared as they are stored, since a table tells no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.statement import Statement, quote, stored
from pipeline.domain.canonical import OLD_KEY_MEMBER, renamed
from pipeline.domain.change import OLD_KEY, SEQUENCE, UNCHANGED
from pipeline.domain.loading import Target
from pipeline.domain.quarantine import STATUS_WAITING

#: Rows that are written anew in one statement.
_AT_A_TIME = 200


def rename_in_rows(session: Session, target: Target, old: str, new: str) -> None:
    """Rename within the changelog's rows and the rows that wait; nothing happens where no row has the old name."""
    _rename_lists(session, target, old, new)
    if target.schema.key:
        _rename_old_keys(session, target, old, new)
    _rename_waiting(session, target, old, new)


def _rename_lists(session: Session, target: Target, old: str, new: str) -> None:
    table, lists = sql.changelog(target), quote(UNCHANGED)
    query = f"SELECT DISTINCT TO_JSON({lists}) FROM {table} WHERE {lists} IS NOT NULL"
    for (text,) in session.rows(Statement(query)):
        before = json.loads(text)
        after = [new if stored(name) == stored(old) else name for name in before]
        if before != after:
            update = f"UPDATE {table} SET {lists} = PARSE_JSON(?)::ARRAY WHERE TO_JSON({lists}) = ?"
            session.execute(Statement(update, [json.dumps(after, ensure_ascii=False), text]))


def _rename_old_keys(session: Session, target: Target, old: str, new: str) -> None:
    table, column = sql.changelog(target), quote(OLD_KEY)
    query = f"SELECT {quote(SEQUENCE)}, {column} FROM {table} WHERE {column} IS NOT NULL"
    found = ((int(sequence), text, _renamed(text, old, new)) for sequence, text in session.rows(Statement(query)))
    changed = [(sequence, after) for sequence, before, after in found if before != after]
    for some in _parts(changed):
        others = "\n    UNION ALL SELECT ?, ?" * (len(some) - 1)
        session.execute(
            Statement(
                f"""MERGE INTO {table} AS t
USING (
    SELECT ? AS {quote(SEQUENCE)}, ? AS {column}{others}
) AS s
ON t.{quote(SEQUENCE)} = s.{quote(SEQUENCE)}
WHEN MATCHED THEN UPDATE SET {column} = s.{column}""",
                [value for row in some for value in row],
            )
        )


def _rename_waiting(session: Session, target: Target, old: str, new: str) -> None:
    table, names = sql.quarantine(target), (quote("key"), quote("row"))
    query = f"SELECT DISTINCT {', '.join(names)} FROM {table} WHERE {quote('status')} = ?"
    for before in session.rows(Statement(query, [STATUS_WAITING])):
        after = tuple(_renamed(text, old, new) for text in before)
        if after != before:
            update = f"""UPDATE {table} SET {names[0]} = ?, {names[1]} = ?
WHERE {quote("status")} = ? AND {names[0]} = ? AND {names[1]} = ?"""
            session.execute(Statement(update, [*after, STATUS_WAITING, *before]))


def _renamed(text: str, old: str, new: str) -> str:
    """A row or key in canonical JSON with the column renamed, whatever the case that its name is written in."""
    document = json.loads(text)
    within = document.get(OLD_KEY_MEMBER) or {}
    for name in dict.fromkeys([*document, *within]):
        if stored(name) == stored(old):
            text = renamed(text, name, new)
    return text


def _parts(rows: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    return (rows[start : start + _AT_A_TIME] for start in range(0, len(rows), _AT_A_TIME))
