"""What somebody should agree to before a run, and whether a service is well."""

import attrs
import pytest

from pipeline.application.risks import Risks, risks
from pipeline.application.service import ServiceSeen, watch_service
from pipeline.application.sync import sync
from pipeline.domain.change import Operation
from pipeline.domain.errors import ConfigError
from pipeline.domain.finding import Finding, Level
from pipeline.ports.source import Relation
from tests.support.memory_source import Database, MemorySource
from tests.support.rig import Rig

LARGE = Finding(Level.WARNING, "copy", "about 3 rows of orders are copied again", where="stream orders")


class NeverAnalysed(MemorySource):
    """A source that knows of a table's rows nothing but the bytes that they take, if that."""

    def __init__(self, database: Database, byte_count: int | None) -> None:
        super().__init__(database)
        self._byte_count = byte_count

    def discover(self) -> tuple[Relation, ...]:
        return tuple(
            attrs.evolve(relation, estimated_count=None, byte_count=self._byte_count) for relation in super().discover()
        )


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for number in (1, 2, 3):
        rig.database.commit(("orders", Operation.INSERT, {"id": number, "status": "new"}))
    return rig


def test_an_ordinary_run_risks_nothing_neither_the_first_nor_a_later_one(rig: Rig) -> None:
    assert risks(rig.session(), large_count=0) == Risks()
    sync(rig.session())
    assert risks(rig.session(), large_count=0) == Risks()


def test_copying_a_large_stream_again_is_a_risk_by_the_sources_own_estimate(rig: Rig) -> None:
    sync(rig.session())
    assert risks(rig.session(), resync=["orders"], large_count=3) == Risks(copies=(LARGE,))
    assert risks(rig.session(), resync=["orders"], large_count=4) == Risks()
    with pytest.raises(ConfigError, match="no stream called people"):
        risks(rig.session(), resync=["people"], large_count=4)


@pytest.mark.parametrize(
    ("byte_count", "said"),
    [(299, None), (301, "about 4 rows"), (None, "an unknown number of rows")],
)
def test_where_the_source_has_no_estimate_size_counts_and_what_is_unknown_is_large(
    rig: Rig, byte_count: int | None, said: str | None
) -> None:
    sync(rig.session())
    session = attrs.evolve(rig.session(), source=NeverAnalysed(rig.database, byte_count))
    what = f"{said} of orders are copied again"
    asked = Finding(Level.WARNING, "copy", what, where="stream orders")
    assert risks(session, resync=["orders"], large_count=4) == Risks(copies=(asked,) if said else ())


def test_a_lost_log_is_a_gap_that_copies_every_stream_again(rig: Rig) -> None:
    sync(rig.session())
    rig.database.slot = None
    hint = "Agreeing copies all streams again; changes in between are in no changelog."
    gap = Finding(Level.WARNING, "gap", "the slot is gone", where="shop", hint=hint)
    found = risks(rig.session(), large_count=3)
    assert found == Risks(gap, (LARGE,))
    assert found.findings == (gap, LARGE)


def service_is_away() -> Finding:
    hint = "Start it: python -m entrypoints.cli stream shop --no-transform. Or let a run take over."
    return Finding(Level.ERROR, "service", "no service reads the log", "source shop", hint)


def test_a_service_that_reads_and_writes_checkpoints_is_well(rig: Rig) -> None:
    sync(rig.session())
    rig.database.open_readers = 1
    rig.clock.elapsed += 60
    assert watch_service(rig.session(), limit_s=60) == ServiceSeen(True, None, 60.0)


def test_a_service_that_does_not_read_is_told_of(rig: Rig) -> None:
    sync(rig.session())
    assert watch_service(rig.session(), limit_s=60) == ServiceSeen(False, None, 0.0, service_is_away())


@pytest.mark.parametrize(("has_begun", "words"), [(True, "is 61 s old"), (False, "was never written")])
def test_a_service_whose_checkpoint_is_old_is_told_of(rig: Rig, has_begun: bool, words: str) -> None:
    if has_begun:
        sync(rig.session())
    rig.database.slot, rig.database.open_readers = 0, 1
    rig.clock.elapsed += 61
    hint = "Look at its log."
    old = Finding(Level.ERROR, "service", f"the checkpoint of the service {words}", "source shop", hint)
    assert watch_service(rig.session(), limit_s=60) == ServiceSeen(True, None, 61.0 if has_begun else None, old)
