"""The smallest whole source: numbered memos that lie on shelves, read from a memo server over a socket.

It is what ``adapters/README.md`` tells, and it is tested as every adapter is. A shelf is a stream; the server keeps no
log, lists a shelf in order of its numbers, and tells a version of it that rises with each write.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping

import attrs
import pyarrow as pa

from adapters.sources.polling.declared import max_vanished_of
from adapters.sources.polling.detection import PollDetector
from adapters.sources.polling.extractor import Extraction, Kind, Rows
from adapters.sources.polling.source import PollSource
from pipeline.domain.errors import SourceRejected, SourceUnreachable
from pipeline.domain.finding import Finding, Level
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

SCHEMA = StreamSchema((Column("id", pa.int64()), Column("note", pa.string())), key=("id",))


def build(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollSource:
    """A source from the options of a pipeline file. Connects on first use."""
    return PollSource(MemoExtractor.of(name, options))


def build_detector(name: str, options: Mapping[str, object], *, pipeline: str = "") -> PollDetector:
    """What tells whether the source that ``build`` makes of the same options has changes to load."""
    return PollDetector(MemoExtractor.of(name, options))


@attrs.define
class MemoExtractor:
    """Reads shelves whole, a page of memos at a time; see ``polling.extractor.Extractor``."""

    name: str
    host: str
    port: int
    poll_s: float

    @classmethod
    def of(cls, name: str, options: Mapping[str, object]) -> MemoExtractor:
        """The extractor that the options describe; they were checked against the schema."""
        return cls(name, str(options["host"]), int(str(options["port"])), float(str(options.get("poll_s", 10.0))))

    def discover(self) -> tuple[Relation, ...]:
        return tuple(Relation(shelf, "shelf", SCHEMA) for shelf in self._ask("SHELVES"))

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        return (Finding(Level.OK, "deletes", "deletes are found by comparing all keys", where=f"stream {stream.name}"),)

    def schema(self, stream: StreamSpec) -> StreamSchema:
        if stream.relation not in self._ask("SHELVES"):
            raise SourceRejected(
                f"there is no shelf {stream.relation}",
                where=f"source {self.name}, stream {stream.name}",
                hint="Name one of the server's shelves as the stream's relation.",
            )
        return SCHEMA

    def estimate(self, stream: StreamSpec) -> int | None:
        return None

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        return True

    def max_vanished(self, stream: StreamSpec) -> float:
        return max_vanished_of(stream)

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        return Extraction(Kind.IMAGE, self._pages(stream))

    def mark(self, stream: StreamSpec) -> str | None:
        return self._ask(f"VERSION {stream.relation}")[0]

    def close(self) -> None:
        """Every question has a connection of its own."""

    def _pages(self, stream: StreamSpec) -> Iterator[Rows]:
        count, after = int(str(stream.read.get("page", 1000))), -1
        while memos := [json.loads(line) for line in self._ask(f"READ {stream.relation} {after} {count}")]:
            yield Rows(pa.table([list(column) for column in zip(*memos, strict=True)], schema=SCHEMA.arrow()))
            after = memos[-1][0]

    def _ask(self, question: str) -> list[str]:
        """The lines of an answer, which ends with a dot: one that breaks off is none."""
        try:
            with socket.create_connection((self.host, self.port), timeout=10.0) as connection:
                connection.sendall(f"{question}\n".encode())
                lines = connection.makefile(encoding="utf-8").read().splitlines()
        except OSError as error:
            raise SourceUnreachable("the memo server does not answer", where=f"source {self.name}") from error
        if lines[-1:] != ["."]:
            raise SourceUnreachable("the memo server's answer broke off", where=f"source {self.name}")
        return lines[:-1]
