"""Assets by name, and a file's schedule as Airflow understands it.

Which events assets get is decided where the tasks are (``loading``, ``building``).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from entrypoints.schedule import Schedule, ScheduleKind

if TYPE_CHECKING:
    from airflow.sdk import Asset

#: Schemas that our own assets are grouped by.
STAGING, MARTS = "staging", "marts"

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


def airflow_schedule(schedule: Schedule) -> Any:
    """What to give a DAG as its schedule."""
    match schedule.kind:
        case ScheduleKind.MANUAL:
            return None
        case ScheduleKind.CRON:
            return schedule.cron
        case ScheduleKind.EVERY:
            return timedelta(seconds=schedule.every_s)
        case ScheduleKind.ASSETS:
            return [named_asset(name) for name in schedule.assets]
        case _:
            return "@continuous"
