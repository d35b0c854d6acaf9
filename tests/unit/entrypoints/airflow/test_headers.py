"""What DAGs are made of, read without Airflow and without anything that a task needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from entrypoints.airflow.factory import documentation
from entrypoints.airflow.graph import build_tasks
from entrypoints.airflow.header import AT_ONCE, Header, Orchestration, read_header, read_headers
from entrypoints.schedule import Schedule, ScheduleKind
from pipeline.application import groups

ROOT = Path(__file__).parents[4]


def header(text: str, folder: Path) -> Header:
    path = folder / "crm.yaml"
    path.write_text(text)
    return read_header(path)


def test_every_pipeline_file_has_a_header_even_a_broken_one(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "b.yaml").write_text("streams: [a\n")
    (folder / "a.yaml").write_text(
        "description: ' People. '\nschedule: '@hourly'\nsource: {kind: rest, url: '${A_URL}', name: hr}\n"
        "transform: {}\nstreams: {people: {mode: history}, notes: }\n"
    )
    (folder / "c.yaml").write_text("schedule: 5\n")
    assert read_headers(tmp_path) == (
        Header(
            "a",
            folder / "a.yaml",
            ("hr",),
            ("hr__people", "hr__notes"),
            schedule=Schedule(ScheduleKind.CRON, cron="@hourly"),
            description="People.",
            streams=(("people", "history"), ("notes", "mirror")),
            has_transform=True,
        ),
        Header("b", folder / "b.yaml", ("b",), ("b",)),
        Header("c", folder / "c.yaml", ("c",), ("c",)),
    )


def test_groups_are_loaded_side_by_side_where_several_processes_can_have_the_warehouse_open(tmp_path: Path) -> None:
    assert AT_ONCE == groups.AT_ONCE
    assert header("warehouse: {kind: snowflake}\n", tmp_path).at_once == AT_ONCE
    assert header("warehouse: {kind: duckdb}\n", tmp_path).at_once == header("", tmp_path).at_once == 1


def test_a_source_with_a_log_is_loaded_as_one_and_the_streams_of_others_one_by_one(tmp_path: Path) -> None:
    found = header(
        "sources: {office: {kind: postgres}, fx: {kind: rest}, drop: {kind: files}}\n"
        "streams: {rates: {source: fx}, people: {source: office}, Days: {source: fx}, notes: {source: office},\n"
        "  prices: {source: drop}}\n",
        tmp_path,
    )
    assert found.groups == ("fx__rates", "office", "fx__days", "drop__prices")


def test_everything_that_can_be_said_of_its_dag_is_taken(tmp_path: Path) -> None:
    found = header(
        "streams: {people: , notes: }\n"
        "airflow: {owner: crm-team, tags: [crm], pool: crm_file, retries: 5, retry_delay: 10s, timeout: 1h,\n"
        "  deadline: 2h, wait: 30s, poll: 1s, layers: [staging, marts/sales], verify: rotate, approve: false,\n"
        "  approve_rows: 5, service: true, take_over: true}\n",
        tmp_path,
    )
    assert found.orchestration == Orchestration(
        owner="crm-team",
        tags=("crm",),
        pool="crm_file",
        retries=5,
        retry_delay_s=10.0,
        timeout_s=3600.0,
        deadline_s=7200.0,
        wait_s=30.0,
        poll_s=1.0,
        layers=("staging", "marts/sales"),
        verify=("people", "notes"),
        rotates=True,
        approve=False,
        approve_rows=5,
        service=True,
        take_over=True,
    )


@pytest.mark.parametrize(
    "section",
    [
        "[]",
        "{owner: 1, tags: x, pool: '', retries: -1, retry_delay: soon, timeout: true, layers: {}, verify: all}",
        "{approve: 'yes', approve_rows: true, service: 1, take_over: 'true', poll: 0, verify: none}",
    ],
)
def test_what_is_wrong_counts_as_left_out(section: str, tmp_path: Path) -> None:
    assert header(f"streams: {{people: }}\nairflow: {section}\n", tmp_path).orchestration == Orchestration()


def test_dbt_has_one_task_or_one_for_each_layer(tmp_path: Path) -> None:
    plain = header("transform: {}\n", tmp_path)
    layered = attrs.evolve(plain, orchestration=Orchestration(layers=("staging", "marts/sales")))
    assert build_tasks(plain) == ("build",)
    assert build_tasks(layered) == ("build_staging", "build_marts_sales")
    assert build_tasks(attrs.evolve(layered, has_transform=False)) == ()


def test_the_documentation_is_that_of_the_file(tmp_path: Path) -> None:
    found = header(
        "description: The CRM.\nschedule: {every: 5m}\nsource: {name: office}\n"
        "streams: {people: {mode: history}, notes: }\n",
        tmp_path,
    )
    assert documentation(found) == (
        "The CRM.\n\nSource `office`; starts: `every 300 s`; file `crm.yaml`.\n\n"
        "| stream | mode |\n|---|---|\n| `people` | history |\n| `notes` | mirror |"
    )


def test_the_documentation_names_every_source(tmp_path: Path) -> None:
    found = header("sources: {office: {kind: postgres}, fx: {kind: rest}}\n", tmp_path)
    assert "Sources `office`, `fx`; starts: `by hand`; file `crm.yaml`." in documentation(found)


def test_the_documentation_says_which_pool_has_to_be_there(tmp_path: Path) -> None:
    found = header("airflow: {pool: crm_file}\n", tmp_path)
    assert (
        "Needs the pool `crm_file`; no task starts before it is there."
        " It is made by `python -m entrypoints.cli airflow pools crm`."
    ) in documentation(found)


def test_parsing_needs_no_driver_and_no_settings() -> None:
    heavy = ("adbc_driver_manager", "dbt", "duckdb", "dynaconf", "jsonschema", "psycopg", "pyarrow", "snowflake")
    program = (
        "import sys\nfrom pathlib import Path\nfrom entrypoints.airflow.header import read_headers\n"
        f"read_headers(Path('config'))\nprint(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
