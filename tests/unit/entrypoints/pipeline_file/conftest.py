"""Settings under which a pipeline file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrypoints.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "config"
    (config / "pipelines").mkdir(parents=True)
    (config / "contracts").mkdir()
    return Settings(
        env="development",
        home=tmp_path,
        config_dir=config,
        warehouse={"kind": "duckdb", "path": "var/{pipeline}.duckdb"},
        transform={"kind": "dbt", "project": "dbt"},
        batch={"rows": 10, "age": "200ms"},
    )
