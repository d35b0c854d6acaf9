"""Streams that are copied side by side share the memory that configuration allows (P11)."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.child import environment

pytestmark = [pytest.mark.integration, pytest.mark.slow(seconds=110)]

STREAMS = ("a", "b", "c", "d")
LITTLE, MUCH = 16_000, 48_000

#: Far less than the difference of what is copied: four times 32,000 rows of 2 kB.
SLACK_MB = 96

PIPELINE = """
source: {kind: sql, url: "${DOCS_URL}"}
warehouse: {kind: duckdb, path: docs.duckdb, memory_limit: 128MB}
streams: {a: {}, b: {}, c: {}, d: {}}
batch: {rows: 2000, size: 4MB}
"""

FILL = """
CREATE TABLE {name} (id integer PRIMARY KEY, body text);
INSERT INTO {name}
WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {count})
SELECT id, hex(randomblob(1000)) FROM n;
"""


def peak_mb(home: Path, row_count: int) -> int:
    """What it took to copy ``row_count`` rows of each stream."""
    (home / "config" / "pipelines").mkdir(parents=True)
    for name in ("base.yaml", "development.yaml"):
        (home / "config" / name).write_text("")
    (home / "config" / "pipelines" / "docs.yaml").write_text(PIPELINE)
    with closing(sqlite3.connect(home / "docs.db")) as database:
        for name in STREAMS:
            database.executescript(FILL.format(name=name, count=row_count))
    variables = {"PIPELINE_HOME": str(home), "DOCS_URL": f"sqlite:///{home / 'docs.db'}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.weighed_command", "run", "docs", "--json"],
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
        cwd=home,
        env=environment() | variables,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {name: copied["row_count"] for name, copied in told["copied"].items()} == dict.fromkeys(STREAMS, row_count)
    return int(done.stderr.splitlines()[-1])


def test_what_is_copied_side_by_side_takes_no_more_memory_the_more_it_is(tmp_path: Path) -> None:
    little, much = peak_mb(tmp_path / "little", LITTLE), peak_mb(tmp_path / "much", MUCH)
    if much >= little + SLACK_MB:
        # What grows with the rows grows again, what chance adds does not.
        much = min(much, peak_mb(tmp_path / "again", MUCH))
    assert much < little + SLACK_MB, f"{little} MB grew to {much} MB"
