"""What a stream's ``read`` may say, and what is refused before anything is read."""

from __future__ import annotations

import pytest

from adapters.sources.files import build
from adapters.sources.files.options import Removed, read_options, source_options, suffixed
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import Mode, StreamSpec


def spec(mode: Mode = Mode.MIRROR, relation: str = "prices", **read: object) -> StreamSpec:
    return StreamSpec(name="prices", relation=relation, source="drop", mode=mode, read=read)


def test_a_stream_that_says_nothing_reads_the_files_that_its_relation_names() -> None:
    options = read_options(spec(relation="in/*.tsv.gz"))
    assert (options.pattern.text, options.format, options.csv.delimiter) == ("in/*.tsv.gz", "csv", "\t")
    assert options.compression_of("in/a.tsv.gz") == "gzip"
    assert (options.has_line_key, options.removed, options.min_age_s) == (True, Removed.DELETE, 2.0)


def test_rows_with_a_key_of_their_own_stay_when_their_file_goes_unless_told_otherwise() -> None:
    assert read_options(spec(path="*.csv", key=["id"])).removed is Removed.KEEP
    assert read_options(spec(path="*.csv", key=["id"], removed="delete")).removed is Removed.DELETE
    assert read_options(spec(Mode.APPEND, path="*.csv")).removed is Removed.KEEP


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.csv", ("csv", None)),
        ("x/a.b.JSONL.zst", ("jsonl", "zstd")),
        ("a.parquet", ("parquet", None)),
        ("a.csv.bz2", ("csv", "bz2")),
        ("csv", (None, None)),
        ("*.csv*", ("csv", None)),
        ("in/*.csv.gz", ("csv", "gzip")),
        ("a.gz", (None, "gzip")),
        ("a.xlsx", (None, None)),
    ],
)
def test_suffixes_tell_format_and_compression(path: str, found: tuple[str | None, str | None]) -> None:
    assert suffixed(path) == found


@pytest.mark.parametrize(
    ("read", "what"),
    [
        ({"path": "*"}, "the format of"),
        ({"path": "/etc/*.csv"}, "cannot be used"),
        ({"path": "*.csv", "columns": {"id": "number"}}, "column id has the type number"),
        ({"path": "*.csv", "columns": {"id": "int"}, "key": ["no"]}, "key no is not among the columns"),
        ({"path": "*.csv", "file_column": None}, "rows are known by file_column and line_column"),
        ({"path": "*.csv", "file_column": "x", "line_column": "X"}, "have to differ"),
        ({"path": "*.csv", "columns": {"_file": "text"}}, "is called as the column of the file"),
        ({"path": "*.csv", "header": False}, "the columns have no names"),
        ({"path": "*.csv", "delimiter": "||"}, "one ASCII character each"),
        ({"path": "*.csv", "encoding": "klingon"}, "encoding klingon is not known"),
    ],
)
def test_what_does_not_go_together_is_refused(read: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read_options(spec(**read))
    assert caught.value.where == "stream prices, read"


def test_local_folders_are_looked_at_often_and_others_rarely() -> None:
    assert source_options("drop", {"url": "/data"}).poll_s == 0.25
    assert source_options("drop", {"url": "s3://bucket"}).poll_s == 10.0
    assert source_options("drop", {"url": "s3://bucket", "poll_s": 3.0}).poll_s == 3.0


def test_a_source_needs_a_url_and_shows_no_secret() -> None:
    with pytest.raises(ConfigError, match="url is missing"):
        build("drop", {})
    assert "canary" not in repr(source_options("drop", {"url": "s3://b", "options": {"secret": "canary"}}))
