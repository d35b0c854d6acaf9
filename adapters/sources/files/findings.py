"""What ``doctor`` says of a stream of files: how many there are, and what of them would be left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from adapters.sources.files.columns import Samples
from adapters.sources.files.options import ReadOptions
from adapters.sources.files.store import FileInfo
from pipeline.domain.finding import Finding, Level
from pipeline.domain.stream import StreamSpec


def inspect(
    stream: StreamSpec,
    options: ReadOptions,
    files: Sequence[FileInfo],
    *,
    unfinished: Collection[str],
    samples: Samples,
) -> tuple[Finding, ...]:
    """The findings of a stream whose ``files`` are in order; the newest are sampled."""
    where = f"stream {stream.name}"
    if not files:
        hint = "Check path, or wait for the first file."
        return (Finding(Level.WARNING, "files", f"no file matches {options.pattern.text}", where, hint),)
    size = sum(info.size for info in files)
    found = [Finding(Level.OK, "files", f"{len(files):,} files match, {size:,} bytes", where)]
    if unfinished:
        what = f"{len(unfinished):,} files may still be written; they are read once {options.min_age_s:g} s old"
        found.append(Finding(Level.INFO, "files", what, where))
    sampled = files[-options.sample_files :]
    shown = samples.of(sampled, options)
    if len(shown) < len(sampled):
        what = f"{len(sampled) - len(shown):,} of {len(sampled):,} files cannot be read; they go to quarantine"
        found.append(Finding(Level.WARNING, "files", what, where, "Write them anew, or remove them."))
    found += _of_columns(options, shown, where, is_partial=len(files) > len(sampled))
    return tuple(found)


def _of_columns(
    options: ReadOptions, shown: Sequence[Collection[str]], where: str, *, is_partial: bool
) -> list[Finding]:
    if options.columns is None:
        if not is_partial:
            return []
        what = f"columns are inferred from the newest {options.sample_files:,} files only"
        return [Finding(Level.WARNING, "columns", what, where, "Declare columns, or raise sample_files.")]
    names = dict.fromkeys(name for one in shown for name in one)
    extra = [name for name in names if name not in options.columns]
    absent = [name for name in options.columns if name not in names and name not in options.pattern.names]
    found = []
    if extra:
        what = f"{len(extra)} columns of the files are not declared and left out: {', '.join(extra)}"
        found.append(Finding(Level.INFO, "columns", what, where))
    if absent and shown:
        what = f"{len(absent)} declared columns are in no file and stay null: {', '.join(absent)}"
        found.append(Finding(Level.WARNING, "columns", what, where, "Correct their names."))
    return found
