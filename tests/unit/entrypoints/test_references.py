"""Secrets by reference, and masking of those that were met."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrypoints.redaction import Redactor
from entrypoints.references import Secrets, Unresolved, resolve, written_secret


def test_a_variable_is_put_in_and_its_password_remembered() -> None:
    secrets = Secrets()
    text = resolve("dsn", "${A_DSN}", environment={"A_DSN": "postgresql://app:p%40ss@db/x"}, secrets=secrets)
    assert text == "postgresql://app:p%40ss@db/x"
    assert secrets.values == {"p%40ss", "p@ss"}


def test_a_variable_may_stand_inside_a_text() -> None:
    secrets = Secrets()
    environment = {"HOST": "db", "PW": "swordfish"}
    text = resolve("dsn", "host=${HOST} password=${PW}", environment=environment, secrets=secrets)
    assert (text, secrets.values) == ("host=db password=swordfish", {"swordfish"})


def test_a_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("swordfish\n")
    secrets = Secrets()
    assert resolve("password", f"${{file:{tmp_path}/pw}}", environment={}, secrets=secrets) == "swordfish"
    assert secrets.values == {"swordfish"}


def test_what_is_no_secret_is_not_masked() -> None:
    secrets = Secrets()
    resolve("path", "${HOME}/x.duckdb", environment={"HOME": "/home/app"}, secrets=secrets)
    assert secrets.values == set()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("${NOPE}", "the environment variable NOPE is not set"),
        ("${EMPTY}", "the environment variable EMPTY is not set"),
        ("${a b}", "${a b} is not a reference; write ${NAME} or ${file:/path}"),
        ("${file:/no/such}", "the file /no/such cannot be read: No such file or directory"),
    ],
)
def test_a_reference_that_names_nothing_says_so(text: str, what: str) -> None:
    with pytest.raises(Unresolved) as caught:
        resolve("dsn", text, environment={"EMPTY": ""}, secrets=Secrets())
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("key", "text", "is_written"),
    [
        ("dsn", "postgresql://app:secret@db/x", True),
        ("dsn", "postgresql://app:${PW}@db/x", False),
        ("dsn", "postgresql://app@db/x", False),
        ("dsn", "postgresql://app@db/x?password=secret", True),
        ("dsn", "host=db password=secret", True),
        ("dsn", "host=db password='se cret'", True),
        ("dsn", "host=db password=${PW}", False),
        ("dsn", "${A_DSN}", False),
        ("password", "secret", True),
        ("password", "${PW}", False),
        ("password", "x${PW}", True),
        ("private_key", "abc", True),
        ("path", "var/x.duckdb", False),
    ],
)
def test_secrets_that_are_written_out_are_seen(key: str, text: str, is_written: bool) -> None:
    assert written_secret(key, text) is is_written


def test_a_secret_is_masked_in_every_form_it_may_take() -> None:
    redactor = Redactor(Secrets({'sw"ord/fish', "pw"}))
    text = 'a sw"ord/fish, sw\\"ord/fish, sw%22ord%2Ffish, pw, password, pw1'
    assert redactor.mask(text) == "a ***, ***, ***, ***, password, pw1"


def test_a_secret_learnt_later_is_masked_too() -> None:
    redactor = Redactor()
    assert redactor.mask("swordfish") == "swordfish"
    redactor.secrets.add("swordfish")
    assert redactor.mask("swordfish") == "***"
