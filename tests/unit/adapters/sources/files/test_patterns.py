"""Patterns of paths: what they match, where listing begins, and what they tell of a path."""

import pytest

from adapters.sources.files.patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("a.csv", "a.csv", {}),
        ("a.csv", "b/a.csv", None),
        ("*.csv", "a.csv", {}),
        ("*.csv", "x/a.csv", None),
        ("*.csv", "a.csv.gz", None),
        ("*.csv*", "a.csv.gz", {}),
        ("**/*.csv", "a.csv", {}),
        ("**/*.csv", "x/y/a.csv", {}),
        ("in/**", "in/x/y/a.csv", {}),
        ("in/**/part-?.csv", "in/x/part-1.csv", {}),
        ("part-[0-9].csv", "part-7.csv", {}),
        ("part-[!0-9].csv", "part-7.csv", None),
        ("year={year}/*.csv", "year=2026/a.csv", {"year": "2026"}),
        ("{region}/{day}.csv", "north/2026-01-31.csv", {"region": "north", "day": "2026-01-31"}),
        ("{region}/*.csv", "south%2Fwest/a.csv", {"region": "south/west"}),
        ("*.csv", "_tmp.csv", None),
        ("*.csv", ".a.csv", None),
        ("_*.csv", "_tmp.csv", {}),
        ("**/*.csv", "_temporary/0/a.csv", None),
        ("a+b(1).csv", "a+b(1).csv", {}),
    ],
)
def test_a_pattern_matches_paths_and_names_their_parts(pattern: str, path: str, parts: dict[str, str] | None) -> None:
    assert compile_pattern(pattern).parts(path) == parts


@pytest.mark.parametrize(
    ("pattern", "folder", "depth"),
    [
        ("a.csv", "", 0),
        ("in/a.csv", "in", 0),
        ("in/sub/*.csv", "in/sub", 0),
        ("in/year={year}/*.csv", "in", 1),
        ("in/**/*.csv", "in", None),
        ("*/*/*.csv", "", 2),
    ],
)
def test_listing_begins_at_the_first_wildcard_and_goes_no_deeper_than_needed(
    pattern: str, folder: str, depth: int | None
) -> None:
    compiled = compile_pattern(pattern)
    assert (compiled.folder, compiled.depth) == (folder, depth)


@pytest.mark.parametrize(
    "pattern", ["/etc/*.csv", "../*.csv", "a//b.csv", "{a}/{a}.csv", "{a b}.csv", "a}.csv", "", "a/../b.csv"]
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compile_pattern(pattern)
