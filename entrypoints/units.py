"""Durations and sizes as people write them in configuration files: ``10s``, ``1m30s``, ``64MB``.

Which keys take them is said by the schemas.
"""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)")


def seconds(text: str | float) -> float:
    """The seconds of ``200ms``, ``10s``, ``1m30s``, ``2h``, ``1d``; a bare number is seconds. Raises ``ValueError``."""
    if isinstance(text, int | float):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError("not a duration such as 200ms, 10s, 1m30s, 2h or 1d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def byte_count(text: str | int) -> int:
    """The bytes of ``64MB`` (1 KB = 1024 bytes); a bare number is bytes. Raises ``ValueError``."""
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("not a size such as 512KB, 64MB or 1GB")
    return int(float(match[1]) * _BYTES[match[2]])
