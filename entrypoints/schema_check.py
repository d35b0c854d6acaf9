"""Checks parsed files against the JSON schemas beside this module and says what is wrong in words.

Rules that span keys are checked by who builds values from a file.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from entrypoints.problems import nearest
from entrypoints.schedule import parse_schedule
from entrypoints.units import byte_count, seconds

#: A wrong key or value: path inside the checked part, what is wrong, and what to do.
Fault = tuple[tuple[str, ...], str, str]

Schema = dict[str, Any]

#: More keys than this are listed only where none is close to what was written.
_FEW = 12

_TYPE_WORDS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


@functools.cache
def schema(name: str) -> Schema:
    """The schema ``<name>.schema.json``."""
    text = resources.files("entrypoints.schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    loaded: Schema = json.loads(text)
    return loaded


def definition(name: str, part: str) -> Schema | None:
    """The part of a schema under ``$defs``, None if there is none called so."""
    found: Schema | None = schema(name)["$defs"].get(part)
    return found


def source_definition(kind: str, part: str) -> Schema:
    """What the sources of a kind take as their section (``source``) or of each stream (``read``): from the kind's own
    schema ``<kind>.schema.json`` where there is one.
    """
    own = resources.files("entrypoints.schemas").joinpath(f"{kind}.schema.json").is_file()
    found = definition(kind, part) if own else definition("pipeline", f"{part}.{kind}")
    return found if found is not None else {"type": "object", "additionalProperties": False, "properties": {}}


def faults(content: object, against: Schema) -> Iterator[Fault]:
    """Everything in ``content`` that the schema does not allow."""
    validator = jsonschema.Draft202012Validator(against, format_checker=_FORMATS)
    for error in validator.iter_errors(content):
        yield from _faults_of(error)


def options(content: dict[str, object], against: Schema) -> dict[str, object]:
    """The values of a checked part under the names and in the units that adapters take: seconds and bytes."""
    converted: dict[str, object] = {}
    for key, value in content.items():
        rule = against.get("properties", {}).get(key, {})
        if isinstance(value, dict) and "properties" in rule:
            converted[rule.get("option", key)] = options(value, rule)
            continue
        number = _convert(value, rule.get("format"))
        converted[rule.get("option", key)] = f"{number}B" if rule.get("spelled") else number
    return converted


def _convert(value: object, form: object) -> object:
    if form == "duration" and isinstance(value, str | int | float):
        return seconds(value)
    if form == "size" and isinstance(value, str | int):
        return byte_count(value)
    return value


def _faults_of(error: ValidationError) -> Iterator[Fault]:
    path = tuple(str(part) for part in error.absolute_path)
    rule: Any = error.schema
    value: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(error, path)
        case "required":
            given: Any = error.instance
            yield from (((*path, key), "is missing", "") for key in value if key not in given)
        case "propertyNames" | "format":
            form = rule["format"]
            yield path, _FORM_WORDS[form].format(given=error.instance), ""
        case "type":
            yield path, _wrong_type(error), ""
        case "enum" | "const":
            allowed = value if error.validator == "enum" else [value]
            words = ", ".join(_spell(word) for word in allowed)
            hint = nearest(str(error.instance), [str(word) for word in allowed])
            yield path, f"is {_spell(error.instance)}; allowed: {words}", hint
        case "anyOf":
            yield path, rule["say"], ""
        case "minLength" | "minItems" | "minProperties":
            yield path, "is empty", ""
        case "minimum":
            yield path, f"is {error.instance}; it must be {value} or more", ""
        case _:
            yield path, f"does not keep {error.validator}: {_spell(value)}", ""


def _unknown_keys(error: ValidationError, path: tuple[str, ...]) -> Iterator[Fault]:
    rule: Any = error.schema
    given: Any = error.instance
    known = list(rule.get("properties", {}))
    for key in given:
        if key not in known:
            hint = nearest(str(key), known)
            # A long list helps nobody who only mistyped.
            allowed = "" if hint and len(known) > _FEW else f"; allowed: {', '.join(known)}"
            yield (*path, str(key)), f"is not known here{allowed}", hint


def _wrong_type(error: ValidationError) -> str:
    value: Any = error.validator_value
    wanted = value if isinstance(value, list) else [value]
    words = " or ".join(_TYPE_WORDS[kind] for kind in wanted)
    return f"is {_type_word(error.instance)}; it must be {words}"


def _type_word(value: object) -> str:
    for kind, types in (
        ("null", type(None)),
        ("boolean", bool),
        ("integer", int),
        ("number", float),
        ("string", str),
        ("array", list),
        ("object", dict),
    ):
        if isinstance(value, types):
            return _TYPE_WORDS[kind]
    return f"a {type(value).__name__}"


def _spell(value: object) -> str:
    return json.dumps(value, default=str) if not isinstance(value, str) else value or '""'


_FORM_WORDS = {
    "duration": "is {given}; write a duration such as 200ms, 10s, 1m30s, 2h or 1d",
    "size": "is {given}; write a size such as 512KB, 64MB or 1GB",
    "name": "is {given}; a name starts with a letter and has letters, digits and _ only, at most 63",
    "slot": "is {given}; such a name has lower-case letters, digits and _ only, at most 63",
    "schedule": "is {given}; write a cron expression such as '*/10 * * * *', a preset such as @hourly, @continuous, "
    "@changes, {{every: 15m}} or {{assets: [shop/marts/fct_orders]}}",
    "layer": "is {given}; a layer is a folder below the project's models: letters, digits, _, - and / only",
    "re2": "is not a regular expression that RE2 takes (no look-around, no back-references)",
}


def _takes(parse: Callable[[object], object]) -> Callable[[object], bool]:
    def accepts(value: object) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return accepts


def _matches(pattern: str) -> Callable[[object], bool]:
    compiled = re.compile(pattern)
    return lambda value: not isinstance(value, str) or compiled.fullmatch(value) is not None


def _is_re2(value: object) -> bool:
    if not isinstance(value, str):
        return True
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern=value)
    except pa.ArrowInvalid:
        return False
    return True


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("duration")(_takes(lambda value: seconds(value) if isinstance(value, str) else None))
_FORMATS.checks("size")(_takes(lambda value: byte_count(value) if isinstance(value, str) else None))
_FORMATS.checks("schedule")(_takes(parse_schedule))
_FORMATS.checks("layer")(_matches(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"))
_FORMATS.checks("name")(_matches(r"[A-Za-z][A-Za-z0-9_]{0,62}"))
_FORMATS.checks("slot")(_matches(r"[a-z0-9_]{1,63}"))
_FORMATS.checks("re2")(_is_re2)
