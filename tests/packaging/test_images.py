"""The images and the values for Airflow's chart, as far as they can be checked without Docker and a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.child import ROOT, environment

DOCKER = ROOT / "docker"
IMAGES = ("Dockerfile", "airflow.Dockerfile")
EXECUTORS = {"celery": "CeleryExecutor", "kubernetes": "KubernetesExecutor"}
#: What nobody needs in an image: the demo, and the tools of the tests.
_LEFT_OUT = {"demo", "test"}


def project() -> dict[str, Any]:
    declared: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return declared


def instructions(image: str) -> list[tuple[str, str]]:
    """Its instructions in order, each with what follows the word."""
    text = re.sub(r"^#.*\n", "", (DOCKER / image).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in text.splitlines() if line]


def variables(image: str) -> dict[str, str]:
    """What its last stage sets."""
    [*_, last] = [rest for word, rest in instructions(image) if word == "ENV"]
    return dict(pair.split("=", 1) for pair in last.split())


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_the_drivers_of_every_kind_of_system(image: str) -> None:
    wanted = project()["optional-dependencies"].keys() - _LEFT_OUT - ({"airflow"} if image == "Dockerfile" else set())
    [installed] = re.findall(r"pip install .*\[([a-z0-9,]+)\]", " ".join(rest for _, rest in instructions(image)))
    assert set(installed.split(",")) == wanted


@pytest.mark.parametrize("image", IMAGES)
def test_what_an_image_copies_is_there_and_not_kept_from_the_builder(image: str) -> None:
    sent = {line[1:] for line in (DOCKER / f"{image}.dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [rest.split()[:-1] for word, rest in instructions(image) if word == "COPY" and "--from=" not in rest]
    sources = {source for copied in copies for source in copied if not source.startswith("--")}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {source.partition("/")[0] for source in sources} == sent


def test_the_command_of_the_image_runs_in_its_environment(tmp_path: Path) -> None:
    [entrypoint] = [yaml.safe_load(rest) for word, rest in instructions("Dockerfile") if word == "ENTRYPOINT"]
    module, _, function = project()["scripts"][entrypoint[0]].partition(":")
    held = variables("Dockerfile") | {"PATH": os.environ["PATH"], "PIPELINE_CONFIG_DIR": str(ROOT / "config")}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; from {module} import {function} as run; sys.exit(run())",
            "status",
            "shop",
        ],
        env=environment({**held, "PIPELINE_HOME": str(tmp_path)}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shop")


def test_the_image_of_airflow_is_of_the_version_that_is_tested() -> None:
    [base] = [rest for word, rest in instructions("airflow.Dockerfile") if word == "FROM"]
    assert base == f"apache/airflow:{metadata.version('apache-airflow')}-python3.11"


@pytest.mark.parametrize("name", EXECUTORS)
def test_the_values_for_the_chart_fit_their_executor_and_its_airflow(name: str) -> None:
    values = yaml.safe_load((DOCKER / f"airflow-{name}.values.yaml").read_text())
    assert values["executor"] == EXECUTORS[name]
    assert values["airflowVersion"] == metadata.version("apache-airflow")
    assert list(values["workers"]) == [name]
    assert [part["secretRef"]["name"] for part in yaml.safe_load(values["extraEnvFrom"])] == ["pipeline-credentials"]
    spilled = {mount["mountPath"] for mount in values["workers"][name]["extraVolumeMounts"]}
    assert spilled == {f"{variables('airflow.Dockerfile')['PIPELINE_HOME']}/var"}
    options = _airflow_options()
    for section in values["config"].keys() & options.keys():
        assert values["config"][section].keys() <= options[section], section


def _airflow_options() -> dict[str, set[str]]:
    """The options of Airflow itself by section; those of its providers are told elsewhere."""
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    described = yaml.safe_load((Path(spec.origin).parent / "config_templates" / "config.yml").read_text())
    return {section: set(told["options"]) for section, told in described.items()}
