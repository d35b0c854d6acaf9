from importlib import metadata
from pathlib import Path

import pytest

from adapters.transform import build
from adapters.transform.inspection import missing
from pipeline.domain.errors import Missing, TransformFailed
from pipeline.domain.finding import Finding, Level
from pipeline.domain.stream import SystemSpec

PROJECT = "name: x\nprofile: x\n"
PROFILE = """x:
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('DUCKDB_PATH') }}"
    other:
      type: duckdb
      path: "{{ env_var('NO_SUCH_VARIABLE') }}"
      schema: "{{ env_var('NO_SUCH_EITHER', 'marts') }}"
"""


def _findings(folder: Path, **options: object) -> tuple[Finding, ...]:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": str(folder / "x.duckdb")})
    return build("dbt", {"warehouse": warehouse, "project": str(folder), **options}).inspect()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "profiles.yml").write_text(PROFILE)
    return tmp_path


def test_a_project_with_everything_in_place_is_fine(project: Path) -> None:
    assert _findings(project) == (
        Finding(Level.OK, "dbt", "project, profile and packages are in place", where=str(project)),
    )


def test_a_missing_project_is_found(tmp_path: Path) -> None:
    assert [(found.level, found.check) for found in _findings(tmp_path)] == [(Level.ERROR, "dbt_project")]


def test_a_missing_profile_is_found(project: Path) -> None:
    (project / "profiles.yml").unlink()
    assert [(found.level, found.check) for found in _findings(project)] == [(Level.ERROR, "dbt_profile")]


def test_a_profile_of_another_name_is_found(project: Path) -> None:
    (project / "dbt_project.yml").write_text("name: x\nprofile: y\n")
    assert [(found.level, found.check) for found in _findings(project)] == [(Level.ERROR, "dbt_profile")]


def test_an_unknown_target_is_found_with_those_that_exist(project: Path) -> None:
    [found] = _findings(project, target="production")
    assert (found.check, found.hint) == ("dbt_target", "Its targets are: duckdb, other.")


def test_unset_environment_variables_are_named(project: Path) -> None:
    [found] = _findings(project, target="other")
    assert (found.check, found.hint) == ("dbt_environment", "Set NO_SUCH_VARIABLE.")
    assert _findings(project, target="other", environment={"NO_SUCH_VARIABLE": "x"})[0].level is Level.OK


def test_a_build_without_a_warehouse_file_says_so_before_dbt_starts(project: Path) -> None:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": str(project / "x.duckdb")})
    transformer = build("dbt", {"warehouse": warehouse, "project": str(project)})
    with pytest.raises(TransformFailed, match="there is no warehouse to build marts from"):
        transformer.build()
    assert transformer.pid is None


def test_a_missing_adapter_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def without_snowflake(name: str) -> str:
        if name == "dbt-snowflake":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", without_snowflake)
    error = missing("snowflake")
    assert isinstance(error, Missing)
    assert (error.what, error.hint) == (
        "dbt-snowflake is not installed",
        "Install it with: pip install 'realtime-data-pipeline[snowflake]'",
    )
    assert missing("duckdb") is None


def test_an_interpreter_of_dbts_own_has_to_be_there(project: Path) -> None:
    python = project / "bin" / "python"
    hint = "Correct transform.python."
    absent = Finding(Level.ERROR, "dbt_installed", "there is no such interpreter", where=str(python), hint=hint)
    assert _findings(project, python=str(python)) == (absent,)
    python.parent.mkdir()
    python.touch()
    assert [found.level for found in _findings(project, python=str(python))] == [Level.OK]
