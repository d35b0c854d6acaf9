"""Fingerprints in order, so that among many of them one is found, or equals are told, without an object for each.

What the fingerprints are of is ``detection``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.domain.fingerprint import Halves

NONE: Halves = np.empty((2, 0), dtype=np.uint64)


def joined(halves: Sequence[Halves]) -> Halves:
    """One behind the other."""
    return halves[0] if len(halves) == 1 else np.concatenate(halves, axis=1)


def sorted_order(halves: Halves) -> np.ndarray:
    """The order in which fingerprints rise; equals stay in theirs."""
    order = np.argsort(halves[0])
    first = halves[0][order]
    if (first[1:] == first[:-1]).any():
        order = np.lexsort((halves[1], halves[0]))  # stable
    return order


def places(known: Halves, halves: Halves) -> tuple[np.ndarray, np.ndarray]:
    """Where each fingerprint stands in ``known``, which rises and has each once, or would have to be put in; and
    whether it stands there.
    """
    count = known.shape[1]
    order = np.argsort(halves[0])  # in order they are found near each other, which is several times as fast
    at = np.empty(halves.shape[1], dtype=np.int64)
    at[order] = np.searchsorted(known[0], halves[0][order])
    found = np.zeros(halves.shape[1], dtype=bool)
    open_ = np.flatnonzero(at < count)
    while len(open_):  # more than once only where first halves are equal by chance
        here = at[open_]
        is_first = known[0][here] == halves[0][open_]
        found[open_] = is_first & (known[1][here] == halves[1][open_])
        open_ = open_[is_first & (known[1][here] < halves[1][open_])]
        at[open_] += 1
        open_ = open_[at[open_] < count]
    return at, found


def is_last_of_equals(halves: Halves) -> np.ndarray:
    """Which fingerprints do not come again (a mask)."""
    order = sorted_order(halves)
    first, second = halves[0][order], halves[1][order]
    mask = np.ones(halves.shape[1], dtype=bool)
    mask[order[:-1][(first[1:] == first[:-1]) & (second[1:] == second[:-1])]] = False
    return mask


def number_equals(halves: Halves, before: Sequence[Halves] = ()) -> Halves:
    """Fingerprints of which equals are told apart, by how many of them came earlier, in ``before`` or here."""
    every = np.concatenate([*before, halves], axis=1)
    order = sorted_order(every)
    ordered = every[:, order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    number = np.arange(len(order))
    rank = np.empty(len(order), dtype=np.uint64)
    rank[order] = number - np.maximum.accumulate(np.where(begins, number, 0))
    numbered: Halves = halves + rank[len(order) - halves.shape[1] :] * np.uint64(0x9E3779B97F4A7C15)
    return numbered


def put_between(row: np.ndarray, added: np.ndarray, where: np.ndarray) -> np.ndarray:
    """``row`` with each of ``added`` before the place in ``where``, which rises."""
    into = where + np.arange(len(added))
    kept = np.ones(len(row) + len(added), dtype=bool)
    kept[into] = False
    together = np.empty(len(kept), dtype=row.dtype)
    together[kept] = row
    together[into] = added
    return together
