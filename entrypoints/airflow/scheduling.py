"""Assets by name, and a file's schedule as Airflow understands it.

Which events assets get is decided where the tasks are (``loading``, ``building``).
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from entrypoints.airflow.header import Header
from entrypoints.airflow.watched import Watched
from entrypoints.schedule import ScheduleKind

if TYPE_CHECKING:
    from airflow.sdk import Asset

#: What our own assets are: a pipeline's source, its staging tables, its marts.
SOURCE, STAGING, MARTS = "source", "staging", "marts"

_OWN_NAME = re.compile(rf"\w+/(?:{STAGING}|{MARTS})/\w+")


def table_asset(pipeline: str, schema: str, table: str) -> Asset:
    """The asset of a staging table (by the name of its stream) or mart: ``shop/staging/orders``."""
    return named_asset(f"{pipeline}/{schema}/{table}")


def named_asset(name: str) -> Asset:
    """The asset that a file's ``assets`` means: one of ours, a URI, or any other name."""
    from airflow.sdk import Asset

    if _OWN_NAME.fullmatch(name):
        return Asset(name=name, uri=f"pipeline://{name}")
    return Asset(uri=name) if "://" in name else Asset(name=name)


def airflow_schedule(header: Header, config_dir: Path) -> Any:
    """What to give the DAG of a pipeline as its schedule."""
    schedule = header.schedule
    match schedule.kind:
        case ScheduleKind.MANUAL:
            return None
        case ScheduleKind.CRON:
            return schedule.cron
        case ScheduleKind.EVERY:
            return timedelta(seconds=schedule.every_s)
        case ScheduleKind.CONTINUOUS:
            return "@continuous"
        case ScheduleKind.CHANGES:
            return [_watched(header, config_dir)]
        case ScheduleKind.ASSETS:
            return [named_asset(name) for name in schedule.assets]
        case _:
            assert_never(schedule.kind)


def _watched(header: Header, config_dir: Path) -> Asset:
    """The pipeline's source as an asset, whose events are changes that wait in its log."""
    from airflow.sdk import Asset, AssetWatcher

    from entrypoints.airflow.triggers import ChangeTrigger

    trigger = ChangeTrigger(**Watched.of(header, config_dir).arguments)
    name = f"{header.name}/{SOURCE}"
    return Asset(name=name, uri=f"pipeline://{name}", watchers=[AssetWatcher(name=f"{name}/changes", trigger=trigger)])
