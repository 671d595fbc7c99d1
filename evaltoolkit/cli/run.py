"""``evaltoolkit run``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from evaltoolkit.cli.console import Console, console_of, error_record
from evaltoolkit.cli.moments import (
    Reading,
    explain_designs,
    export,
    refuse_combination,
    refuse_report_options,
    source_to_read,
    study_to_read,
    told_apart,
)
from evaltoolkit.errors import EvaluationError, OptionError

if TYPE_CHECKING:
    from evaltoolkit.data import AuditLog
    from evaltoolkit.results import Result
    from evaltoolkit.study import Release

_FORMATS = ("pdf", "json")
RELEASES: Final[dict[str, Release]] = {"moments": "moments", "strict": "strict", "open": "open"}


def run(
    ctx: typer.Context,
    design: Annotated[list[Path], typer.Argument(help="Design files.", metavar="DESIGN...")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the reports; else the project's reports/.")
    ] = None,
    formats: Annotated[str | None, typer.Option("--format", help="pdf,json; else what the design says.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random draw.")] = None,
    allow_outside: Annotated[bool, typer.Option("--allow-outside", help="Paths may leave the project folder.")] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="File or address to read in place of data.source.", metavar="URI")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", help="What may leave an engine: moments, strict or open (rows).")
    ] = None,
    engine_memory: Annotated[
        str | None, typer.Option("--engine-memory", help="Memory that DuckDB or a local Spark may use, such as 4GB.")
    ] = None,
    engine_threads: Annotated[
        int | None, typer.Option("--engine-threads", min=1, help="Threads that DuckDB or a local Spark may use.")
    ] = None,
    audit_log: Annotated[
        Path | None,
        typer.Option("--audit-log", help="File to add every query of an engine to, and what left it.", metavar="FILE"),
    ] = None,
    export_moments: Annotated[
        Path | None, typer.Option("--export-moments", help="Write sums to hand on in place of a report.", metavar="F")
    ] = None,
    from_moments: Annotated[
        list[Path] | None,
        typer.Option("--from-moments", help="Add up exported sums in place of reading rows.", metavar="F..."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell the plan, the queries and what would leave; run nothing.")
    ] = False,
) -> None:
    """Estimate and write one report folder per design."""
    console = console_of(ctx)
    wanted = chosen_formats(formats)
    design, sums = told_apart(design, from_moments)
    _distinct(design, out)
    read = Reading(source, chosen_release(release), engine_memory, engine_threads, sums)
    refuse_combination(read, audit_log, export_moments, explain=explain)
    read = dataclasses.replace(read, audit=_log(audit_log))
    if explain:
        explain_designs(design, export_moments, read, console, allow_outside=allow_outside)
        return
    if export_moments is not None:
        refuse_report_options({"--out": out, "--format": formats, "--seed": seed})
        export(design, export_moments, read, console, allow_outside=allow_outside)
        return
    records = [_attempt(file, Wanted(out, wanted, seed, allow_outside), read, console) for file in design]
    code = max(record["exit_code"] for record in records)
    written = [place for record in records for place in record["files"]]
    if console.json:
        console.answer("run", "", {"reports": records}, exit_code=code)
    elif written:
        console.answer("run", "\n".join(written), {})
    raise typer.Exit(code)


def chosen_formats(text: str | None) -> tuple[str, ...] | None:
    """Return the formats of ``--format``, in a fixed order."""
    if text is None:
        return None
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words or [""]:
        if word not in _FORMATS:
            raise OptionError.unknown("--format", word, _FORMATS)
    return tuple(word for word in _FORMATS if word in words)


def _distinct(design: list[Path], out: Path | None) -> None:
    places = [(out or file.absolute().parent) / file.stem for file in design]
    twice = sorted({place.name for place in places if places.count(place) > 1})
    if twice:
        raise OptionError(
            f"two design files would write the same report folder '{twice[0]}'",
            expected="design files with different names", todo="rename one, or run them with different --out",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written, and how."""

    out: Path | None = None
    formats: tuple[str, ...] | None = None
    seed: int | None = None
    allow_outside: bool = False


def chosen_release(text: str | None) -> Release | None:
    """Return the release mode of ``--release``."""
    if text is None:
        return None
    if text not in RELEASES:
        raise OptionError.unknown("--release", text, tuple(RELEASES))
    return RELEASES[text]


def _log(file: Path | None) -> AuditLog | None:
    if file is None:
        return None
    from evaltoolkit.data import AuditLog

    return AuditLog(file)


def _attempt(file: Path, wanted: Wanted, read: Reading, console: Console) -> dict[str, Any]:
    try:
        return evaluate_to_folder(file, wanted, read, console=console)
    except (EvaluationError, OSError) as raised:
        from evaltoolkit.cli.files import REFUSED, explained

        if console.debug or (isinstance(raised, OSError) and raised.errno not in REFUSED):
            raise
        error = explained(raised)
        console.warn(error_message(file, error, console))
        return {
            "design": str(file), "exit_code": 2, "folder": None, "files": [], "headline": None, "problems": [],
            "error": error_record(error),
        }  # fmt: skip


def error_message(file: Path, error: EvaluationError, console: Console) -> str:
    """Return the message of a failed design, with the design's name where the message does not name it."""
    from evaltoolkit.cli.console import error_text

    text = error_text(error, color=console.paints)
    return text if file.name in text else f"{file}\n{text}"


def evaluate_to_folder(file: Path, wanted: Wanted, read: Reading = Reading(), *, console: Console) -> dict[str, Any]:
    """Evaluate one design file into its report folder, and return what was done as data."""
    from evaltoolkit.pipeline import evaluate, with_seed

    study = study_to_read(file, read, allow_outside=wanted.allow_outside)
    study = study if wanted.seed is None else with_seed(study, wanted.seed)
    folder = report_folder(file, wanted.out)
    console.say(f"{file.name}: estimating")
    result = evaluate(study, source_to_read(study, read, lambda step: console.say(f"{file.name}: {step}"))).result
    console.say(f"{file.name}: writing the report")
    from evaltoolkit.report import write_report

    files = write_report(result, folder, wanted.formats or study.report.formats, on_warning=console.warn)
    problems = unusable(result)
    console.say(f"{file.name}: {result.statements.bottom_line}")
    for problem in problems:
        console.warn(f"{file.name}: problem: {problem}")
    return {
        "design": str(file),
        "exit_code": 1 if problems else 0,
        "folder": str(folder),
        "files": [str(written) for written in files],
        "headline": headline_record(result),
        "problems": problems,
        "error": None,
    }


def report_folder(file: Path, out: Path | None, *, suffix: str = "") -> Path:
    """Return the folder that the outputs of a design file are written to, and refuse one that a file stands for."""
    from evaltoolkit.cli.files import cannot_write
    from evaltoolkit.study import project_root

    folder = (out if out is not None else project_root(file) / "reports") / (file.stem + suffix)
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise cannot_write(place, NotADirectoryError(20, "it is a file, not a folder"))
    return folder


def unusable(result: Result) -> list[str]:
    """Return why the headline is not usable: it is missing, or a diagnostic failed."""
    problems = [] if result.headline.estimate is not None else ["the headline estimate is not available"]
    return problems + [f"{check.name}: {check.text}" for check in result.diagnostics if check.verdict == "fail"]


def headline_record(result: Result) -> dict[str, Any]:
    """Return the headline as data."""
    row = result.headline
    names = ("term", "estimand", "outcome", "estimate", "std_error", "conf_low", "conf_high", "p_value")
    return {name: getattr(row, name) for name in names} | {"words": result.statements.bottom_line}
