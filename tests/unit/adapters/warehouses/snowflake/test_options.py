"""What a Snowflake warehouse's options mean, and everything wrong with them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.warehouses.snowflake.options import SnowflakeOptions, parse
from adapters.warehouses.snowflake.patience import Backoff
from pipeline.domain.errors import ConfigError, ErrorKind


def test_the_fewest_options_take_everything_else_from_defaults() -> None:
    given = {"account": "acme-eu", "user": "loader", "password": "p", "database": "RAW"}
    assert parse("warehouse", given) == SnowflakeOptions(
        connect={
            "account": "acme-eu",
            "user": "loader",
            "password": "p",
            "authenticator": "snowflake",
            "database": "RAW",
            "application": "realtime_data_pipeline",
            "login_timeout": 15,
            "backoff_policy": Backoff(60.0),
            "platform_detection_timeout_seconds": 0.0,
        },
        place="snowflake acme-eu/RAW",
        database="RAW",
        role=None,
        warehouse=None,
        transient_changelogs=False,
        upload_threads=4,
        retry_s=60.0,
        statement_timeout_s=3600.0,
        lock_timeout_s=60.0,
        work_folder=None,
    )


def test_every_option_is_taken() -> None:
    given = {
        "connection": "prod",
        "database": "RAW",
        "role": "LOADER",
        "warehouse": "LOADING",
        "host": "127.0.0.1",
        "port": "8084",
        "protocol": "http",
        "transient_changelogs": True,
        "upload_threads": 2,
        "retry_s": 0.5,
        "statement_timeout_s": 60,
        "lock_timeout_s": 5,
        "work_folder": "/work",
        "user": None,
        "password": "",
    }
    assert parse("warehouse", given) == SnowflakeOptions(
        connect={
            "connection_name": "prod",
            "database": "RAW",
            "role": "LOADER",
            "warehouse": "LOADING",
            "host": "127.0.0.1",
            "port": 8084,
            "protocol": "http",
            "application": "realtime_data_pipeline",
            "login_timeout": 15,
            "backoff_policy": Backoff(0.5),
            "platform_detection_timeout_seconds": 0.0,
        },
        place="snowflake prod/RAW",
        database="RAW",
        role="LOADER",
        warehouse="LOADING",
        transient_changelogs=True,
        upload_threads=2,
        retry_s=0.5,
        statement_timeout_s=60.0,
        lock_timeout_s=5.0,
        work_folder=Path("/work"),
    )


def test_everything_wrong_is_told_at_once() -> None:
    given = {
        "acount": "acme",
        "protocol": "ftp",
        "port": 0,
        "upload_threads": True,
        "retry_s": "soon",
        "lock_timeout_s": 0.5,
        "statement_timeout_s": float("inf"),
        "transient_changelogs": "perhaps",
    }
    with pytest.raises(ConfigError) as caught:
        parse("warehouse", given)
    known = (
        "account, authenticator, connection, database, host, lock_timeout_s, oauth_client_id, oauth_client_secret, "
        "oauth_scope, oauth_token_request_url, password, port, private_key, private_key_file, private_key_passphrase, "
        "protocol, retry_s, role, statement_timeout_s, token, token_file, transient_changelogs, upload_threads, user, "
        "warehouse, work_folder, workload_identity_entra_resource, workload_identity_provider"
    )
    assert str(caught.value) == (
        "warehouse warehouse: 11 problems with the options\n"
        f"  acount is not known here. Options are {known}.\n"
        "  database is missing. Name the database to load into.\n"
        "  protocol is not known; allowed: https, http.\n"
        "  port is no whole number of 1 or more.\n"
        "  upload_threads is no whole number of 1 or more.\n"
        "  retry_s is no number of seconds from 0 on.\n"
        "  statement_timeout_s is no number of seconds from 1 on.\n"
        "  lock_timeout_s is no number of seconds from 1 on.\n"
        "  transient_changelogs is neither true nor false.\n"
        "  account is missing. Set it, or the environment variable SNOWFLAKE_ACCOUNT, to ORGANIZATION-ACCOUNT.\n"
        "  authenticator is missing: nothing says how to sign in. Give one of password, private_key, "
        "private_key_file, oauth_client_id, workload_identity_provider or connection, or an authenticator "
        "(programmatic_access_token, oauth, externalbrowser) with what it needs.\n"
        " Mend the options named above."
    )
    assert caught.value.kind is ErrorKind.REJECTED
