"""Where an incremental look begins, in the words of an API: the value of a cursor as a parameter.

How far back a look reaches, and which of its rows are new, is ``polling``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
import pyarrow as pa

from adapters.sources.polling.cursor import scalar_of
from pipeline.domain.errors import ConfigError

#: Formats of instants by name; another text is one of ``strftime``'s.
_ISO, _ISO_SECONDS, _DATE, _UNIX, _UNIX_MS, _PLAIN = "iso", "iso_seconds", "date", "unix", "unix_ms", "plain"


@attrs.frozen
class Since:
    """The cursor of a stream: the member ``column``, sent as ``parameter`` in ``format``.

    ``overlap`` is in seconds for instants, else in the column's own unit; ``initial`` is sent where nothing was read
    yet. ``is_ordered`` says that records come in its order.
    """

    column: str
    parameter: str
    format: str = _ISO
    overlap: float = 0.0
    initial: str = ""
    is_ordered: bool = False

    def text(self, literal: str | None, kind: pa.DataType | None) -> str | None:
        """What to send for the bookmark ``literal`` of a column of ``kind``; None to send nothing."""
        if literal is None or kind is None:
            return self.initial or None
        value = scalar_of(literal, kind)
        if not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
            return str(value.as_py())
        if pa.types.is_date(kind) and self.format in {_ISO, _ISO_SECONDS, _PLAIN}:
            return str(value.as_py().isoformat())
        instant = value.cast(pa.timestamp("us")).as_py() if not _is_zoned(kind) else value.as_py()
        return _spelt(instant if instant.tzinfo else instant.replace(tzinfo=UTC), self.format, zoned=_is_zoned(kind))

    def reach(self, kind: pa.DataType) -> pa.Scalar | None:
        """The overlap as what can be taken from a column of ``kind``; raises ``ValueError`` where there is no such."""
        if not self.overlap:
            return None
        if pa.types.is_timestamp(kind):
            return pa.scalar(timedelta(seconds=self.overlap), pa.duration("us"))
        if pa.types.is_date(kind):
            return pa.scalar(timedelta(seconds=self.overlap), pa.duration("s"))
        if pa.types.is_integer(kind):
            return pa.scalar(int(self.overlap), kind)
        raise ValueError(f"a cursor of type {kind} takes no overlap")


def since_of(told: Mapping[str, object], where: str) -> Since:
    """The cursor as the pipeline file has it; raises ``ConfigError``."""
    since = Since(
        column=str(told["column"]),
        parameter=str(told["parameter"]),
        format=str(told.get("format", _ISO)),
        overlap=float(str(told.get("overlap", 0.0))),
        initial=str(told.get("initial", "")),
        is_ordered=bool(told.get("ordered", False)),
    )
    if since.format not in {_ISO, _ISO_SECONDS, _DATE, _UNIX, _UNIX_MS, _PLAIN} and "%" not in since.format:
        raise ConfigError(
            f"cursor.format is {since.format}",
            where=where,
            hint="Use iso, iso_seconds, date, unix, unix_ms, plain, or codes such as %Y-%m-%dT%H:%M:%S.",
        )
    return since


def _is_zoned(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


def _spelt(instant: datetime, form: str, *, zoned: bool) -> str:
    zone = "Z" if zoned else ""
    instant = instant.astimezone(UTC)
    if form in {_ISO, _PLAIN}:
        return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + zone
    if form == _ISO_SECONDS:
        return instant.replace(tzinfo=None).isoformat(timespec="seconds") + zone
    if form == _DATE:
        return instant.date().isoformat()
    if form == _UNIX:
        return str(int(instant.timestamp() // 1))
    if form == _UNIX_MS:
        return str(int(instant.timestamp() * 1000 // 1))
    return instant.strftime(form)
