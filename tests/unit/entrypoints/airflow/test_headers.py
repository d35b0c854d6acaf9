"""What DAGs are made of, read without Airflow and without anything that a task needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from entrypoints.airflow.factory import Header, read_headers

ROOT = Path(__file__).parents[4]


def test_every_pipeline_file_has_a_header_even_a_broken_one(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "b.yaml").write_text("streams: [a\n")
    (folder / "a.yaml").write_text(
        "description: ' People. '\nschedule: '@hourly'\nsource: {dsn: '${A_DSN}'}\ntransform: {}\n"
    )
    (folder / "c.yaml").write_text("schedule: 5\n")
    assert read_headers(tmp_path) == (
        Header("a", folder / "a.yaml", "@hourly", "People.", has_transform=True),
        Header("b", folder / "b.yaml", None, "", has_transform=False),
        Header("c", folder / "c.yaml", None, "", has_transform=False),
    )


def test_parsing_needs_no_driver_and_no_settings() -> None:
    heavy = ("adbc_driver_manager", "dbt", "duckdb", "dynaconf", "jsonschema", "psycopg", "pyarrow", "snowflake")
    program = (
        "import sys\nfrom pathlib import Path\nfrom entrypoints.airflow.factory import read_headers\n"
        f"read_headers(Path('config'))\nprint(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
