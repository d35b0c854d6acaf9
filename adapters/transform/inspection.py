"""What would stop dbt from running, found without starting it: files, packages, target and environment variables.

Whether the models are right is for ``dbt build`` to say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from adapters.transform.options import DbtOptions
from pipeline.domain.errors import Missing
from pipeline.domain.finding import Finding, Level

#: Distributions that a target needs, and the extra that brings them; dbt-core and dbt-duckdb come with the product.
_NEEDS = {
    "duckdb": (("dbt-core", ""), ("dbt-duckdb", "")),
    "snowflake": (("dbt-core", ""), ("dbt-snowflake", "snowflake")),
}
#: A reference to an environment variable without a default.
_VARIABLE = re.compile(r"env_var\(\s*['\"](\w+)['\"]\s*\)")


def missing(kind: str, *, python: Path | None = None) -> Missing | None:
    """The error to raise if a distribution that ``kind`` of warehouse needs is not installed, else None. Of another
    virtual environment, named by its interpreter, it is only looked whether it is there.
    """
    if python is not None:
        if python.is_file():
            return None
        return Missing("there is no such interpreter", where=str(python), hint="Correct transform.python.")
    for distribution, extra in _NEEDS.get(kind, _NEEDS["duckdb"]):
        # Not by import: with dbt missing, `import dbt` still finds an empty namespace.
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            package = f"realtime-data-pipeline[{extra}]" if extra else "realtime-data-pipeline"
            return Missing(
                f"{distribution} is not installed", where="transform", hint=f"Install it with: pip install '{package}'"
            )
    return None


def inspect(options: DbtOptions) -> tuple[Finding, ...]:
    """Everything that stands in the way of a build, or one line saying that nothing does."""
    found = tuple(_problems(options))
    return found or (
        Finding(Level.OK, "dbt", "project, profile and packages are in place", where=str(options.project)),
    )


def _problems(options: DbtOptions) -> Iterator[Finding]:
    error = missing("duckdb" if options.duckdb_path else "snowflake", python=options.python)
    if error is not None:
        yield Finding(Level.ERROR, "dbt_installed", error.what, where=error.where, hint=error.hint)
    project = options.project / "dbt_project.yml"
    if not project.is_file():
        yield Finding(
            Level.ERROR, "dbt_project", "there is no dbt project", where=str(project), hint="Correct transform.project."
        )
        return
    profiles = options.profiles / "profiles.yml"
    if not profiles.is_file():
        hint = "Put a profiles.yml beside dbt_project.yml."
        yield Finding(Level.ERROR, "dbt_profile", "there is no profiles.yml", where=str(profiles), hint=hint)
        return
    yield from _profile_problems(options)


def _profile_problems(options: DbtOptions) -> Iterator[Finding]:
    import yaml

    where = str(options.profiles / "profiles.yml")
    try:
        profile = str(yaml.safe_load((options.project / "dbt_project.yml").read_text("utf-8"))["profile"])
        outputs: Mapping[str, Any] = yaml.safe_load((options.profiles / "profiles.yml").read_text("utf-8"))[profile][
            "outputs"
        ]
    except (yaml.YAMLError, KeyError, TypeError, OSError):
        hint = "The project's `profile` has to be a key of profiles.yml with `outputs`."
        yield Finding(Level.ERROR, "dbt_profile", "project and profile do not fit", where=where, hint=hint)
        return
    if options.target not in outputs:
        yield Finding(
            Level.ERROR,
            "dbt_target",
            f"the profile {profile} has no target {options.target}",
            where=where,
            hint=f"Its targets are: {', '.join(sorted(outputs))}.",
        )
        return
    values = " ".join(str(value) for value in outputs[options.target].values())
    unset = sorted(set(_VARIABLE.findall(values)) - set(os.environ) - set(options.environment))
    if unset:
        yield Finding(
            Level.ERROR,
            "dbt_environment",
            f"the target {options.target} reads environment variables that are not set",
            where=where,
            hint=f"Set {', '.join(unset)}.",
        )
