"""Sums in place of rows, for ``evaltoolkit run``: exported, added, explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaltoolkit.cli.console import Console
from evaltoolkit.errors import OptionError, OutputError

if TYPE_CHECKING:
    from evaltoolkit.data import AuditLog, Source
    from evaltoolkit.study import Release, Study

SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Reading:
    """Where rows are read from in place of what the design file says, and what an engine may do.

    ``sums`` are files of sums that stand in for rows.
    """

    source: str | None = None
    release: Release | None = None
    memory: str | None = None
    threads: int | None = None
    sums: tuple[Path, ...] = ()
    audit: AuditLog | None = None


def told_apart(named: Sequence[Path], sums: Sequence[Path] | None) -> tuple[list[Path], tuple[Path, ...]]:
    """Return design files and files of sums, which the shell may have handed over in any order.

    Raises
    ------
    OptionError
        No design file is among them, or sums are named without --from-moments.
    """
    both = [*(sums or []), *named]
    designs = [file for file in both if file.suffix.lower() != SUFFIX]
    files = tuple(file for file in both if file.suffix.lower() == SUFFIX)
    if files and not sums:
        raise OptionError(
            f"'{files[0].name}' is no design file", expected="design files, which are TOML",
            todo="put --from-moments before files of sums; 'evaltoolkit report' reads a result.json", where="DESIGN",
        )  # fmt: skip
    if not designs:
        raise OptionError(
            "no design file is named", expected="the design file that the sums were exported by",
            todo="name it after the files of sums", where="DESIGN",
        )  # fmt: skip
    if sums and not files:
        raise OptionError(
            f"'{sums[0].name}' is no file of sums", expected="files that --export-moments wrote, which end in .json",
            todo="name them after --from-moments", where="--from-moments",
        )  # fmt: skip
    return designs, files


def refuse_combination(read: Reading, log: Path | None, export: Path | None, *, explain: bool) -> None:
    """Refuse options that contradict one another, before anything is opened.

    Raises
    ------
    OptionError
    """
    if explain and log is not None:
        raise OptionError(
            "--explain and --audit-log are given together", expected="one of them",
            todo="leave out --audit-log: with --explain no query is run", where="--explain",
        )  # fmt: skip
    given = {
        "--source": read.source, "--release": read.release, "--engine-memory": read.memory,
        "--engine-threads": read.threads, "--audit-log": log, "--export-moments": export,
        "--explain": explain or None,
    }  # fmt: skip
    beside = [name for name, value in given.items() if value is not None] if read.sums else []
    if beside:
        raise OptionError(
            f"--from-moments and {beside[0]} are given together", expected="sums, or a source of rows",
            todo=f"leave out {beside[0]}: with sums no rows are read and nothing leaves", where="--from-moments",
        )  # fmt: skip
    if export is not None and read.release == "strict":
        raise OptionError(
            "--export-moments and --release strict are given together", expected="one of them",
            todo="leave out --release: sums by cell are what --export-moments writes", where="--export-moments",
        )  # fmt: skip
    if export is not None and export.suffix.lower() != SUFFIX:
        raise OptionError(
            f"the file of sums is called '{export.name}'", expected="a name that ends in .json",
            todo=f"call it '{export.stem}.json'", where="--export-moments",
        )  # fmt: skip


def refuse_report_options(given: Mapping[str, object]) -> None:
    """Refuse options of reports where none is written.

    Raises
    ------
    OptionError
    """
    beside = [name for name, value in given.items() if value is not None]
    if beside:
        raise OptionError(
            f"--export-moments and {beside[0]} are given together", expected="a report, or sums",
            todo=f"leave out {beside[0]}: with --export-moments no report is written", where="--export-moments",
        )  # fmt: skip


def study_to_read(file: Path, read: Reading, *, allow_outside: bool = False) -> Study:
    """Return the study of a design file, with the release that was asked for."""
    from evaltoolkit.pipeline import load_study, with_release

    study = load_study(file, allow_outside=allow_outside)
    return study if read.release is None else with_release(study, read.release)


def source_to_read(study: Study, read: Reading, progress: Callable[[str], None] | None = None) -> Source:
    """Return what a study is evaluated on: sums where files of sums are named, else rows."""
    from evaltoolkit.data import EngineLimits, open_source
    from evaltoolkit.federation import from_moments

    if read.sums:
        return from_moments(study, read.sums)
    limits = EngineLimits(read.memory, read.threads)
    return open_source(study, read.source, limits, audit=read.audit, progress=progress)


def explain_designs(
    designs: Sequence[Path], export: Path | None, read: Reading, console: Console, *, allow_outside: bool = False
) -> None:
    """Tell of each design what it would ask of its source and what would leave, to a file of sums too where asked."""
    from evaltoolkit.federation import explain

    texts, records = [], []
    for file in designs:
        study = study_to_read(file, read, allow_outside=allow_outside)
        told = explain(study, source_to_read(study, read), export=export is not None)
        texts.append(f"{file}\n{told.text()}")
        records.append({"design_file": str(file), **told.record()})
    console.answer("run", "\n\n".join(texts), {"explanations": records})


def export(
    designs: Sequence[Path], file: Path, read: Reading, console: Console, *, allow_outside: bool = False
) -> None:
    """Write the sums of one design to a file, whole or not at all."""
    from evaltoolkit.cli.files import write_text
    from evaltoolkit.federation import export_moments
    from evaltoolkit.reduction.moments_json import read as read_back

    if len(designs) > 1:
        raise OptionError(
            f"{len(designs)} design files are named", expected="one, whose sums go into one file",
            todo="export the sums of each design by itself", where="--export-moments",
        )  # fmt: skip
    study = study_to_read(designs[0], read, allow_outside=allow_outside)
    console.say(f"{designs[0].name}: adding up")
    source = source_to_read(study, read, lambda step: console.say(f"{designs[0].name}: {step}"))
    text = export_moments(study, source)
    moments, about = read_back(text, file.name)
    try:
        write_text(file, text)
    except OutputError as error:
        raise OutputError(
            error.found, expected="a folder that exists and can be written, on a disk with space",
            todo="name another place", where="--export-moments",
        ) from None  # fmt: skip
    console.say(f"{file.name}: sums of {moments.table.cohort.size:,} cells; read it before you hand it on")
    record: dict[str, Any] = {
        "file": str(file), "sha256": about.sha256, "plan_sha256": moments.plan.sha256,
        "cells": int(moments.table.cohort.size), "checked": list(about.checked),
    }  # fmt: skip
    console.answer("run", str(file), record)
