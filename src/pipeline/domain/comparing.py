"""Compares rows that are shown with the fingerprints of those known: which are new, which have changed.

What is known, and what is done with the answer, is ``detection``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import Misfit
from pipeline.domain.fingerprint import Halves, fingerprints_of_keys_and_rows, fingerprints_of_names
from pipeline.domain.fingerprintorder import number_equals, places
from pipeline.domain.rowbookmarks import has_null_key
from pipeline.domain.schema import StreamSchema


@attrs.frozen(eq=False)
class Compared:
    """Rows next to those known: fingerprints of keys and rows, where the known row stands (where there is one), which
    are ``new`` or ``changed``, and which are ``nameless``: a key with a null names no row (masks).
    """

    hashes: Halves
    prints: Halves
    at: np.ndarray
    new: np.ndarray
    changed: np.ndarray
    nameless: np.ndarray

    def changed_keys(self, known_count: int) -> np.ndarray:
        """Rows that changed; of a key shown more than once all of them, for the last one is to count (a mask)."""
        changed = self.changed
        if changed.all() or not changed.any():
            return changed
        touched = np.zeros(known_count, dtype=bool)
        touched[self.at[changed]] = True
        known = np.flatnonzero(~self.new)
        others = changed.copy()
        others[known] = touched[self.at[known]]
        return others


def compare_rows(
    hashes: Halves,
    prints: Halves,
    table: pa.Table,
    schema: StreamSchema,
    *,
    misfits: Sequence[Misfit] = (),
    before: Sequence[Halves] = (),
) -> Compared:
    """Compare rows with known ones, whose ``hashes`` rise; ``before`` as in ``KnownRows.compare``."""
    keys, shown = fingerprints_of_keys_and_rows(table.select(schema.names), schema.key, misfits=misfits)
    nameless = has_null_key(table, schema)
    if schema.key:
        names = np.where(nameless, shown, keys) if nameless.any() else keys
        for misfit in misfits:
            if misfit.names is not None:
                names[:, misfit.rows.to_numpy(zero_copy_only=False)] = fingerprints_of_names(misfit.names)
    else:
        names = number_equals(shown, before)
    at, found = places(hashes, names)
    return Compared(names, shown, at, ~found, found & ~are_same(prints, shown, at=at, found=found), nameless)


def are_same(known: Halves, shown: Halves, *, at: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which rows are found among the known ones, at these places, with these fingerprints (a mask)."""
    if not found.any():
        return np.zeros(len(found), dtype=bool)
    at = np.where(found, at, 0)
    same: np.ndarray = found & (known[0][at] == shown[0]) & (known[1][at] == shown[1])
    return same
