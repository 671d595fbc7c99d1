"""``evaltoolkit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaltoolkit.cli.console import console_of, table_text

if TYPE_CHECKING:
    from evaltoolkit.comparison import Comparison

_HEADERS = ("", "analysis", "effect", "interval", "p", "units", "inference, or why there is no estimate")


def compare(
    ctx: typer.Context,
    design: Annotated[Path, typer.Argument(help="A design file.", metavar="DESIGN")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write in; else the project's reports/.")] = None,
    allow_outside: Annotated[bool, typer.Option("--allow-outside", help="Paths may leave the project folder.")] = False,
) -> None:
    """Estimate the study in every reasonable way of its design, and show how far the answers agree."""
    from evaltoolkit.cli.run import report_folder, unusable
    from evaltoolkit.comparison import compare as compared
    from evaltoolkit.pipeline import evaluate, load_study

    console = console_of(ctx)
    study = load_study(design, allow_outside=allow_outside)
    folder = report_folder(design, out, suffix="-compare")
    console.say(f"{design.name}: estimating")
    evaluated = evaluate(study.model_copy(update={"secondary": ()}))
    found = compared(evaluated, lambda i, n, label: console.say(f"{design.name}: {i} of {n}: {label}"))
    files = [str(file) for file in found.write(folder)]
    problems = unusable(evaluated.result)
    for problem in problems:
        console.warn(f"{design.name}: problem: {problem}")
    code = 1 if problems else 0
    values = {"files": files, "problems": problems, "comparison": found.to_plain()}
    console.answer("compare", _text(found, files), values, exit_code=code)
    raise typer.Exit(code)


def _text(found: Comparison, files: list[str]) -> str:
    table = table_text(_HEADERS, found.rows())
    return "\n".join([table, "* the study's own", "", *found.words, "", *files])
