"""Pipeline files that tests write, and what is made of them."""

from __future__ import annotations

import pytest

from entrypoints.pipeline_file import PipelineFile, load_pipeline
from entrypoints.settings import Settings
from pipeline.domain.errors import ConfigError

DSN = "postgresql://app:swordfish@db.example.com/crm"


def load(
    settings: Settings, text: str, *, needs_source: bool = True, group: str | None = None, **environment: str
) -> PipelineFile:
    (settings.config_dir / "pipelines" / "crm.yaml").write_text(text)
    return load_pipeline("crm", settings, needs_source=needs_source, group=group, environment=environment)


def problems(settings: Settings, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(settings, text, **environment)
    return [
        f"{problem['line']} {problem['key']}: {problem['what']}|{problem['hint']}"
        for problem in caught.value.facts["problems"]  # type: ignore[attr-defined] # facts are of any type
    ]
