"""The container: systems are built once, when asked for, and closed whatever happens."""

from __future__ import annotations

import threading

import attrs
import pytest
import structlog

from adapters.metrics.live import LiveMetrics
from adapters.warehouses.memory import MemoryWarehouse
from entrypoints import registry
from entrypoints.absent import AbsentSource
from entrypoints.container import opened, opened_groups
from entrypoints.problems import Problem
from pipeline.domain.errors import ConfigError, Missing
from pipeline.domain.events import CopyAdvanced
from pipeline.domain.stream import PipelineSpec, StreamSpec, SystemSpec

SPEC = PipelineSpec(
    name="crm",
    source=SystemSpec("postgres", "crm", {"dsn": "postgresql://app@127.0.0.1:1/crm"}),
    warehouse=SystemSpec("memory", "trial"),
    streams={"people": StreamSpec("people", "public.people", "crm")},
)
LOGGER = structlog.get_logger()


def test_a_session_is_wired_from_the_spec_without_connecting() -> None:
    stop = threading.Event()
    with opened(SPEC, logger=LOGGER, stop=stop) as session:
        assert session.pipeline is SPEC
        assert session.source.name == "crm"
        assert isinstance(session.warehouse, MemoryWarehouse)
        assert session.transformer is None
        assert session.stop is stop


def test_events_reach_the_extra_metrics() -> None:
    from adapters.clock import SystemClock

    live = LiveMetrics(SystemClock())
    with opened(SPEC, logger=LOGGER, metrics=(live,)) as session:
        session.metrics.record(CopyAdvanced("people", 5))
    assert [view.copied_count for view in live.view()] == [5]


class Closing:
    name = "crm"

    def __init__(self) -> None:
        self.closed_count = 0

    def close(self) -> None:
        self.closed_count += 1


def test_everything_is_closed_after_an_error() -> None:
    source = Closing()
    with pytest.raises(KeyboardInterrupt), opened(SPEC, logger=LOGGER, source=source):  # type: ignore[arg-type] # only closed
        raise KeyboardInterrupt
    assert source.closed_count == 1


def test_an_absent_source_says_what_is_missing_only_when_it_is_used() -> None:
    absent = AbsentSource("crm", reason="the environment variable CRM_DSN is not set", hint="Set it.")
    with (
        pytest.raises(ConfigError) as caught,
        opened(SPEC, logger=LOGGER, source=absent) as session,  # type: ignore[arg-type] # has close alone
    ):
        session.source.log()
    assert str(caught.value) == "source crm: the environment variable CRM_DSN is not set Set it."


def test_where_not_every_source_is_needed_one_that_cannot_be_built_fails_when_it_is_used() -> None:
    wrong = attrs.evolve(SPEC, source=SystemSpec("postgres", "erp", {"dsn": "no dsn"}), group="erp")
    unset = attrs.evolve(SPEC, source=SystemSpec("postgres", "fx"), group="fx")
    groups, gaps = (SPEC, wrong, unset), {"fx": Problem("crm.yaml", "sources.fx.dsn", "FX_DSN is not set")}
    with opened_groups(groups, logger=LOGGER, gaps=gaps) as [crm, erp, fx]:
        assert crm.source.name == "crm"
        with pytest.raises(ConfigError, match="source erp: "):
            erp.source.log()
        with pytest.raises(ConfigError, match="source fx: FX_DSN is not set"):
            fx.source.log()
    with pytest.raises(ConfigError, match="source erp: "), opened_groups(groups, logger=LOGGER):
        pass


def test_a_driver_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = registry.Kind("no_such_driver_module", extra="snowflake")
    monkeypatch.setitem(registry.WAREHOUSES, "memory", kind)
    with pytest.raises(Missing) as caught, opened(SPEC, logger=LOGGER):
        pass
    assert caught.value.hint == "Install it with: pip install 'realtime-data-pipeline[snowflake]'"


def test_a_kind_that_does_not_exist_names_those_that_do() -> None:
    import attrs

    spec = attrs.evolve(SPEC, warehouse=SystemSpec("oracle", "w"))
    with pytest.raises(ConfigError) as caught, opened(spec, logger=LOGGER):
        pass
    assert caught.value.hint == "There are: duckdb, memory, snowflake."
