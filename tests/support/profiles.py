"""How many examples property tests try: a few by default, many with ``HYPOTHESIS_PROFILE=deep``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

#: By how much the deep profile multiplies the number of examples.
_FACTORS = {"default": 1, "deep": 30}


def examples(count: int) -> Callable[[Any], Any]:
    """Settings for a property test that tries ``count`` examples in the default profile."""
    return settings(
        max_examples=count * _FACTORS[os.environ.get("HYPOTHESIS_PROFILE", "default")],
        deadline=None,  # the machine that runs them is shared
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
