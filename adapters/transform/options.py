"""What a dbt transformer needs to know, checked: project, target, selection, and the warehouse it shall reach.

Whether project and profile are there and fit is ``inspection``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import SystemSpec

_ROOT = Path(__file__).resolve().parents[2]
#: Where the product's own project is: in a checkout, and in an installed wheel.
_PROJECTS = (_ROOT / "dbt", _ROOT / "entrypoints" / "project" / "dbt")

#: How options of a Snowflake warehouse reach the profile; variables as they are in dbt/profiles.yml.
_SNOWFLAKE = {
    "account": "SNOWFLAKE_ACCOUNT",
    "user": "SNOWFLAKE_USERNAME",
    "authenticator": "SNOWFLAKE_AUTHENTICATOR",
    "password": "SNOWFLAKE_PASSWORD",
    "private_key": "SNOWFLAKE_PRIVATE_KEY",
    "private_key_file": "SNOWFLAKE_PRIVATE_KEY_PATH",
    "private_key_passphrase": "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
    "token": "SNOWFLAKE_TOKEN",
    "workload_identity_provider": "SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER",
    "workload_identity_entra_resource": "SNOWFLAKE_WORKLOAD_IDENTITY_ENTRA_RESOURCE",
    "role": "SNOWFLAKE_ROLE",
    "warehouse": "SNOWFLAKE_WAREHOUSE",
    "database": "SNOWFLAKE_DATABASE",
    "host": "SNOWFLAKE_HOST",
    "port": "SNOWFLAKE_PORT",
    "protocol": "SNOWFLAKE_PROTOCOL",
}

#: Options of ways to sign in that dbt-snowflake 1.12 does not have, and what to do instead.
_NOT_IN_DBT = {
    "connection": "Write account, user and a key or token into the warehouse section instead.",
    "token_file": "Give the token itself, as ${file:...}, or the identity of AWS, AZURE or GCP.",
    "oauth_client_id": "Use a key pair, a programmatic access token or a workload identity instead.",
}


@attrs.frozen
class DbtOptions:
    """``environment`` is added to the child's and may hold secrets. ``duckdb_path`` is set if the warehouse is a file,
    which is then held for the whole of a build, after waiting up to ``lock_timeout_s`` for others to let go of it.
    ``python`` is the interpreter of a virtual environment of dbt's own, None for this one.
    ``work`` is where dbt's artifacts go, in a folder per process; ``timeout_s`` bounds one build.
    """

    name: str
    project: Path
    profiles: Path
    target: str
    python: Path | None = None
    select: tuple[str, ...] = ()
    work: Path | None = None
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    duckdb_path: Path | None = None
    memory_limit_bytes: int | None = None
    lock_timeout_s: float = 60.0
    timeout_s: float = 3600.0


def parse(name: str, options: Mapping[str, object]) -> DbtOptions:
    """The options of a pipeline file; raises ``ConfigError``.

    ``warehouse`` is the pipeline's ``SystemSpec`` of its warehouse. Optional: ``project`` (folder of dbt_project.yml),
    ``profiles`` (folder of profiles.yml, else the project's), ``python`` (an interpreter that has dbt), ``target``
    (else the warehouse's kind), ``select`` (dbt's selection syntax, a text or a list), ``work``, ``environment``,
    ``lock_timeout_s``, ``timeout_s``. A file's ``memory_limit_bytes`` holds for dbt too.
    """
    warehouse = options.get("warehouse")
    if not isinstance(warehouse, SystemSpec) or warehouse.kind not in {"duckdb", "snowflake"}:
        raise ConfigError(
            "dbt needs a warehouse that it can open from a process of its own",
            where=f"transform {name}",
            hint="Give the pipeline a warehouse of kind duckdb or snowflake, or leave out its transform section.",
        )
    project = Path(str(options.get("project") or _own_project())).absolute()
    path = Path(str(warehouse.options["path"])).absolute() if warehouse.kind == "duckdb" else None
    environment = options.get("environment")
    return DbtOptions(
        name=name,
        project=project,
        profiles=Path(str(options.get("profiles") or project)).absolute(),
        target=str(options.get("target") or warehouse.kind),
        python=Path(str(options["python"])).absolute() if options.get("python") else None,
        select=_selection(options.get("select")),
        work=Path(str(options["work"])).absolute() if options.get("work") else None,
        environment={
            **_environment(name, warehouse, path),
            **(
                {str(key): str(value) for key, value in environment.items()} if isinstance(environment, Mapping) else {}
            ),
        },
        duckdb_path=path,
        memory_limit_bytes=int(_number(warehouse.options, "memory_limit_bytes", 0)) or None,
        lock_timeout_s=_number(options, "lock_timeout_s", 60.0),
        timeout_s=_number(options, "timeout_s", 3600.0),
    )


def _own_project() -> Path:
    # Installed, the folder `dbt` beside this package is dbt's own.
    return next((path for path in _PROJECTS if (path / "dbt_project.yml").exists()), _PROJECTS[0])


def _selection(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(value.split()) if isinstance(value, str) else tuple(str(part) for part in value)  # type: ignore[attr-defined] # the file's schema allows text or list only


def _environment(name: str, warehouse: SystemSpec, path: Path | None) -> dict[str, str]:
    if path is not None:
        return {"DUCKDB_PATH": str(path)}
    given = {option: str(value) for option, value in warehouse.options.items() if value not in (None, "")}
    for option, hint in _NOT_IN_DBT.items():
        if option in given:
            raise ConfigError(
                f"dbt cannot sign in to Snowflake by {option}",
                where=f"transform {name}",
                hint=f"{hint} Or leave out the transform section.",
            )
    if "private_key_file" in given:
        given["private_key_file"] = str(Path(given["private_key_file"]).expanduser())
    given["authenticator"] = _authenticator(given)
    # All of them, so that nothing that the environment says beside the pipeline file gets in between.
    return {variable: given.get(option, "") for option, variable in _SNOWFLAKE.items()}


def _authenticator(given: Mapping[str, str]) -> str:
    """dbt's word for the way to sign in; it tells passwords and keys by themselves."""
    if "workload_identity_provider" in given:
        return "workload_identity"
    written = given.get("authenticator", "").lower()
    return "" if written in {"snowflake", "snowflake_jwt"} else written


def _number(options: Mapping[str, object], key: str, default: float) -> float:
    value = options.get(key)
    return default if value is None else float(str(value))
