"""The README tells the truth: its pipeline files are good, its commands and exit statuses are those that there are."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from entrypoints.cli.app import cli
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import Settings
from pipeline.domain.contract import OnMisfit, OnSchemaChange, RuleKind, Severity
from pipeline.domain.errors import EXIT_CODES
from pipeline.domain.naming import SCHEMAS
from pipeline.domain.processing import Mask
from pipeline.domain.stream import Mode
from pipeline.domain.tables import STAGING_METADATA
from tests.support.keys import pem

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """The first cell of every table row."""
    return re.findall(r"^\| (.+?) \|", text, flags=re.MULTILINE)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL))
def test_its_pipeline_files_are_good(text: str, tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "orders.yaml").write_text("rules: [{columns: [id], unique: true}]\n")
    (tmp_path / "crm_password").write_text("secret")
    (tmp_path / "rsa_key.p8").write_text(pem("of the key"))
    path = tmp_path / "crm.yaml"
    path.write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    warehouse = {"kind": "duckdb", "path": "var/{pipeline}.duckdb"}
    settings = Settings("development", tmp_path, tmp_path, warehouse=warehouse, transform={"kind": "dbt"})
    environment = {"CRM_DSN": "postgresql://db/crm", "RSA_KEY_PASSPHRASE": "of the key", "FX_TOKEN": "token"}
    environment["OLD_SHOP_URL"] = "sqlite:///old.db"
    spec = load_pipeline(str(path), settings, environment=environment).spec
    if spec.warehouse.kind == "duckdb":
        assert spec.warehouse.options["path"] == str(tmp_path / "var/crm.duckdb")
    else:
        assert spec.warehouse.options["database"] == "RAW"


def test_it_lists_every_command_and_its_arguments() -> None:
    listed = [cell.strip("`").split() for cell in first_cells(section("Commands").partition("| exit")[0])[1:]]
    assert [words[0] for words in listed] == list(cli.commands)
    for name, *arguments in listed:
        taken = [part.name for part in cli.commands[name].params if isinstance(part, click.Argument)]
        assert len([word for word in arguments if word.strip("[].") in {"NAME", "PIPELINE", "STREAM"}]) == len(taken)


def test_it_lists_every_exit_status() -> None:
    listed = first_cells(section("Commands").partition("| exit status |")[2])
    assert {int(cell) for cell in listed if cell.isdigit()} == {0, *EXIT_CODES.values(), 130}


def test_it_names_every_mode_rule_policy_mask_schema_and_metadata_column() -> None:
    configuration, places = section("Configuration"), section("Where things are kept")
    words = [word.value for kind in (Mode, RuleKind, Severity, OnMisfit, OnSchemaChange, Mask) for word in kind]
    assert [word for word in words if f"`{word}`" not in configuration] == []
    assert [schema for schema in SCHEMAS if f"`{schema}`" not in places] == []
    assert [name for name in STAGING_METADATA.names if f"`{name}`" not in places] == []


def test_its_links_and_the_map_of_the_code_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
    folder, found = "", []
    for indent, names in re.findall(r"^    ( {0,2})(\S*/\S*(?: \S+)*)", section("The code"), flags=re.MULTILINE):
        folder = folder if indent else names
        found += [ROOT / folder / name if indent else ROOT / name for name in names.split()]
    assert len(found) > 15
    assert [str(path) for path in found if not path.exists()] == []
