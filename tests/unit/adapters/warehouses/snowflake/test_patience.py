"""Trying again: with growing pauses, up to a time, and never what will not pass."""

from __future__ import annotations

import pytest
from snowflake.connector.errors import OperationalError, ProgrammingError

from adapters.warehouses.snowflake.errors import error_of
from adapters.warehouses.snowflake.patience import Backoff, persevere
from pipeline.domain.errors import PipelineError, WarehouseRejected, WarehouseUnreachable

BUSY = error_of(OperationalError("x", errno=250001), "snowflake acme/RAW")
REFUSED = error_of(ProgrammingError("x", errno=390100), "snowflake acme/RAW")


class Service:
    """Fails as told, then works; its clock goes on by what was slept."""

    def __init__(self, *errors: PipelineError, works: bool = True) -> None:
        self.pauses: list[float] = []
        self._errors = list(errors)
        self._works = works

    def work(self) -> str:
        if self._errors:
            raise self._errors.pop(0) if self._works else self._errors[0]
        return "done"

    def run(self, *, retry_s: float) -> str:
        return persevere(
            self.work, retry_s=retry_s, sleep=self.pauses.append, monotonic=lambda: round(sum(self.pauses), 6)
        )


def test_pauses_grow_up_to_a_limit_until_it_works() -> None:
    service = Service(*[BUSY] * 8)
    assert service.run(retry_s=1000) == "done"
    assert service.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_the_last_try_is_when_the_time_is_over() -> None:
    service = Service(BUSY, works=False)
    with pytest.raises(WarehouseUnreachable):
        service.run(retry_s=1)
    assert service.pauses == [0.2, 0.4, pytest.approx(0.4)]


def test_what_will_not_pass_is_tried_once() -> None:
    service = Service(REFUSED)
    with pytest.raises(WarehouseRejected):
        service.run(retry_s=1000)
    assert service.pauses == []


def test_the_connector_gets_whole_seconds_that_grow_and_then_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    at = [100.0]
    monkeypatch.setattr("adapters.warehouses.snowflake.patience.time.monotonic", lambda: at[0])
    pauses: list[int] = []

    def fail_until_the_end() -> None:
        for pause_s in Backoff(30)():
            pauses.append(pause_s)
            at[0] += pause_s

    with pytest.raises(OperationalError) as caught:
        fail_until_the_end()
    assert pauses == [1, 2, 4, 8, 10, 5]
    assert caught.value.errno == 250001
