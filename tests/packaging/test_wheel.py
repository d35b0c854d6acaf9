"""The wheel: what is in it, that it shadows nobody, and that it works from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "realtime-data-pipeline"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment with the wheel in it; what it depends on is borrowed from ours."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def run(python: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_wheel_holds_the_packages_and_what_they_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "adapters",
        "entrypoints",
        "pipeline",
    }
    needed = {
        "entrypoints/schemas/pipeline.schema.json",
        "entrypoints/demo/schema.sql",
        "entrypoints/project/config/base.yaml",
        "entrypoints/project/config/pipelines/shop.yaml",
        "entrypoints/project/dbt/dbt_project.yml",
        "entrypoints/project/dbt/profiles.yml",
        "pipeline/domain/errors.py",
    }
    assert needed - names == set()
    unwanted = ("/target/", "/logs/", "__pycache__", ".duckdb", "/dbt_packages/")
    assert [name for name in names if any(part in name for part in unwanted)] == []


def test_no_name_of_another_installed_package_is_shadowed(wheel: Path) -> None:
    own = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    others = {
        name: distributions
        for name, distributions in metadata.packages_distributions().items()
        if set(distributions) != {DISTRIBUTION}
    }
    assert {name: others[name] for name in own & set(others)} == {}


def test_it_runs_from_another_folder(python: Path, tmp_path: Path) -> None:
    done = run(
        python, "-c", "import pipeline, entrypoints; print(pipeline.__file__, entrypoints.__file__)", cwd=tmp_path
    )
    assert all(part.startswith(str(python.parents[1])) for part in done.stdout.split())
    for arguments in (("--help",), ("demo", "--help")):
        done = run(python, "-m", "entrypoints.cli", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage:" in done.stdout


def test_the_configuration_that_ships_is_used_and_checked(python: Path, tmp_path: Path) -> None:
    done = run(python, "-m", "entrypoints.cli", "status", "shop", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["checkpoint"] is None
    assert str(tmp_path / "var/demo/shop.duckdb") in result["warehouse"]
    done = run(python, "-m", "entrypoints.cli", "run", "shop", "--json", cwd=tmp_path)
    assert done.returncode == 2
    problems = json.loads(done.stdout)["error"]["facts"]["problems"]
    assert [(problem["key"], problem["what"].rpartition("variable ")[2]) for problem in problems] == [
        ("sources.shop.dsn", "SHOP_DSN is not set"),
        ("sources.fx.url", "SHOP_RATES_URL is not set"),
        ("sources.fx.auth.api_key", "SHOP_RATES_KEY is not set"),
        ("sources.suppliers.url", "SHOP_PRICES is not set"),
    ]


def test_a_folder_of_ones_own_is_preferred(python: Path, tmp_path: Path) -> None:
    (tmp_path / "config" / "pipelines").mkdir(parents=True)
    (tmp_path / "config" / "base.yaml").write_text("warehouse: {kind: memory}\n")
    (tmp_path / "config" / "development.yaml").touch()
    (tmp_path / "config" / "pipelines" / "crm.yaml").write_text(
        "source: {kind: postgres, host: db.example.com}\nstreams: {people: }\n"
    )
    done = run(python, "-m", "entrypoints.cli", "status", "crm", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "crm: nothing was loaded into memory warehouse memory yet\n"


def test_dbt_is_still_dbt(python: Path, tmp_path: Path) -> None:
    done = run(python, "-c", "import dbt.version; print(dbt.version.__file__)", cwd=tmp_path)
    assert done.stdout.strip() == str(Path(sysconfig.get_path("purelib")) / "dbt" / "version.py")
