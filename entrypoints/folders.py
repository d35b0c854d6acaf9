"""Where configuration lives and where relative paths start.

Reading what is there is ``settings``' and ``pipeline_file``'s; this module needs nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.domain.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def packaged_folder(name: str) -> Path:
    """A folder that ships inside the installed package (``config``, ``dbt``); it need not exist."""
    return _PACKAGE / "project" / name


def locate(config_dir: Path | None, environment: Mapping[str, str]) -> tuple[Path, Path]:
    """The configuration folder, and the home that relative paths in its files start from.

    The folder is ``config_dir``, else ``PIPELINE_CONFIG_DIR``, else ``config`` here or in the checkout, else the one
    that ships with the package. Home is ``PIPELINE_HOME``, else the folder that holds the configuration folder, and
    for the packaged one the current folder.
    """
    given = config_dir or (Path(environment["PIPELINE_CONFIG_DIR"]) if environment.get("PIPELINE_CONFIG_DIR") else None)
    home = Path(environment["PIPELINE_HOME"]).resolve() if environment.get("PIPELINE_HOME") else None
    if given is not None and not given.is_dir():
        raise ConfigError(
            "the configuration folder does not exist",
            where=str(given),
            hint="Name an existing folder by --config-dir or PIPELINE_CONFIG_DIR.",
        )
    for candidate in (given,) if given is not None else (Path("config"), _PACKAGE.parent / "config"):
        if given is not None or (candidate / "base.yaml").is_file():
            return candidate.resolve(), home or candidate.resolve().parent
    return packaged_folder("config"), home or Path.cwd()
