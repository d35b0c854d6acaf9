"""Airflow's REST API, as far as the command line and tests need it, by the standard library: no Airflow is imported.

What is shown of the answers is ``cli.orchestration``'s.
https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from pipeline.domain.errors import ConfigError, ErrorKind, PipelineError

_TIMEOUT_S = 30.0
#: As many as Airflow gives at once, unless it is told otherwise.
_PAGE = 100
#: Seconds between attempts while Airflow answers that it cannot just now, as it does when its database is locked.
_DELAYS_S = (0.5, 2.0, 5.0)


class AirflowUnreachable(PipelineError):
    """Airflow did not answer, or cannot just now."""

    kind = ErrorKind.UNREACHABLE


class AirflowBusy(AirflowUnreachable):
    """Airflow answered that it cannot just now."""


class AirflowRefused(PipelineError):
    """Airflow does not know what was asked for, or does not let us."""

    kind = ErrorKind.REJECTED


class AirflowHasIt(AirflowRefused):
    """What was to be made is there already."""


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@attrs.define
class AirflowClient:
    """The API under ``url``, by a ``token``, or by user and password, for which it asks for a token."""

    url: str = attrs.field(converter=_without_slash)
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)

    def get(self, path: str, **query: str | int) -> Any:
        """The answer to GET ``/api/v2/<path>``."""
        return self._patiently("GET", f"/api/v2/{path}" + (f"?{urlencode(query)}" if query else ""), None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to POST ``/api/v2/<path>``."""
        return self._ask("POST", f"/api/v2/{path}", body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to PATCH ``/api/v2/<path>``."""
        return self._ask("PATCH", f"/api/v2/{path}", body)

    def trigger(self, dag_id: str, params: Mapping[str, Any]) -> str:
        """Start a run, once however often it has to be asked for; gives its id."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}_{secrets.token_hex(4)}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(params)}
        # It has it by the attempt before, whose answer said nothing of it: nobody else uses this id.
        with suppress(AirflowHasIt):
            started = self._patiently("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", body)
            return str(started["dag_run_id"])
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """A run: its ``state``, ``start_date``, ``end_date`` and more."""
        answer: dict[str, Any] = self.get(f"dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}")
        return answer

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The tasks of a run, each with ``task_id``, ``state`` and ``try_number``, in the order in which they started,
        those that did not last.
        """
        found = self.all(f"dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances", "task_instances")
        return sorted(found, key=lambda task: (task["start_date"] is None, task["start_date"] or "", task["task_id"]))

    def all(self, path: str, key: str, **query: str | int) -> list[dict[str, Any]]:
        """All of a list, page by page: what GET ``/api/v2/<path>`` has under ``key``."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.get(path, limit=_PAGE, offset=len(found), **query)
            found += answer[key]
            if not answer[key] or len(found) >= answer["total_entries"]:
                return found

    def pools_of(self, dag_id: str) -> tuple[str, ...]:
        """The pools that a DAG's tasks take their slots from, in order of name."""
        return tuple(sorted({str(task["pool"]) for task in self.get(f"dags/{quote(dag_id)}/tasks")["tasks"]}))

    def pools(self) -> tuple[str, ...]:
        """All pools there are."""
        return tuple(str(pool["name"]) for pool in self.all("pools", "pools"))

    def make_pool(self, name: str, *, slots: int, description: str) -> None:
        """Make a pool."""
        pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self.post("pools", pool)

    def _patiently(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """The same as ``_ask`` for what may be asked again, while Airflow is busy."""
        for delay_s in _DELAYS_S:
            try:
                return self._ask(method, path, body)
            except AirflowBusy:
                time.sleep(delay_s)
        return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        if self.token is None:
            self.token = self._sign_in()
        return self._send(method, path, body, headers={"Authorization": f"Bearer {self.token}"})

    def _sign_in(self) -> str:
        if not self.user or not self.password:
            raise ConfigError(
                "there is nothing to sign in to Airflow with",
                where=self.url,
                hint="Set AIRFLOW_USERNAME and AIRFLOW_PASSWORD, or AIRFLOW_TOKEN.",
            )
        answer = self._send("POST", "/auth/token", {"username": self.user, "password": self.password}, headers={})
        return str(answer["access_token"])

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, *, headers: Mapping[str, str]) -> Any:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError("AIRFLOW_BASE_URL is no address", where=self.url, hint="Write http://host:8080.")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - http and https only, see above
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error.code, where=self.url) from None
        except (OSError, ValueError):
            raise AirflowUnreachable(
                "Airflow did not answer", where=self.url, hint="Check AIRFLOW_BASE_URL and whether it is up."
            ) from None


def _refusal(status: int, *, where: str) -> PipelineError:
    """Our error for an HTTP status; the answer's body may hold values and is dropped (P10)."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return AirflowBusy(f"Airflow could not answer ({status})", where=where, hint="Look at its log.")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "Check AIRFLOW_USERNAME and AIRFLOW_PASSWORD, or AIRFLOW_TOKEN, and what that user may do."
        return AirflowRefused(f"Airflow does not let us ({status})", where=where, hint=hint)
    if status == HTTPStatus.NOT_FOUND:
        hint = "Check that the pipeline's DAG is in Airflow: its DAG folder, PIPELINE_CONFIG_DIR and import errors."
        return AirflowRefused("Airflow has no such DAG or run", where=where, hint=hint)
    kind = AirflowHasIt if status == HTTPStatus.CONFLICT else AirflowRefused
    return kind(f"Airflow refused what was asked for ({status})", where=where, hint="Look at its log.")
