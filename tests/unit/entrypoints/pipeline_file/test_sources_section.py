"""A pipeline file with several sources, and sources without a log."""

from __future__ import annotations

import pytest

from entrypoints.settings import Settings
from pipeline.domain.errors import ConfigError
from tests.support.pipeline_files import DSN, load, problems

SOURCES = """sources:
  crm: {kind: postgres, dsn: "${CRM_DSN}"}
  drop: {kind: files, url: drop}
  fx: {kind: rest, url: https://fx.example.com, auth: {kind: bearer, token: "${FX_TOKEN}"}}
"""


def test_of_a_source_without_a_log_each_stream_is_a_group(settings: Settings) -> None:
    text = f"""{SOURCES}streams:
  people: {{source: crm}}
  rates: {{source: fx, relation: /rates, read: {{key: day}}}}
  prices: {{source: drop, read: {{path: "prices/*.csv", poll: 1}}}}
  costs: {{source: drop, read: {{path: "costs/*.csv", min_age: 2m}}}}
  notes: {{source: crm, relation: app.notes}}
"""
    assert problems(settings, text.replace(", poll: 1", ", pol: 1"), CRM_DSN=DSN, FX_TOKEN="t")[0].startswith(
        "8 streams.prices.read.pol: is not known here"
    )
    groups = load(settings, text.replace(", poll: 1", ""), CRM_DSN=DSN, FX_TOKEN="t").groups
    assert [(group.group, group.source.name, list(group.streams)) for group in groups] == [
        ("crm", "crm", ["people", "notes"]),
        ("fx__rates", "fx", ["rates"]),
        ("drop__prices", "drop", ["prices"]),
        ("drop__costs", "drop", ["costs"]),
    ]
    assert {name: spec.relation for group in groups for name, spec in group.streams.items()} == {
        "people": "public.people",
        "notes": "app.notes",
        "rates": "/rates",
        "prices": "prices",
        "costs": "costs",
    }
    assert groups[3].streams["costs"].read["min_age_s"] == 120.0
    assert groups[1].source.options["auth"] == {"kind": "bearer", "token": "t"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"source: {{kind: files, url: drop}}\n{SOURCES}streams: {{people: {{source: crm}}}}\n", "sources"),
        (f"{SOURCES}streams: {{people: }}\n", "streams.people.source: is missing; allowed: crm, drop, fx"),
        (f"{SOURCES}streams: {{people: {{source: crn}}}}\n", "streams.people.source: is crn; allowed: crm, drop, fx"),
        (
            f"{SOURCES}streams: {{people: {{source: crm, read: {{a: 1}}}}}}\n",
            "streams.people.read.a: is not known here",
        ),
    ],
)
def test_sources_that_do_not_fit_their_streams_are_told(settings: Settings, text: str, expected: str) -> None:
    told = problems(settings, text, CRM_DSN=DSN, FX_TOKEN="t")
    assert any(expected in problem for problem in told), told


def test_a_missing_secret_of_one_source_is_a_gap_of_that_source(settings: Settings) -> None:
    text = f"{SOURCES}streams: {{people: {{source: crm}}, rates: {{source: fx}}}}\n"
    file = load(settings, text, needs_source=False, CRM_DSN=DSN)
    assert {name: gap.key for name, gap in file.source_gaps.items()} == {"fx": "sources.fx.auth.token"}


@pytest.mark.parametrize("held", [{}, {"FX_TIMEOUT": "soon"}])
def test_what_does_not_fit_where_a_reference_stands_is_a_gap_of_that_source(
    settings: Settings, held: dict[str, str]
) -> None:
    text = f"{SOURCES}streams: {{people: {{source: crm}}, rates: {{source: fx}}}}\n"
    text = text.replace("https://fx.example.com", "https://fx.example.com, timeout: '${FX_TIMEOUT}'")
    file = load(settings, text, needs_source=False, CRM_DSN=DSN, FX_TOKEN="t", **held)
    assert [(name, gap.key) for name, gap in file.source_gaps.items()] == [("fx", "sources.fx.timeout")]
    with pytest.raises(ConfigError, match=r"sources\.fx\.timeout"):
        load(settings, text, CRM_DSN=DSN, FX_TOKEN="t", **held)


def test_a_gap_concerns_only_the_groups_of_its_source(settings: Settings) -> None:
    text = f"{SOURCES}streams: {{people: {{source: crm}}, rates: {{source: fx}}}}\n"
    assert load(settings, text, group="crm", CRM_DSN=DSN).spec.group == "crm"
    with pytest.raises(ConfigError, match="FX_TOKEN is not set"):
        load(settings, text, group="fx__rates", CRM_DSN=DSN)
    with pytest.raises(ConfigError, match="FX_TOKEN is not set"):
        load(settings, text, CRM_DSN=DSN)
