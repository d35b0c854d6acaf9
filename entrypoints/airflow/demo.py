"""``make airflow``: a whole Airflow on this machine that runs the shop's pipeline behind an embedded PostgreSQL.

Its parts are those of ``local`` and of the demo; nothing is left running, also after Ctrl-C at any moment.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from entrypoints.airflow.client import AirflowClient
from entrypoints.airflow.local import LocalAirflow
from entrypoints.cli.stopping import stopping
from entrypoints.demo.partners import Partners
from entrypoints.demo.server import EmbeddedPostgres
from entrypoints.demo.shop import create_shop
from entrypoints.demo.workforce import Workforce
from entrypoints.folders import locate, packaged_folder
from pipeline.domain.errors import PipelineError

#: Of one slot, so that one task at a time opens the DuckDB file.
_POOL = "shop_file"
#: Transactions a second in the shop: enough to see runs come and go.
_RATE = 1.0

_READY = """
Airflow     {url}
user        {user}
password    {password}
warehouse   {warehouse}

The pipeline shop runs whenever something was committed in the shop, where somebody works. In another terminal:

  . {environment}
  {python} -m entrypoints.cli airflow status
  {python} -m entrypoints.cli airflow trigger shop --wait

Ctrl-C stops all of it.
"""


def main() -> int:
    """Run until interrupted; returns the exit status."""
    home = Path.cwd() / "var" / "airflow"
    try:
        with ExitStack() as stack:
            stack.enter_context(stopping(graceful=False))
            _run(stack, home)
    except KeyboardInterrupt:
        _say("Stopped; nothing is left running.")
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - what a command says when it fails
        return error.exit_code
    return 0


def _run(stack: ExitStack, home: Path) -> None:
    server = EmbeddedPostgres()
    # Not as context managers: an interrupt while they start has to be cleaned up too.
    stack.callback(server.close)
    server.start()
    create_shop(server.dsn())
    _say(f"PostgreSQL is up on port {server.port}, with a shop in it; Airflow takes a minute to start")
    config_dir = _fresh_home(home)
    partners = stack.enter_context(Partners(home / "suppliers"))
    airflow = LocalAirflow(
        home / "airflow",
        {
            "PIPELINE_CONFIG_DIR": str(config_dir),
            "PIPELINE_HOME": str(home),
            "SHOP_DSN": server.dsn("shop"),
            **partners.environment,
            "PYTHONPATH": os.pathsep.join(filter(None, (_checkout(), os.environ.get("PYTHONPATH", "")))),
        },
    )
    stack.callback(airflow.stop)
    airflow.start()
    client = AirflowClient(airflow.url, user=airflow.user, password=airflow.password)
    client.make_pool(_POOL, slots=1, description="Tasks that open the shop's DuckDB file")
    workforce = Workforce(server.dsn("shop"), rate_per_s=_RATE)
    stack.callback(workforce.stop)
    workforce.start()
    partners.start()
    _say(
        _READY.format(
            url=airflow.url,
            user=airflow.user,
            password=airflow.password,
            warehouse=home / "var" / "demo" / "shop.duckdb",
            environment=_write_environment(home, airflow),
            python=sys.executable,
        )
    )
    threading.Event().wait()


def _fresh_home(home: Path) -> Path:
    """An empty home with a configuration of its own: the shop there is a new one each time. Gives its folder."""
    shutil.rmtree(home, ignore_errors=True)
    source, _ = locate(None, os.environ)
    config_dir = home / "config"
    shutil.copytree(source, config_dir, ignore=lambda folder, names: _others(folder, names))
    shop = config_dir / "pipelines" / "shop.yaml"
    text = shop.read_text(encoding="utf-8").replace("\nairflow:\n", f"\nairflow:\n  pool: {_POOL}\n")
    shop.write_text(f'schedule: "@changes"\n{text}', encoding="utf-8")
    project = source.parent / "dbt"
    (home / "dbt").symlink_to(project if project.is_dir() else packaged_folder("dbt"))
    return config_dir


def _others(folder: str, names: list[str]) -> set[str]:
    """Pipeline files that are not the demo's."""
    return {name for name in names if Path(folder).name == "pipelines" and name != "shop.yaml"}


def _checkout() -> str:
    return str(Path(__file__).resolve().parents[2])


def _write_environment(home: Path, airflow: LocalAirflow) -> Path:
    path = home / "airflow.env"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"export AIRFLOW_BASE_URL={airflow.url}\n")
        file.write(f"export AIRFLOW_USERNAME={airflow.user} AIRFLOW_PASSWORD={airflow.password}\n")
    return path


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for the person who started it


if __name__ == "__main__":
    sys.exit(main())
