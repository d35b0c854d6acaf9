"""What a watch keeps from look to look when the pipeline file is read anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from entrypoints.airflow import watching
from entrypoints.airflow.watched import Watched
from entrypoints.airflow.watching import Watch
from pipeline.domain.stream import PipelineSpec
from pipeline.ports.changes import ChangeDetector
from tests.support.airflow_home import make_home

PIPELINE = """
sources:
  drop: {{kind: files, url: {url}, poll: 1ms}}
  locked: {{kind: rest, url: "https://api.example.com", auth: {{kind: bearer, token: "${{ABSENT_TOKEN}}"}}}}
warehouse: {{kind: duckdb, path: var/drop.duckdb}}
streams:
  lines: {{source: drop, read: {{path: "*.csv"}}}}
  locked: {{source: locked, relation: /locked}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = make_home(tmp_path / "home") / "config"
    for name in ("drop", "other"):
        (tmp_path / name).mkdir()
    write(config, tmp_path / "drop")
    return config


def write(config: Path, url: Path) -> None:
    (config / "pipelines" / "drop.yaml").write_text(PIPELINE.format(url=url))


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs of sources, each as often as it was connected."""
    made: list[str] = []
    make = watching.detector_of

    def detector_of(spec: PipelineSpec) -> ChangeDetector:
        made.append(str(spec.source.options["url"]))
        return make(spec)

    monkeypatch.setattr(watching, "detector_of", detector_of)
    return made


def watch(config: Path) -> Watch:
    return Watch(Watched(str(config / "pipelines" / "drop.yaml"), str(config), poll_s=0.0, wait_s=60.0))


def test_a_source_without_credentials_does_not_make_the_others_connect_at_every_look(
    config: Path, connected: list[str], tmp_path: Path
) -> None:
    looks = watch(config)
    for _ in range(3):
        looks.look()
    assert connected == [str(tmp_path / "drop")]
    write(config, tmp_path / "other")
    for _ in range(3):
        looks.look()
    assert connected == [str(tmp_path / "drop"), str(tmp_path / "other")]
    looks.close()


def test_a_source_that_failed_is_connected_anew(config: Path, connected: list[str], tmp_path: Path) -> None:
    looks = watch(config)
    looks.look()
    shutil.rmtree(tmp_path / "drop")
    looks.look()
    (tmp_path / "drop").mkdir()
    looks.look()
    assert connected == [str(tmp_path / "drop")] * 2
    looks.close()
