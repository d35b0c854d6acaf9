"""The least that a role needs: the SQL that grants it, compared whole, and what of it is found missing.

``UPDATE_GOLDEN=1`` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from adapters.warehouses.snowflake.grants import SCHEMAS, Place, Privilege, as_stored, grant, missing, script, take_over

GOLDEN = Path(__file__).parent / "golden"
NEW = Place(role="LOADER", user="PIPELINE", warehouse="LOADING", database="RAW")
ODD = Place(role='my "role"', user="jo@example.com", warehouse="load wh", database="raw", schemas=frozenset(SCHEMAS))


@pytest.mark.parametrize(("name", "place"), [("grants_for_a_new_database", NEW), ("grants_on_schemas_of_others", ODD)])
def test_the_least_privileges_are_granted_by_the_sql_that_the_file_shows(name: str, place: Place) -> None:
    path = GOLDEN / f"{name}.sql"
    text = script(place) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_nothing_is_missing_for_who_holds_it_all() -> None:
    for place in (NEW, attrs.evolve(NEW, schemas={"STAGING", "PIPELINE"})):
        assert missing(place, place.needed) == ()


def test_each_privilege_that_is_not_held_is_missing() -> None:
    place = attrs.evolve(NEW, schemas=frozenset(SCHEMAS))
    for need in place.needed:
        assert missing(place, set(place.needed) - {need}) == (need,)


def test_an_owner_needs_no_grants_on_what_it_owns() -> None:
    place = attrs.evolve(NEW, schemas={"STAGING"})
    owned = [Privilege("OWNERSHIP", "DATABASE", "RAW"), Privilege("OWNERSHIP", "SCHEMA", "RAW.STAGING")]
    assert missing(place, owned) == (Privilege("USAGE", "WAREHOUSE", "LOADING"),)


def test_schemas_need_not_be_created_where_all_of_them_are_there() -> None:
    privileges = {need.privilege for need in attrs.evolve(NEW, schemas=frozenset(SCHEMAS)).needed}
    assert "CREATE SCHEMA" not in privileges
    assert "CREATE SCHEMA" in {need.privilege for need in NEW.needed}


def test_names_are_quoted_as_they_are_stored() -> None:
    assert grant(Privilege("USAGE", "SCHEMA", 'my "db".STAGING'), "loader") == (
        'GRANT USAGE ON SCHEMA "my ""db"""."STAGING" TO ROLE "loader";'
    )
    assert take_over("STAGING", NEW) == (
        'GRANT OWNERSHIP ON ALL TABLES IN SCHEMA "RAW"."STAGING" TO ROLE "LOADER" COPY CURRENT GRANTS;'
    )


@pytest.mark.parametrize(
    ("written", "stored"),
    [("raw", "RAW"), ("Raw_1$", "RAW_1$"), ('"raw"', "raw"), ('"a ""b"""', 'a "b"'), ("my-wh", "my-wh"), ("", "")],
)
def test_names_that_people_wrote_are_stored_as_the_service_does(written: str, stored: str) -> None:
    assert as_stored(written) == stored
