"""The command line from outside: help, exit statuses, what it says when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.cli.__main__ import main

ROOT = Path(__file__).parents[3]
#: In the order in which a person meets them.
COMMANDS = (
    "demo",
    "init",
    "doctor",
    "plan",
    "preview",
    "run",
    "stream",
    "resync",
    "status",
    "verify",
    "transform",
    "airflow",
)

#: What takes long to import and is of no use for an answer about arguments.
HEAVY = ("adbc_driver_manager", "airflow", "attr", "dbt", "dependency_injector", "duckdb", "dynaconf", "jsonschema")
HEAVY += ("numpy", "psycopg", "pyarrow", "rich", "snowflake", "structlog", "yaml")


def call(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PIPELINE_", "SNOWFLAKE_"))}
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "base.yaml").write_text("log: {folder: var/logs}\nwarehouse: {kind: memory}\n")
    (folder / "development.yaml").touch()
    (folder / "pipelines" / "crm.yaml").write_text("source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n")
    return folder


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom entrypoints.cli.__main__ import main\nmain(['--help'])\nmain(['run', '--help'])\n"
        f"print('imported:', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1].strip() == "imported: attr"


def test_help_lists_every_command_examples_and_exit_statuses() -> None:
    done = call("--help")
    assert done.returncode == 0
    listed = done.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert tuple(line.split()[0] for line in listed) == COMMANDS
    assert "Examples:" in done.stdout
    assert "Exit status:" in done.stdout


@pytest.mark.parametrize("command", [*COMMANDS[:-1], "airflow trigger", "airflow status"])
def test_every_command_takes_the_common_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert [option for option in ("--config-dir", "--env", "--json", "--log-level") if option not in text] == []


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("run",), ("run", "crm", "--fast"), ("resync", "crm"), ("demo", "--seconds", "0")]
)
def test_arguments_that_make_no_sense_are_rejected(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Usage: ")
    assert output.err.splitlines()[-1].endswith(" --help to see what it takes.")


def test_a_command_that_there_is_not_is_told_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verfy", "crm"]) == 2
    assert "error: No such command 'verfy'. Did you mean 'verify'?\n" in capsys.readouterr().err


def test_arguments_that_make_no_sense_are_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resync", "crm", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["kind"], error["what"]) == ("rejected", "Name the streams to copy again, or give --all.")
    assert main(["resync", "crm", "orders", "--all"]) == 2


def test_a_broken_configuration_is_rejected_with_a_last_line_that_says_what_to_do(config: Path) -> None:
    done = call("run", "crm", "--config-dir", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: 1 configuration problem",
        f"  {config}/pipelines/crm.yaml:1: source.dsn: the environment variable CRM_DSN is not set. "
        "Set it, for example: export CRM_DSN=...",
        "Mend the keys named above and run the same command again.",
    ]


def test_a_failure_is_json_where_json_was_asked_for(config: Path) -> None:
    done = call("run", "crn", "--json", "--config-dir", str(config))
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "error": {
            "kind": "rejected",
            "class": "ConfigError",
            "what": "there is no pipeline called crn; there are: crm",
            "where": f"{config}/pipelines",
            "hint": "Did you mean crm?",
            "facts": {},
        }
    }


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid:5432"])
def test_a_source_that_does_not_answer_is_exit_status_3_and_its_password_stays_secret(config: Path, host: str) -> None:
    dsn = f"postgresql://app:swordfish-canary@{host}/crm?connect_timeout=2"
    done = call("plan", "crm", "--config-dir", str(config), CRM_DSN=dsn)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"error: {host}/crm: PostgreSQL could not be reached",
        "Check host, port, TLS settings, pg_hba.conf, and whether the server is up.",
    ]
    log = (config.parent / "var/logs/crm.log").read_text()
    assert "command failed" in log
    assert "swordfish-canary" not in done.stderr + done.stdout + log


def test_status_needs_no_source(config: Path) -> None:
    done = call("status", "crm", "--json", "--config-dir", str(config))
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    result.pop("at")
    assert result == {
        "pipeline": "crm",
        "warehouse": "memory warehouse memory",
        "checkpoint": None,
        "checkpoints": {},
        "checkpoint_age_s": None,
        "streams": [],
        "loads": [],
        "airflow_url": None,
    }


def test_an_unexpected_error_is_short_on_the_terminal_and_has_its_places_in_the_log(config: Path) -> None:
    program = (
        "import sys\nfrom entrypoints.cli import app\nfrom entrypoints.cli.__main__ import main\n"
        "def fail(*a, **k):\n    raise KeyError('row-value-canary')\n"
        "app.cli.commands['status'].callback = fail\n"
        "sys.exit(main(['status', 'crm']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=config.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: unexpected KeyError; this is a defect",
        "The log file (var/logs, or log.folder of the settings) has the places; please report them.",
    ]
    [line] = [json.loads(text) for text in (config.parent / "var/logs/cli.log").read_text().splitlines()]
    assert line["exception"][0]["class"] == "builtins.KeyError"
    assert line["exception"][0]["at"][-1].endswith(" fail")
    assert "row-value-canary" not in json.dumps(line)


def test_nobody_reading_the_output_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.cli", "--help"],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_connection_string_in_place_of_a_variable_name_is_not_repeated(tmp_path: Path) -> None:
    done = call(
        "init", "crm", "--dsn-env", "postgresql://app:swordfish-canary@h/x", "--output", str(tmp_path / "f.yaml")
    )
    assert done.returncode == 2
    assert "swordfish-canary" not in done.stdout + done.stderr
    assert "takes the name of an environment variable" in done.stderr


def test_colours_are_left_out_where_no_color_is_set(config: Path) -> None:
    done = call("status", "crm", "--config-dir", str(config), NO_COLOR="1", FORCE_COLOR="1")
    assert done.stdout == "crm: nothing was loaded into memory warehouse memory yet\n"
