"""YAML files with the line of every key, so that a problem can point at it.

What the keys mean is left to whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import yaml

from entrypoints.problems import Problem


@attrs.frozen(eq=False)
class YamlFile:
    """A parsed file: its content, the line of each key path, and what is wrong with the text itself."""

    path: Path
    content: object
    lines: dict[str, int]
    problems: tuple[Problem, ...] = ()

    def problem(self, key: str, what: str, *, hint: str = "") -> Problem:
        """A problem at ``key``, with the line of the key or of the nearest one above it."""
        near = key
        while near and near not in self.lines:
            near = near.rpartition(".")[0]
        return Problem(str(self.path), key, what, line=self.lines.get(near), hint=hint)


def read_yaml(path: Path) -> YamlFile:
    """Read ``path``. A text that is no YAML, an unreadable file and keys given twice are among the ``problems``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return YamlFile(path, None, {}, (Problem(str(path), "", f"cannot be read: {reason}"),))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = Problem(str(path), "", f"is not valid YAML: {error.problem}", line=line)
        return YamlFile(path, None, {}, (problem,))
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    if root is not None:
        for key, line in _keys(root, ""):
            if key in lines:
                problems.append(Problem(str(path), key, f"is given twice, first in line {lines[key]}", line=line))
            lines.setdefault(key, line)
    return YamlFile(path, content, lines, tuple(problems))


def _keys(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = f"{prefix}.{key_node.value}" if prefix else str(key_node.value)
            yield key, key_node.start_mark.line + 1
            yield from _keys(value_node, key)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            key = f"{prefix}.{index}"
            yield key, item.start_mark.line + 1
            yield from _keys(item, key)
