"""The variables that pipeline files refer to, from the environment, else from Airflow's variables and connections.

``${CRM_DSN}`` is the environment variable of that name, else Airflow's variable of that name, else the connection
``crm_dsn`` as a URI. ``${SF__LOGIN}`` is the field ``login`` of the connection ``sf``, or the key of that name in its
extra, such as ``${SF__PRIVATE_KEY_CONTENT}``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

_FIELD = "__"
_FIELDS = ("host", "login", "password", "schema", "port")
#: How libpq calls what Airflow calls otherwise.
_SCHEMES = {"postgres://": "postgresql://"}


class AirflowEnvironment(Mapping[str, str]):
    """Looks a name up in that order, once for each name; iterates over the environment's own names only."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._own = os.environ if environment is None else environment
        self._found: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        if self._own.get(name):
            return self._own[name]
        if name not in self._found:
            self._found[name] = _variable(name) or _connection(name)
        value = self._found[name]
        # An empty variable counts as unset where Airflow has the name; it is still one of the environment's names.
        return self._own[name] if value is None else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def _variable(name: str) -> str | None:
    from airflow.sdk import Variable

    value = Variable.get(name, default=None)
    return None if value is None else str(value)


def _connection(name: str) -> str | None:
    prefix, found, field = name.lower().partition(_FIELD)
    connection = _stored(prefix if found else name.lower())
    if connection is None:
        return None
    if found:
        return _part(connection, field)
    uri: str = connection.get_uri()
    for theirs, ours in _SCHEMES.items():
        uri = ours + uri.removeprefix(theirs) if uri.startswith(theirs) else uri
    return uri


def _stored(connection_id: str) -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(connection_id)
    except AirflowNotFoundException:
        return None


def _part(connection: Any, field: str) -> str | None:
    value = getattr(connection, field) if field in _FIELDS else connection.extra_dejson.get(field)
    return None if value in (None, "") else str(value)
