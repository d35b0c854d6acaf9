"""Whether there is an account to test on, or why not."""

from __future__ import annotations

from adapters.warehouses.snowflake.statement import Statement
from tests.real_snowflake.account import VARIABLES, Account, why_not

COMPLETE = dict.fromkeys(VARIABLES, "x")


def test_the_account_takes_statements(account: Account, database: str) -> None:
    with account.session(database) as session:
        assert session.rows(Statement("SELECT CURRENT_DATABASE()")) == [(database,)]


def test_every_variable_that_is_needed_is_named_where_it_is_not_set() -> None:
    assert why_not(COMPLETE) is None
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USERNAME", "SNOWFLAKE_WAREHOUSE", "SNOWFLAKE_ROLE"):
        assert f"set {name} and a way to sign in" in str(why_not({**COMPLETE, name: ""}))
