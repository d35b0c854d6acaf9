"""The settings of an environment: ``config/base.yaml``, then ``<env>.yaml`` over it, then environment variables.

Dynaconf merges them here and is seen nowhere else; pipeline files are read by ``pipeline_file``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from adapters.warehouses.snowflake import signin
from entrypoints.folders import locate
from entrypoints.problems import Problem, nearest, refuse
from entrypoints.references import Secrets, Unresolved, resolve, written_secret
from entrypoints.schema_check import faults, schema
from entrypoints.units import byte_count
from entrypoints.yaml_file import YamlFile, read_yaml
from pipeline.domain.errors import ConfigError

DEFAULT_ENV = "development"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

#: Sections that name a system by its kind.
_SYSTEMS = ("warehouse", "transform")

#: Environment variables that mean one setting each, whatever the files say.
_NAMED_VARIABLES = {
    "LOG_LEVEL": "log.level",
    "SNOWFLAKE_ACCOUNT": "snowflake.account",
    "SNOWFLAKE_USERNAME": "snowflake.username",
    "SNOWFLAKE_PASSWORD": "snowflake.password",
    "AIRFLOW_BASE_URL": "airflow.base_url",
}


@attrs.frozen
class LogSettings:
    """Where log lines go: ``console`` is auto (text on a terminal, else json), text, json or off."""

    level: str = "INFO"
    folder: Path = Path("var/logs")
    console: str = "auto"
    max_bytes: int = 10 * 1024 * 1024
    backup_count: int = 5


@attrs.frozen
class SnowflakeSettings:
    """How to sign in to Snowflake, from the environment variables of these names."""

    account: str | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    def defaults(self, given: Mapping[str, object]) -> dict[str, str]:
        """What a warehouse section that says ``given`` leaves out: account and user, and the password where nothing
        says another way to sign in. A named connection brings all of it along.
        """
        if given.get("connection"):
            return {}
        ways = signin.OPTIONS - {"authenticator"}
        is_open = not ways & set(given) and given.get("authenticator", "snowflake") == "snowflake"
        found = {"account": self.account, "user": self.username, "password": self.password if is_open else None}
        return {key: value for key, value in found.items() if value and key not in given}


@attrs.frozen
class Settings:
    """One environment's settings. ``home`` is the folder that relative paths in files start from; ``warehouse``,
    ``transform`` and ``batch`` are defaults for pipeline files, checked together with each of them.
    """

    env: str
    home: Path
    config_dir: Path
    log: LogSettings = attrs.field(factory=LogSettings)
    snowflake: SnowflakeSettings = attrs.field(factory=SnowflakeSettings)
    airflow_base_url: str | None = None
    warehouse: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    transform: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    batch: Mapping[str, object] = attrs.field(factory=dict)


def load_settings(
    *,
    config_dir: Path | None = None,
    env: str | None = None,
    log_level: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
) -> Settings:
    """Read and check the settings; raises ``ConfigError`` with every problem.

    Arguments win over environment variables, those over ``<env>.yaml``, that over ``base.yaml``.
    """
    environment = os.environ if environment is None else environment
    secrets = secrets or Secrets()
    folder, home = locate(config_dir, environment)
    env = env or environment.get("PIPELINE_ENV") or DEFAULT_ENV
    files = [read_yaml(folder / "base.yaml"), read_yaml(_environment_file(folder, env))]
    problems = [problem for file in files for problem in _problems(file)]
    refuse(problems)
    values = _merge(files, environment)
    for name, key in _NAMED_VARIABLES.items():
        if environment.get(name):
            section, _, leaf = key.partition(".")
            values.setdefault(section, {})[leaf] = environment[name]
    if log_level:
        values.setdefault("log", {})["level"] = log_level
    values.setdefault("log", {})["level"] = str(values.get("log", {}).get("level", "INFO")).upper()
    values = _resolve("", values, environment=environment, secrets=secrets)
    refuse([Problem("settings", ".".join(path), what, hint=hint) for path, what, hint in _faults(values)])
    snowflake = SnowflakeSettings(**values.get("snowflake", {}))
    if snowflake.password:
        secrets.add(snowflake.password)
    return Settings(
        env=env,
        home=home,
        config_dir=folder,
        log=_log(values["log"], home),
        snowflake=snowflake,
        airflow_base_url=values.get("airflow", {}).get("base_url") or None,
        warehouse=values.get("warehouse", {}),
        transform=values.get("transform", {}),
        batch=values.get("batch", {}),
    )


def _environment_file(folder: Path, env: str) -> Path:
    path = folder / f"{env}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml") if file.stem != "base")
        raise ConfigError(
            f"there is no environment called {env}; there are: {', '.join(known) or 'none'}",
            where=str(folder),
            hint=nearest(env, known) or "Set PIPELINE_ENV or --env to one of them.",
        )
    return path


def _problems(file: YamlFile) -> list[Problem]:
    if file.problems:
        return list(file.problems)
    content = {} if file.content is None else file.content
    found = [file.problem(".".join(path), what, hint=hint) for path, what, hint in _faults(content)]
    for key, text in texts(content):
        if written_secret(key.rpartition(".")[2], text):
            found.append(file.problem(key, SECRET_WRITTEN, hint=SECRET_HINT))
    return found


#: What is said of a secret that stands in a file.
SECRET_WRITTEN = "holds a secret that is written out"  # noqa: S105 - a message
SECRET_HINT = "Put it into an environment variable or a file, and write ${NAME} or ${file:/run/secrets/name} instead."  # noqa: S105 - a message


def texts(content: object, prefix: str = "") -> list[tuple[str, str]]:
    """Every text in nested mappings and lists, with its key path."""
    if isinstance(content, str):
        return [(prefix, content)]
    if isinstance(content, Mapping):
        items = [(str(key), value) for key, value in content.items()]
    elif isinstance(content, list):
        items = [(str(index), value) for index, value in enumerate(content)]
    else:
        return []
    return [found for key, value in items for found in texts(value, f"{prefix}.{key}" if prefix else key)]


def _faults(content: object) -> list[tuple[tuple[str, ...], str, str]]:
    return list(faults(content, schema("settings")))


def _merge(files: list[YamlFile], environment: Mapping[str, str]) -> dict[str, Any]:
    """The files merged by dynaconf, with ``PIPELINE_<SECTION>__<KEY>`` variables over them."""
    from dynaconf import Dynaconf
    from dynaconf.utils.parse_conf import parse_conf_data

    sections = schema("settings")["properties"]
    merged = Dynaconf(
        settings_files=[str(file.path) for file in files], merge_enabled=True, environments=False, loaders=[]
    )
    for name, text in environment.items():
        path = name.removeprefix("PIPELINE_").lower().split("__")
        if name.startswith("PIPELINE_") and len(path) > 1 and path[0] in sections:
            merged.set("__".join(path), parse_conf_data(text, tomlfy=True))
    values = {key.lower(): value for key, value in _plain(merged.as_dict()).items() if key.lower() in sections}
    return {key: _of_one_kind(key, value, files) if key in _SYSTEMS else value for key, value in values.items()}


def _of_one_kind(name: str, section: dict[str, Any], files: list[YamlFile]) -> dict[str, Any]:
    """A merged section without what files say of a system of another kind: a path is DuckDB's, not Snowflake's."""
    kind: object = None
    foreign: set[str] = set()
    for file in files:
        content = file.content if isinstance(file.content, dict) else {}
        given = content.get(name) or {}
        kind = given.get("kind", kind)
        foreign = foreign - set(given) if kind == section.get("kind") else foreign | (set(given) - {"kind"})
    return {key: value for key, value in section.items() if key not in foreign}


def _plain(value: Any) -> Any:
    """Dynaconf's boxes as ordinary mappings and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _resolve(key: str, value: Any, *, environment: Mapping[str, str], secrets: Secrets) -> Any:
    """References in the sections that pipelines do not override; those are resolved with each pipeline file."""
    if isinstance(value, dict):
        return {
            name: item
            if key == "" and name in {"warehouse", "transform", "batch"}
            else _resolve(name, item, environment=environment, secrets=secrets)
            for name, item in value.items()
        }
    if isinstance(value, str):
        try:
            return resolve(key, value, environment=environment, secrets=secrets)
        except Unresolved as error:
            raise ConfigError(error.what, where=f"setting {key}", hint="Set it, or take the reference out.") from error
    return value


def _log(values: dict[str, Any], home: Path) -> LogSettings:
    defaults = LogSettings()
    return LogSettings(
        level=values["level"],
        folder=home / values.get("folder", defaults.folder),
        console=values.get("console", defaults.console),
        max_bytes=byte_count(values.get("max_size", defaults.max_bytes)),
        backup_count=values.get("backups", defaults.backup_count),
    )
