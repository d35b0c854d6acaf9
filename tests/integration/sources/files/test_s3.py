"""A bucket as a source into DuckDB, through S3's protocol."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import SourceRejected, SourceUnreachable
from tests.support.folder_rig import FolderRig
from tests.support.s3 import BUCKET, S3Server

HEADER = "id,name\n"


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, server: S3Server) -> Iterator[FolderRig]:
    rig = FolderRig(tmp_path, url=f"s3://{BUCKET}/in", options={"options": server.options})
    yield rig
    rig.close()


def test_new_changed_and_removed_objects_are_told_apart(rig: FolderRig, server: S3Server) -> None:
    server.put("in/a.csv", f"{HEADER}1,apple\n2,pear\n")
    server.put("in/b.csv", f"{HEADER}3,fig\n")
    server.put("other/a.csv", f"{HEADER}9,none of ours\n")
    rig.run()
    assert rig.rows("id", "name", "_file") == [(1, "apple", "a.csv"), (2, "pear", "a.csv"), (3, "fig", "b.csv")]
    assert rig.changed() == StreamCounts()
    server.put("in/a.csv", f"{HEADER}1,grape\n")
    server.put("in/c.csv", f"{HEADER}4,plum\n")
    server.remove("in/b.csv")
    rig.run()
    assert rig.rows("id", "name", "_file") == [(1, "grape", "a.csv"), (4, "plum", "c.csv")]
    assert rig.verify().is_equal


def test_an_object_overwritten_with_the_same_size_in_the_same_second_is_seen(rig: FolderRig, server: S3Server) -> None:
    server.put("in/a.csv", f"{HEADER}1,apple\n")
    rig.run()
    server.put("in/a.csv", f"{HEADER}1,grape\n")
    rig.run()
    assert rig.rows("id", "name") == [(1, "grape")]


def test_a_listing_of_more_than_a_thousand_objects_is_complete(rig: FolderRig, server: S3Server) -> None:
    rig.read = {"path": "**/*99.csv", "columns": {"id": "int"}}
    server.put_many({f"in/{number % 7}/{number:04}.csv": f"id\n{number}\n" for number in range(2_203)})
    rig.run()
    assert sorted(number for (number,) in rig.rows("id")) == list(range(99, 2_203, 100))


def test_compressed_and_columnar_objects_are_read_and_broken_ones_wait_in_quarantine(
    rig: FolderRig, server: S3Server
) -> None:
    rig.read = {"path": "*.parquet"}
    whole = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "name": ["apple", "pear"]}), whole)
    server.put("in/a.parquet", whole.getvalue())
    server.put("in/b.parquet", whole.getvalue()[:-20])
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple"), (2, "pear")]
    assert [row["key"] for row in rig.quarantined()] == ['{"_file":"b.parquet","_line":0}']


def test_a_gzip_object_that_was_cut_short_gives_what_can_be_read_of_it(rig: FolderRig, server: S3Server) -> None:
    rig.read = {"path": "*.csv.gz", "columns": {"id": "int", "name": "text"}}
    server.put("in/a.csv.gz", gzip.compress(f"{HEADER}1,apple\n".encode()))
    server.put("in/b.csv.gz", gzip.compress(f"{HEADER}2,pear\n".encode())[:-6])
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]
    assert [row["key"] for row in rig.quarantined()] == ['{"_file":"b.csv.gz","_line":0}']


def test_an_emptied_bucket_and_a_missing_one_delete_nothing(rig: FolderRig, server: S3Server) -> None:
    rig.read = {"columns": {"id": "int", "name": "text"}}
    server.put("in/a.csv", f"{HEADER}1,apple\n")
    rig.run()
    server.remove("in/a.csv")
    with pytest.raises(SourceRejected, match="no file is there any more"):
        rig.run()
    server.client.delete_bucket(Bucket=BUCKET)
    with pytest.raises(SourceRejected, match="there is no such bucket"):
        rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]


def test_a_server_that_does_not_answer_is_unreachable_and_tells_no_secret(tmp_path: Path) -> None:
    options = {
        "key": "test",
        "secret": "canary",
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:1"},
        "config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 1},
    }
    rig = FolderRig(tmp_path, url=f"s3://{BUCKET}/in", options={"options": options})
    with pytest.raises(SourceUnreachable) as caught:
        rig.source().preview(rig.spec, limit=1)
    assert "canary" not in f"{caught.value} {caught.value.facts} {rig.source()!r}"
    assert caught.value.retries
