"""What a source refuses before it changes anything, what it sets up, and what it tells of a server."""

from __future__ import annotations

import pytest

from pipeline.domain.errors import ConfigError, SchemaRefused, SourceRejected
from pipeline.domain.finding import Level
from pipeline.domain.stream import BatchLimits, Mode, StreamSpec
from tests.support.postgres import Scene, begin, checkpoint, stream, wait_for

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("ddl", "mode", "words"),
    [
        ("CREATE TABLE t (id int)", Mode.MIRROR, "would make updates and deletes at the source fail"),
        ("CREATE TABLE t (id int)", Mode.APPEND, "would make updates and deletes at the source fail"),
        ("CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL", Mode.MIRROR, "has no key"),
        (
            "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING",
            Mode.MIRROR,
            "would make updates and deletes at the source fail",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)",
            Mode.MIRROR,
            "would make updates and deletes at the source fail",
        ),
        ("CREATE VIEW t AS SELECT 1 AS id", Mode.MIRROR, "is a view"),
        ("CREATE UNLOGGED TABLE t (id int PRIMARY KEY)", Mode.MIRROR, "is unlogged"),
        ("SELECT 1", Mode.MIRROR, "does not exist"),
    ],
)
def test_a_table_that_cannot_be_captured_is_refused_before_anything_changes(
    scene: Scene, ddl: str, mode: Mode, words: str
) -> None:
    scene.sql(ddl)
    scene.sql("CREATE TABLE fine (id int PRIMARY KEY)")
    source = scene.source()
    specs = [stream("t", mode=mode), stream("fine")]

    with pytest.raises(SourceRejected, match=words):
        source.prepare(specs)
    with pytest.raises(SourceRejected, match=words):
        source.begin(specs, epoch=1)

    assert scene.sql("SELECT count(*) FROM pg_publication") == [(0,)]
    assert scene.sql("SELECT count(*) FROM pg_replication_slots WHERE database = %s", scene.database) == [(0,)]
    errors = [finding.what for finding in source.inspect(specs) if finding.level is Level.ERROR]
    assert len(errors) == 1
    assert words in errors[0]


def test_an_excluded_column_that_is_not_there_is_refused_by_a_copy_and_only_told_afterwards(scene: Scene) -> None:
    scene.sql("CREATE TABLE people (id int PRIMARY KEY, email text)")
    source = scene.source()
    specs = [stream("people", exclude=frozenset({"emial"}))]
    with pytest.raises(SourceRejected, match=r"people: exclude names emial, which public\.people does not have"):
        source.begin(specs, epoch=1)
    assert scene.sql("SELECT count(*) FROM pg_replication_slots WHERE database = %s", scene.database) == [(0,)]
    assert [(finding.level, finding.where) for finding in source.inspect(specs) if finding.check == "exclude"] == [
        (Level.WARNING, "stream people")
    ]


def test_writes_go_on_at_the_source_whatever_is_captured(scene: Scene) -> None:
    scene.sql("CREATE TABLE nokey (a int, b text)")
    scene.sql("ALTER TABLE nokey REPLICA IDENTITY FULL")
    scene.sql("CREATE TABLE byindex (a int NOT NULL, b text PRIMARY KEY)")
    scene.sql("CREATE UNIQUE INDEX byindex_a ON byindex (a)")
    scene.sql("ALTER TABLE byindex REPLICA IDENTITY USING INDEX byindex_a")
    source = scene.source()
    specs = [stream("nokey", mode=Mode.APPEND), stream("byindex")]

    copy = begin(source, specs)
    for table in ("nokey", "byindex"):
        scene.sql(f"INSERT INTO {table} VALUES (1, 'x'), (2, 'y')")
        scene.sql(f"UPDATE {table} SET b = 'z' WHERE a = 1")
        scene.sql(f"DELETE FROM {table} WHERE a = 2")
    copy.follow(source)

    assert {name: schema.key for name, schema in source.schemas(specs).items()} == {"nokey": (), "byindex": ("a",)}
    assert copy.rows["byindex"] == scene.rows("byindex", ("a",))
    assert [label for name, label in copy.labels() if name == "nokey"] == ["insert", "insert", "update", "delete"]


def test_the_publication_follows_the_streams(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.sql(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    source = scene.source()
    listed = "SELECT tablename FROM pg_publication_tables ORDER BY 1"

    source.prepare([stream("a"), stream("b")])
    source.prepare([stream("a"), stream("b")])
    first = scene.sql(listed)
    source.prepare([stream("b"), stream("c")])

    assert first == [("a",), ("b",)]
    assert scene.sql(listed) == [("b",), ("c",)]
    assert scene.sql("SELECT pubviaroot FROM pg_publication") == [(True,)]


def test_a_role_without_rights_is_given_the_sql_to_run(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    role = f"reader_{scene.database}"
    scene.sql(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'throw-away'")
    try:
        scene.sql(f"GRANT SELECT ON t TO {role}")
        source = scene.source(dsn=scene.server.dsn(scene.database, user=role, password="throw-away"))
        with pytest.raises(SourceRejected) as refused:
            source.prepare([stream("t")])
        statement = refused.value.hint.removeprefix("Let its owner run: ").removesuffix(";")
        scene.sql(statement)
        source.prepare([stream("t")])
        with source.begin([stream("t")], epoch=1) as snapshot:
            assert list(snapshot.read("t")) == []
        source.close()
    finally:
        source.close()
        scene.sql(f"DROP OWNED BY {role}")
        scene.sql(f"DROP ROLE {role}")


def test_row_level_security_never_makes_a_partial_copy(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    scene.sql("INSERT INTO t SELECT generate_series(1, 10)")
    role = f"reader_{scene.database}"
    scene.sql(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'throw-away'")
    try:
        scene.sql(f"GRANT SELECT ON t TO {role}")
        scene.sql("CREATE PUBLICATION theirs FOR TABLE t")
        dsn = scene.server.dsn(scene.database, user=role, password="throw-away")
        source = scene.source(dsn=dsn, publication="theirs", manage_publication=False)
        with source.begin([stream("t")], epoch=1) as snapshot:
            assert sum(piece.row_count for piece in snapshot.read("t")) == 10
        source.forget()
        scene.sql("CREATE POLICY few ON t USING (id < 3)")
        scene.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY")

        with pytest.raises(SourceRejected, match="row level security hides rows"):
            source.begin([stream("t")], epoch=1)
    finally:
        source.close()
        scene.sql(f"DROP OWNED BY {role}")
        scene.sql(f"DROP ROLE {role}")


def test_a_foreign_publication_that_leaves_something_out_is_refused(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    scene.sql("CREATE TABLE u (id int PRIMARY KEY)")
    source = scene.source(publication="theirs", manage_publication=False)
    said = []
    for ddl in (
        "SELECT 1",
        "CREATE PUBLICATION theirs FOR TABLE t WITH (publish = 'insert')",
        "ALTER PUBLICATION theirs SET (publish = 'insert, update, delete, truncate')",
        "ALTER PUBLICATION theirs SET TABLE t, u WHERE (id > 5)",
    ):
        scene.sql(ddl)
        with pytest.raises(SourceRejected) as refused:
            source.prepare([stream("t"), stream("u")])
        said.append(refused.value.what)
    scene.sql("ALTER PUBLICATION theirs SET TABLE t, u")
    source.prepare([stream("t"), stream("u")])

    assert said == [
        "publication theirs does not exist",
        "publication theirs leaves operations out",
        'publication theirs does not publish ONLY "public"."u"',
        "publication theirs filters rows of public.u",
    ]


@pytest.mark.parametrize(
    "meanwhile",
    [
        ("DROP TABLE t", "CREATE TABLE t (id int PRIMARY KEY)"),
        ("ALTER PUBLICATION {publication} DROP TABLE t", "INSERT INTO t VALUES (1)"),
    ],
)
def test_a_table_that_was_away_meanwhile_has_to_be_copied_again(scene: Scene, meanwhile: tuple[str, ...]) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    scene.sql("CREATE TABLE u (id int PRIMARY KEY)")
    source = scene.source()
    copy = begin(source, [stream("t"), stream("u")])
    for statement in meanwhile:
        scene.sql(statement.format(publication=scene.slot))

    source.prepare([stream("t"), stream("u")])
    with pytest.raises(SchemaRefused) as refused:
        source.read(checkpoint(copy.position), copy.streams, limits=BatchLimits())

    assert refused.value.where == "stream t"
    assert "resync t" in refused.value.hint


AWAY = ("ALTER PUBLICATION {} DROP TABLE t", "INSERT INTO t VALUES (1)", "ALTER PUBLICATION {} ADD TABLE ONLY t")


def test_a_table_that_was_away_is_noticed_by_a_reader_that_only_connects_again(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source = scene.source()
    copy = begin(source, [stream("t")])
    for statement in AWAY:
        scene.sql(statement.format(scene.slot))

    with pytest.raises(SchemaRefused, match="put back"):
        source.read(checkpoint(copy.position), copy.streams, limits=BatchLimits())


@pytest.mark.parametrize("is_managed", [True, False])
def test_a_table_that_goes_away_and_comes_back_is_noticed_by_its_reader(scene: Scene, is_managed: bool) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY)")
    if not is_managed:
        scene.sql(f"CREATE PUBLICATION {scene.slot} FOR TABLE ONLY t")
    source = scene.source(manage_publication=is_managed)
    copy = begin(source, [stream("t")])
    with source.read(checkpoint(copy.position), copy.streams, limits=BatchLimits()) as reader:
        scene.sql("INSERT INTO t VALUES (0)")
        wait_for(lambda: (batch := reader.next(0.2)) is not None and batch.row_count == 1)
        for statement in AWAY:
            scene.sql(statement.format(scene.slot))
        scene.sql("INSERT INTO t VALUES (2)")
        with pytest.raises(SchemaRefused, match="put back"):
            wait_for(lambda: (batch := reader.next(0.2)) is not None and batch.row_count > 0)


def test_findings_tell_what_the_log_does_not_say_of_partitions(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE u (id int PRIMARY KEY)")

    found = scene.source().inspect([stream("t"), stream("u")])

    [finding] = [finding for finding in found if finding.check == "partitions"]
    assert (finding.level, finding.where) == (Level.INFO, "stream t")
    assert "truncated" in finding.what
    assert "resync t" in finding.hint


def test_findings_name_what_is_not_captured(scene: Scene) -> None:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a + 1) STORED)")
    scene.sql("CREATE TABLE other (id int)")
    scene.sql("CREATE VIEW seen AS SELECT 1")
    source = scene.source()

    found = source.inspect([stream("t")])

    assert [finding for finding in found if finding.level is Level.ERROR] == []
    assert {finding.what.split(" and could")[0] for finding in found if finding.check == "uncaptured"} == {
        "table public.other is not captured",
        "view public.seen is not captured",
    }
    assert [finding.check for finding in found if finding.check == "generated"] == (
        ["generated"] if scene.server.version < 18 else []
    )
    assert {"wal_level", "max_replication_slots", "role", "replication", "slot", "publication", "tls"} <= {
        finding.check for finding in found
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "neither dsn nor host"),
        ({"host": "db.example.com", "colour": "red"}, "unknown option colour"),
        ({"host": "db.example.com", "slot": "No-Good"}, "slot is not a name"),
        ({"host": "db.example.com", "heartbeat_s": "soon"}, "heartbeat_s is not a number"),
        ({"dsn": "nonsense secret"}, "the dsn cannot be read"),
    ],
)
def test_options_are_checked_when_a_source_is_built(options: dict[str, object], words: str) -> None:
    from adapters.sources.postgres import build

    with pytest.raises(ConfigError, match=words) as refused:
        build("shop", options, pipeline="shop")
    assert "secret" not in str(refused.value)


def test_a_relation_name_has_one_or_two_parts(scene: Scene) -> None:
    with pytest.raises(ConfigError):
        scene.source().schemas([StreamSpec("t", "a.b.c", "shop")])
