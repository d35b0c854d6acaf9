"""Memory stays what configuration allows, however large a table or transaction is (P11)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.child import environment
from tests.support.world import World

LITTLE_MB, MUCH_MB = 60, 220

#: More than noise, and far less than the difference of what is moved.
SLACK_MB = 64


def filled(world: World, megabytes: int) -> None:
    """Rows of 16 kB, in one transaction."""
    world.sql(
        "INSERT INTO docs SELECT n, repeat(md5(n::text), 512) FROM generate_series(1, " + str(megabytes * 64) + ") n"
    )


def peak_mb(world: World, what: str = "run") -> int:
    """What a run in a process of its own took."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.weigher", world.dsn, str(world.folder), what],
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def copied(world: World, megabytes: int) -> int:
    filled(world, megabytes)
    return peak_mb(world)


def followed(world: World, megabytes: int) -> int:
    peak_mb(world)
    filled(world, megabytes)
    return peak_mb(world)


def rebuilt(world: World, megabytes: int) -> int:
    copied(world, megabytes)
    return peak_mb(world, "rebuild")


def quarantined(world: World, megabytes: int) -> int:
    filled(world, megabytes)
    return peak_mb(world, "quarantine")


@pytest.mark.slow(seconds=210)
@pytest.mark.parametrize("moved", [copied, followed, rebuilt, quarantined])
def test_what_is_moved_takes_no_more_memory_the_more_it_is(
    make_world: Callable[[str], World], moved: Callable[[World, int], int]
) -> None:
    def weighed(megabytes: int) -> int:
        world = make_world("duckdb")
        world.sql(
            "CREATE TABLE docs (id int PRIMARY KEY, body text)", "ALTER TABLE docs ALTER body SET STORAGE EXTERNAL"
        )
        peak = moved(world, megabytes)
        world.stream("docs")
        rows = world.quarantined("docs") if moved is quarantined else world.staging("docs").to_pylist()
        assert len(rows) == megabytes * 64
        return peak

    little, much = weighed(LITTLE_MB), weighed(MUCH_MB)
    if much >= little + SLACK_MB:
        much = min(much, weighed(MUCH_MB))  # what grows with the rows grows again, what chance adds does not
    assert much < little + SLACK_MB, f"{little} MB grew to {much} MB"
