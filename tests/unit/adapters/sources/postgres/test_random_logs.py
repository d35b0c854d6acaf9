"""Random transactions, fed in random cuts, come out as a naive decoder reads them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import pytest

from adapters.sources.postgres.messages import read_relation
from adapters.sources.postgres.pgoutput import Decoder
from adapters.sources.postgres.relation import RelationMessage, TrackedRelation
from pipeline.domain.change import change_schema
from tests.support import pgoutput_oracle
from tests.support.pglog import Recorder

pytestmark = pytest.mark.integration

Record = Callable[..., AbstractContextManager[Recorder]]

_SETUP = [
    """create table a (
        id int primary key, flag bool, amount numeric(14, 4), free numeric, doc text, at timestamptz, day date,
        raw bytea, ratio float8, small int2, plain timestamp, shape json)""",
    "create table b (x text, y int, doc text, n int, primary key (y, x))",
    "create table c (x int, doc text)",
    "create table d (id bigint primary key, note text)",
    "alter table c replica identity full",
    "alter table a alter doc set storage external",
    "alter table c alter doc set storage external",
]

_A = """select g, g % 2 = 0, g * 1.2345, case when g % 3 = 0 then null else g / 8.0 end,
    case g % 5 when 0 then repeat('long', 700) when 1 then '' when 2 then null else E'\\r\\n\ufeff"\\\\' end,
    timestamptz '2024-03-10 02:30:00.123456+00' + g * interval '1.5 hours', date '2024-01-01' + g,
    case g % 4 when 0 then null when 1 then ''::bytea else decode(md5(g::text), 'hex') end, g / 7.0, g % 100,
    timestamp '1999-12-31 23:59:59.9' + g * interval '1 day', '{"a":  1}'"""


def _statement(chance: random.Random) -> str:
    """One change of some table."""
    low = chance.randrange(1, 60)
    high = low + chance.randrange(0, 6)
    between = f"between {low} and {high}"
    return chance.choice(
        [
            f"insert into a {_A} from generate_series({low}, {high}) g on conflict do nothing",
            f"update a set small = small + 1 where id {between}",
            f"update a set id = -id, amount = null where id {between} and -id not in (select id from a)",
            f"update a set doc = case when doc is null then 'new' end where id {between}",
            f"delete from a where id {between}",
            f"insert into b select 'k' || g % 3, g, repeat('b', g), 0 from generate_series({low}, {high}) g "
            "on conflict do nothing",
            f"update b set n = n + 1 where y {between}",
            f"update b set x = x || ' ' where y {between}",
            f"delete from b where y {between}",
            f"insert into c select g, repeat('x', g * 60) from generate_series({low}, {high}) g",
            f"update c set x = x + 100 where x {between}",
            f"delete from c where x {between}",
            f"insert into d values ({chance.randrange(1, 1 << 60)}, 'n')",
            "truncate c",
            "truncate b, d",
            "select pg_logical_emit_message(true, 'p', 'content')",
            "alter table b replica identity full",
            "alter table b replica identity default",
        ]
    )


def _transaction(chance: random.Random) -> str:
    statements = [_statement(chance) for _ in range(chance.randrange(1, 6))]
    if chance.random() < 0.3:
        statements.insert(chance.randrange(len(statements)), "savepoint s")
        statements.append(chance.choice(["rollback to s", "release s"]))
    return "; ".join(["begin", *statements, chance.choice(["commit"] * 6 + ["rollback"])])


@pytest.mark.parametrize("seed", range(3))
def test_random_transactions_in_random_cuts_equal_the_naive_decoding(record: Record, seed: int) -> None:
    chance = random.Random(seed)
    with record(*_SETUP) as log:
        log.run(*(_transaction(chance) for _ in range(150)))
        frames = log.frames()
        tracked: dict[tuple[int, str], TrackedRelation | None] = {}

        def resolve(message: RelationMessage) -> TrackedRelation | None:
            key = (message.oid, message.identity)
            if key not in tracked:
                tracked[key] = None if message.name == "d" else log.track(message)
            return tracked[key]

        expected = pgoutput_oracle.decode(frames, lambda _, text: resolve(read_relation(text)), epoch=seed)
    assert set(expected) == {"a", "b", "c"}
    assert all(len(rows) > 50 for rows in expected.values())

    for _ in range(5):
        cuts = sorted({0, len(frames), *(chance.randrange(len(frames)) for _ in range(chance.choice([0, 1, 7, 50])))})
        decoder = Decoder(epoch=seed, resolve=resolve)
        found: dict[str, list[dict[str, Any]]] = {}
        ends: list[int] = []
        for begin, end in pairwise(cuts):
            decoded = decoder.feed(frames[begin:end])
            assert decoded.open is (frames[end - 1][25:26] not in (b"C",))
            ends += decoded.end_lsn.tolist()
            for piece in decoded.pieces:
                piece.table.validate(full=True)
                assert (piece.table.schema, piece.misfits) == (change_schema(piece.schema), ())
                found.setdefault(piece.stream, []).extend(piece.table.to_pylist())
        assert found == expected
        assert ends == sorted(set(ends))
        assert len(ends) == sum(frame[25:26] == b"C" for frame in frames)
