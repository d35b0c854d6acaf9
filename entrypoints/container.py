"""The container: from a pipeline's spec to a session with its systems wired.

Which kinds there are is the registry's; what a session is used for is the use cases'.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import cast

import attrs
from dependency_injector import containers, providers

from adapters.alerts.log import LogNotifier
from adapters.clock import SystemClock
from adapters.metrics.log import CompositeMetrics, LogMetrics
from entrypoints.absent import AbsentSource
from entrypoints.problems import Problem
from entrypoints.registry import SOURCES, TRANSFORMERS, WAREHOUSES, Kind
from pipeline.application.session import Session, Stop
from pipeline.domain.errors import ConfigError, Missing, PipelineError
from pipeline.domain.stream import PipelineSpec, SystemSpec
from pipeline.ports.changes import ChangeDetector
from pipeline.ports.clock import Clock
from pipeline.ports.metrics import Metrics
from pipeline.ports.notifier import Notifier
from pipeline.ports.source import Source
from pipeline.ports.transformer import Transformer
from pipeline.ports.warehouse import Warehouse

#: Reading, decoding and loading are threads that give up the interpreter lock for short calls and want it back at
#: once; with Python's 5 ms each of hundreds of calls a batch may wait that long for a thread that computes.
SWITCH_INTERVAL_S = 0.0005


def source_of(system: SystemSpec, *, pipeline: str = "") -> Source:
    """A source by itself; the caller closes it. ``pipeline`` names what it keeps at the system; default: its name."""
    module = _module(SOURCES, system, role="source")
    source: Source = module.build(system.name, system.options, pipeline=pipeline or system.name)
    return source


def _build_source(spec: PipelineSpec) -> Source:
    return source_of(spec.source, pipeline=spec.name)


def _build_warehouse(spec: PipelineSpec) -> Warehouse:
    module = _module(WAREHOUSES, spec.warehouse, role="warehouse")
    warehouse: Warehouse = module.build(spec.warehouse.name, spec.warehouse.options, pipeline=spec.name)
    return warehouse


def _build_transformer(spec: PipelineSpec) -> Transformer | None:
    if spec.transform is None:
        return None
    module = _module(TRANSFORMERS, spec.transform, role="transform")
    options = {**spec.transform.options, "warehouse": spec.warehouse}
    transformer: Transformer = module.build(spec.transform.name, options)
    return transformer


class Container(containers.DeclarativeContainer):
    """Everything of one pipeline; each system is built when it is first asked for, and once."""

    spec = providers.Dependency(instance_of=PipelineSpec)
    logger: providers.Dependency[object] = providers.Dependency()
    stop: providers.Provider[Stop] = providers.Singleton(threading.Event)
    extra_metrics: providers.Provider[tuple[Metrics, ...]] = providers.Object(())

    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)
    log_metrics = providers.Singleton(LogMetrics, logger)
    metrics: providers.Provider[Metrics] = providers.Singleton(
        lambda log, extra: CompositeMetrics(log, *extra), log_metrics, extra_metrics
    )
    notifier: providers.Provider[Notifier] = providers.Singleton(LogNotifier, logger)
    source: providers.Provider[Source] = providers.Singleton(_build_source, spec)
    warehouse: providers.Provider[Warehouse] = providers.Singleton(_build_warehouse, spec)
    transformer: providers.Provider[Transformer | None] = providers.Singleton(_build_transformer, spec)
    session: providers.Provider[Session] = providers.Factory(
        Session,
        pipeline=spec,
        source=source,
        warehouse=warehouse,
        clock=clock,
        metrics=metrics,
        notifier=notifier,
        transformer=transformer,
        stop=stop,
    )


@contextmanager
def opened(
    spec: PipelineSpec,
    *,
    logger: object,
    stop: Stop | None = None,
    metrics: tuple[Metrics, ...] = (),
    source: Source | None = None,
) -> Iterator[Session]:
    """A session of the pipeline; on leaving, everything in it is closed, whatever happened.

    ``metrics`` get every event beside the log. ``source`` stands in for the one that the pipeline names.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    container = Container(spec=spec, logger=logger)
    if stop is not None:
        container.stop.override(providers.Object(stop))
    container.extra_metrics.override(providers.Object(metrics))
    if source is not None:
        container.source.override(providers.Object(source))
    session = container.session()
    with ExitStack() as closing:
        for part in (session.warehouse, session.source, session.transformer):
            if part is not None:
                closing.callback(part.close)
        yield session


@contextmanager
def opened_groups(
    groups: Sequence[PipelineSpec],
    *,
    logger: object,
    stop: Stop | None = None,
    metrics: tuple[Metrics, ...] = (),
    gaps: Mapping[str, Problem] | None = None,
) -> Iterator[tuple[Session, ...]]:
    """A session for each group of a pipeline, which share everything but their sources. ``gaps`` are what is wrong with
    sources, by name: these, and others that cannot be built, raise ``ConfigError`` only when they are used. None: all
    of them are needed, and one that cannot be built raises at once.
    """
    with ExitStack() as stack:
        sessions: list[Session] = []
        for spec in groups:
            source = _build_source(spec) if gaps is None else _source_or_absent(spec, gaps.get(spec.source.name))
            if sessions:
                stack.callback(source.close)
                sessions.append(attrs.evolve(sessions[0], pipeline=spec, source=source))
            else:
                first = opened(spec, logger=logger, stop=stop, metrics=metrics, source=source)
                sessions.append(stack.enter_context(first))
        yield tuple(sessions)


def _source_or_absent(spec: PipelineSpec, gap: Problem | None) -> Source:
    if gap is None:
        try:
            return _build_source(spec)
        except PipelineError as error:
            return cast("Source", AbsentSource(spec.source.name, reason=error.what, hint=error.hint))
    return cast("Source", AbsentSource(spec.source.name, reason=gap.what, hint=gap.hint))


def detector_of(spec: PipelineSpec) -> ChangeDetector:
    """What tells whether the source of a pipeline has changes to load; the caller closes it. Raises ``ConfigError``
    for a kind of source that has no such thing.
    """
    module = _module(SOURCES, spec.source, role="source")
    if not hasattr(module, "build_detector"):
        raise ConfigError(
            f"sources of kind {spec.source.kind} cannot be watched for changes",
            where=spec.source.name,
            hint="Give the pipeline a schedule by the clock.",
        )
    detector: ChangeDetector = module.build_detector(spec.source.name, spec.source.options, pipeline=spec.name)
    return detector


def _module(kinds: Mapping[str, Kind], system: SystemSpec, *, role: str) -> ModuleType:
    kind = kinds.get(system.kind)
    if kind is None:
        raise ConfigError(
            f"{role} kind {system.kind} is not known", where=system.name, hint=f"There are: {', '.join(kinds)}."
        )
    try:
        return importlib.import_module(kind.module)
    except ModuleNotFoundError as error:
        # Without the extra the module of a driver is missing; anything else is a defect of our own.
        if not kind.extra or (error.name or "").partition(".")[0] in {"adapters", "pipeline", "entrypoints"}:
            raise
        raise Missing(
            f"{role} kind {system.kind} needs {error.name}, which is not installed",
            where=system.name,
            hint=f"Install it with: pip install 'realtime-data-pipeline[{kind.extra}]'",
        ) from error
