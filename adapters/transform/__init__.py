"""Marts by dbt: runs the project behind a pipeline's staging tables in a child process that stays warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.transform.transformer import DbtTransformer


def build(name: str, options: Mapping[str, object]) -> DbtTransformer:
    """The transformer called ``name``; see ``options.parse`` for what it takes. Starts nothing."""
    # Inside, since the child process imports this package too and needs nothing but its worker.
    from adapters.transform.options import parse
    from adapters.transform.transformer import DbtTransformer

    return DbtTransformer(parse(name, options))
