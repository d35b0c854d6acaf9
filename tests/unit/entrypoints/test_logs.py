"""Log lines: where they go, what is bound to them, and what never reaches them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import structlog

from entrypoints import logs
from entrypoints.redaction import Redactor
from entrypoints.references import Secrets
from entrypoints.settings import LogSettings
from pipeline.domain.errors import SourceUnreachable

SECRET = "swordfish-canary"
ROW_VALUE = "row-value-canary"


class DriverError(Exception):
    sqlstate = "23505"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[LogSettings]:
    root = logging.getLogger()
    others = [handler for handler in root.handlers if type(handler).__module__.split(".")[0] != "_pytest"]
    for handler in others:  # of libraries that set up logging in this process, as Airflow does when it is imported
        root.removeHandler(handler)
    yield LogSettings(folder=tmp_path / "logs", console="json")
    logs.close()
    structlog.reset_defaults()
    for handler in others:
        root.addHandler(handler)


def configure(settings: LogSettings, **options: str) -> None:
    logs.configure(settings, name="shop", redactor=Redactor(Secrets({SECRET})), **options)


def lines_of(settings: LogSettings) -> list[dict[str, object]]:
    return [json.loads(line) for line in (settings.folder / "shop.log").read_text().splitlines()]


def test_a_line_is_json_with_the_context_that_was_bound(settings: LogSettings) -> None:
    configure(settings)
    logs.bind(pipeline="shop", command="run", run="1f")
    logs.logger().info("batch applied", load=7)
    [line] = lines_of(settings)
    line.pop("timestamp")
    assert line == {
        "event": "batch applied",
        "level": "info",
        "load": 7,
        "pipeline": "shop",
        "command": "run",
        "run": "1f",
    }


def test_threads_and_libraries_carry_the_context_too(settings: LogSettings) -> None:
    configure(settings)
    logs.bind(pipeline="shop")
    thread = threading.Thread(target=lambda: logging.getLogger("some.driver").warning("slow %s", "answer"))
    thread.start()
    thread.join()
    [line] = lines_of(settings)
    line.pop("timestamp")
    assert line == {"event": "slow answer", "level": "warning", "library": "some.driver", "pipeline": "shop"}


def test_levels_are_kept_and_libraries_only_warn(settings: LogSettings) -> None:
    configure(attrs.evolve(settings, level="INFO"))
    logs.logger().debug("copy advanced")
    logging.getLogger("some.driver").info("said hello")
    logs.logger().info("copy finished")
    assert [line["event"] for line in lines_of(settings)] == ["copy finished"]


def test_no_secret_reaches_file_or_console(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings)
    logs.logger().warning("connection lost", dsn=f"postgresql://app:{SECRET}@db/x")
    logging.getLogger("some.driver").error("cannot reach %s", SECRET)
    try:
        raise SourceUnreachable(f"no answer with {SECRET}")
    except SourceUnreachable as error:
        logs.logger().error("command failed", exc_info=error)
    written = (settings.folder / "shop.log").read_text()
    assert SECRET not in written
    assert written.count("***") == 3
    assert SECRET not in capsys.readouterr().err


def test_what_a_driver_said_reaches_no_log(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings)

    def fail() -> None:
        try:
            raise DriverError(f"Key (email)=({ROW_VALUE}) already exists")
        except DriverError as error:
            raise ValueError(ROW_VALUE) from error

    try:
        fail()
    except ValueError as error:
        logs.logger().error("command failed unexpectedly", exc_info=error)
        logging.getLogger("some.driver").error("oh", exc_info=True)
    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()
    mine, _, from_thread = lines_of(settings)
    outer, inner = mine["exception"]  # type: ignore[misc] # JSON
    assert (outer["class"], inner["class"], inner["sqlstate"]) == (
        "builtins.ValueError",
        f"{DriverError.__module__}.DriverError",
        "23505",
    )
    assert outer["at"][-1].endswith(" fail")
    assert (from_thread["event"], from_thread["thread"]) == ("thread failed", "reader")
    assert ROW_VALUE not in (settings.folder / "shop.log").read_text()
    assert ROW_VALUE not in capsys.readouterr().err


def test_the_file_rotates(settings: LogSettings) -> None:
    configure(attrs.evolve(settings, max_bytes=300, backup_count=2))
    for load in range(20):
        logs.logger().info("batch applied", load=load)
    assert sorted(path.name for path in settings.folder.iterdir()) == ["shop.log", "shop.log.1", "shop.log.2"]
    assert all(path.stat().st_size <= 300 for path in settings.folder.iterdir())


def test_a_quiet_console_still_shows_trouble(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, console_level="WARNING")
    logs.logger().info("batch applied")
    logs.logger().warning("retry scheduled")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["retry scheduled"]
    assert len(lines_of(settings)) == 2


def test_text_for_people_has_no_colours_where_there_is_no_terminal(
    settings: LogSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(attrs.evolve(settings, console="text"))
    logs.logger().info("batch applied", load=7)
    err = capsys.readouterr().err
    assert "batch applied" in err
    assert "load=7" in err
    assert "\x1b" not in err


def test_a_folder_that_cannot_be_written_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: LogSettings
) -> None:
    (tmp_path / "file").touch()
    configure(attrs.evolve(settings, folder=tmp_path / "file" / "logs"))
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["log file not written"]
