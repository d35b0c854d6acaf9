"""Records of a page as rows of the stream's schema: values that do not fit set apart, deleted ones told apart.

How single values become Arrow's is ``values``'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

import pyarrow as pa

from adapters.sources.polling.extractor import Rows
from adapters.sources.rest.columns import UNLISTED, guessed
from adapters.sources.rest.documents import Record
from adapters.sources.rest.endpoints import StreamOptions, Unlisted
from adapters.sources.rest.reading import Records
from adapters.sources.rest.sampling import Sample
from adapters.sources.rest.values import table_of
from pipeline.domain.change import Misfit
from pipeline.domain.errors import SourceError, SourceRejected
from pipeline.domain.schema import Column, StreamSchema


class RowMaker:
    """Makes rows of one stream; ``schema`` is the one that its look began with, without members to ``exclude``."""

    def __init__(
        self, options: StreamOptions, schema: StreamSchema, *, where: str, exclude: Collection[str] = ()
    ) -> None:
        self.schema = schema
        self._options = options
        self._where = where
        self._known = {column.source_name for column in schema.columns} | set(options.columns) | set(exclude)
        self._keeps = options.unlisted is Unlisted.KEEP
        self._named = StreamSchema(tuple(schema.column(name) for name in self._naming()), key=schema.key)
        self._new_words: dict[str, str] = {}

    @property
    def is_exact(self) -> bool:
        """Whether the digits of fractions matter: some column shows them as they were written."""
        return any(column.json or pa.types.is_decimal(column.type) for column in self.schema.columns)

    def cursor(self) -> Column:
        """The column of the stream's cursor."""
        name = self._options.since.column if self._options.since is not None else ""
        return next(column for column in self.schema.columns if column.source_name == name)

    def words(self) -> dict[str, str]:
        """The type words of all columns, those included that records began to have in this look."""
        words = {column.source_name: column.source_type for column in self.schema.columns}
        return {name: word for name, word in {**words, **self._new_words}.items() if name != UNLISTED}

    def rows(self, page: Records) -> Iterator[Rows]:
        """The rows of a page, and the keys of those that it says are gone; in the order of the records where a key is
        among both.
        """
        byte_count = page.byte_count
        for records, deleted in self._parts(page.records):
            table, misfits = self._table(records)
            gone = self._checked(*table_of(deleted, self._named)) if deleted else None
            yield Rows(table, misfits, deleted=gone, byte_count=byte_count)
            byte_count = 0

    def keys(self, page: Records) -> pa.Table:
        """Only the key columns of a page."""
        key = StreamSchema(tuple(self.schema.column(name) for name in self.schema.key), key=self.schema.key)
        return self._checked(*table_of(page.records, key))

    def check(self, sample: Sample) -> None:
        """Raise what reading these pages would raise."""
        for page in sample.taken:
            for _ in self.rows(page):
                pass

    def _table(self, records: list[Record]) -> tuple[pa.Table, tuple[Misfit, ...]]:
        if self._options.unlisted is not Unlisted.IGNORE and not all(map(self._known.issuperset, records)):
            records = self._without(records, set(chain.from_iterable(records)) - self._known)
        table, misfits = table_of(records, self.schema)
        self._checked(table, misfits)
        return table, misfits

    def _without(self, records: list[Record], others: set[str]) -> list[Record]:
        """Deal with members that have no column, as the stream says; those without a value are none."""
        filled = [{name: record[name] for name in others if record.get(name) is not None} for record in records]
        names = sorted({name for record in filled for name in record})
        if self._options.unlisted is Unlisted.STOP and names:
            raise SourceError(
                f"records have members without a column: {', '.join(names[:5])}",
                where=self._where,
                hint="Add them to columns, or set unlisted to keep or ignore.",
            )
        if not self._keeps:
            return records
        if not self._options.columns:
            self._new_words.update(
                {name: word for name, word in guessed(filled, {}).items() if name not in self._new_words}
            )
        return [
            {**record, UNLISTED: dict(sorted(extra.items()))} if extra else record
            for record, extra in zip(records, filled, strict=True)
        ]

    def _parts(self, records: list[Record]) -> Iterator[tuple[list[Record], list[Record]]]:
        """Records that are there and records that are gone, in parts of which the former come first."""
        if self._options.deleted is None:
            yield records, []
            return
        name, value = self._options.deleted
        live: list[Record] = []
        gone: list[Record] = []
        gone_keys: set[str] = set()
        for record in records:
            if name in record and record[name] == value and isinstance(record[name], bool) == isinstance(value, bool):
                gone.append(record)
                gone_keys.add(self._key_of(record))
                continue
            if self._key_of(record) in gone_keys:
                yield live, gone
                live, gone, gone_keys = [], [], set()
            live.append(record)
        yield live, gone

    def _key_of(self, record: Record) -> str:
        return repr([record.get(name) for name in self._options.key])

    def _naming(self) -> list[str]:
        """The key's columns, and the cursor's."""
        names = list(self.schema.key)
        if self._options.since is not None and self.cursor().name not in names:
            names.append(self.cursor().name)
        return names

    def _checked(self, table: pa.Table, misfits: tuple[Misfit, ...]) -> pa.Table:
        """Rows that have a key; raises ``SourceError`` for those without, since nothing could be done with them."""
        unfit = {misfit.column for misfit in misfits}
        for name in self.schema.key:
            count = table[name].null_count
            if count and name in unfit:
                raise SourceRejected(
                    f"the key column {name} has a value that is no {self.schema.column(name).source_type}",
                    where=self._where,
                    hint="Declare the column with a type that holds all of its values.",
                )
            if count:
                raise SourceError(
                    f"{count:,} of {table.num_rows:,} records of a page have no {name}, which is part of the key",
                    where=self._where,
                    hint="Correct key of the stream, or ask the API's owner why they have none.",
                )
        return table
