"""The names of columns within rows, where columns were renamed: of unchanged columns, old keys and what waits.

The columns themselves are renamed by ``tables``, one statement for each. Names in rows are changed all at once, in one
transaction that also notes it, so that a run that dies leaves them renamed or not, and ``undoing`` knows which. Rows
may be many: they are read in pages before it, and what they shall be waits in files in the stage (P11).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.snowflake import control, sql
from adapters.warehouses.snowflake.files import FileColumn, from_file
from adapters.warehouses.snowflake.keyrange import KeyRange
from adapters.warehouses.snowflake.paging import Pages
from adapters.warehouses.snowflake.session import Session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement, literal, quote
from adapters.warehouses.snowflake.types import sql_type
from adapters.warehouses.snowflake.uploading import Uploads
from pipeline.domain.canonical import renamed
from pipeline.domain.change import OLD_KEY, SEQUENCE, UNCHANGED
from pipeline.domain.loading import RenameColumn, SchemaChange, Target
from pipeline.domain.position import SEQUENCE_TYPE
from pipeline.domain.quarantine import STATUS_WAITING
from pipeline.domain.tables import LOAD
from pipeline.domain.valuetext import one_array

#: Rows that are read by one statement, and written anew by one.
PAGE_ROWS = 100_000

#: How a note of renamed rows begins among the recorded steps; the names follow as JSON.
_NOTE = "rename in rows "


@attrs.frozen
class Naming:
    """Where rows name columns: the columns of a table that hold such texts, a list by its JSON, and the rows that are
    meant. ``order`` are the columns of load and sequence.
    """

    table: str
    order: tuple[str, str]
    texts: tuple[str, ...]
    where: str

    @property
    def layout(self) -> tuple[FileColumn, ...]:
        """The columns of a file of rewritten texts."""
        load, sequence = self.order
        texts = (FileColumn(name, pa.string()) for name in self.texts)
        return FileColumn(load, pa.int64()), FileColumn(sequence, SEQUENCE_TYPE), *texts

    def pages(self, rows: int) -> Pages:
        """The rows with their texts."""
        places = [quote(name) for name in self.order]
        texts = [
            f"TO_JSON({quote(name)}) AS {quote(name)}" if name == UNCHANGED else quote(name) for name in self.texts
        ]
        return Pages(", ".join([*places, *texts]), f"{self.table} AS t", self.order, rows, self.where)

    def write(self, path: str, loads: tuple[int, int]) -> Statement:
        """Take over the texts of a staged file, whose rows lie between two loads."""
        load, sequence = map(quote, self.order)
        within = KeyRange(self.order[0], sql_type(pa.int64()), *loads)
        values = (
            (name, f"PARSE_JSON(s.{quote(name)})::ARRAY" if name == UNCHANGED else f"s.{quote(name)}")
            for name in self.texts
        )
        return Statement(
            f"""MERGE INTO {self.table} AS t
USING ({from_file(self.layout, path)}) AS s
ON t.{load} = s.{load} AND t.{sequence} = s.{sequence}
    AND {within.within("t")} AND ({self.where})
WHEN MATCHED THEN UPDATE SET {sql.assignments(values)}""",
            within.values,
        )


def namings(target: Target) -> tuple[Naming, ...]:
    """Of a stream: in its changelog, and in the rows that wait in quarantine."""
    texts = (UNCHANGED, OLD_KEY) if target.schema.key else (UNCHANGED,)
    named = " OR ".join(f"t.{quote(name)} IS NOT NULL" for name in texts)
    waits = f"t.{quote('status')} = {literal(STATUS_WAITING)}"
    return (
        Naming(sql.changelog(target), (LOAD, SEQUENCE), texts, named),
        Naming(sql.quarantine(target), ("load", "sequence"), ("key", "row"), waits),
    )


def renames_of(changes: Iterable[SchemaChange]) -> dict[str, str]:
    """What each column is called in the end, by its first name; columns that keep their name are left out."""
    origins: dict[str, str] = {}
    for change in changes:
        if isinstance(change, RenameColumn):
            origins[change.column.name] = origins.pop(change.name, change.name)
    return {origin: name for name, origin in origins.items() if origin != name}


def rename_in_rows(sessions: Sessions, target: Target, names: Mapping[str, str]) -> None:
    """Give columns their new names within rows, unless that was done for this version before."""
    if not names or names in _noted(sessions.get(), target, version=f"= {target.schema_version}"):
        return
    _rename(sessions, target, names, control.note_migration(target, _note(names)))


def undo_in_rows(sessions: Sessions, target: Target) -> None:
    """Give columns their former names within rows, where versions after the target's renamed them."""
    text = f"DELETE FROM {control.own('migrations')} WHERE {quote('table_name')} = ? AND {quote('change')} = ?"
    for names in _noted(sessions.get(), target, version=f"> {target.schema_version}"):
        former = {new: old for old, new in names.items()}
        _rename(sessions, target, former, Statement(text, [target.table, _note(names)]))


def _note(names: Mapping[str, str]) -> str:
    return _NOTE + json.dumps(names, ensure_ascii=False, sort_keys=True)


def _noted(session: Session, target: Target, *, version: str) -> list[dict[str, str]]:
    change = quote("change")
    text = f"""SELECT {change} FROM {control.own("migrations")}
WHERE {quote("table_name")} = ? AND {quote("schema_version")} {version} AND STARTSWITH({change}, ?)
ORDER BY {quote("schema_version")} DESC"""
    return [json.loads(row[0].removeprefix(_NOTE)) for row in session.rows(Statement(text, [target.table, _NOTE]))]


def _rename(sessions: Sessions, target: Target, names: Mapping[str, str], note: Statement) -> None:
    """Rename in all rows and run ``note``, together or not at all."""
    session = sessions.get()
    with Uploads(sessions) as uploads:
        writes = [each for naming in namings(target) for each in _writes(session, uploads, naming, names)]
        uploads.wait()
        with session.transaction():
            for statement in (*writes, note):
                session.execute(statement)


def _writes(session: Session, uploads: Uploads, naming: Naming, names: Mapping[str, str]) -> Iterator[Statement]:
    """Upload what the rows shall be, those left out that stay as they are; the statements that take it over."""
    for piece in naming.pages(PAGE_ROWS).read(session):
        before = piece.rename_columns([column.name for column in naming.layout])
        after, differs = before, pa.array([False] * piece.num_rows)
        for number, name in enumerate(naming.texts, len(naming.order)):
            texts = one_array(before[name].cast(pa.string()))
            new = _renamed_all(texts, names)
            after = after.set_column(number, name, new)
            differs = pc.or_(differs, pc.fill_null(pc.not_equal(texts, new), False))
        after = after.filter(differs)
        if after.num_rows:
            loads = pc.min_max(after[naming.order[0]].cast(pa.int64())).as_py()
            path = f"{uploads.folder}/{uploads.add(after, naming.layout)}"
            yield naming.write(path, (loads["min"], loads["max"]))


def _renamed_all(texts: pa.Array, names: Mapping[str, str]) -> pa.Array:
    """Each different text is looked at once: of lists and keys there are few."""
    encoded = texts.dictionary_encode()
    new = [_renamed(text, names) for text in encoded.dictionary.to_pylist()]
    return pa.array(new, pa.string()).take(encoded.indices)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A list of names, or a row or key in canonical JSON, with all columns renamed at once."""
    if text.startswith("["):
        return json.dumps([names.get(name, name) for name in json.loads(text)], ensure_ascii=False)
    for number, old in enumerate(names):  # by names in between, since columns may have swapped theirs
        text = renamed(text, old, f"\0{number}")
    for number, new in enumerate(names.values()):
        text = renamed(text, f"\0{number}", new)
    return text
