"""``evaltoolkit report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of


def report(
    ctx: typer.Context,
    result: Annotated[Path, typer.Argument(help="A result.json.", metavar="RESULT.json")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; else the folder of the result.")] = None,
    formats: Annotated[str, typer.Option("--format", help="pdf,json")] = "pdf,json",
) -> None:
    """Write the report again from a result.json, without any data."""
    from evaltoolkit.cli.run import chosen_formats, unusable
    from evaltoolkit.results import load_result

    wanted = chosen_formats(formats)
    loaded = load_result(result)
    from evaltoolkit.report import write_report

    console = console_of(ctx)
    written = write_report(loaded, out or result.parent, wanted or ("pdf", "json"), on_warning=console.warn)
    files = [str(file) for file in written]
    problems = unusable(loaded)
    for problem in problems:
        console.warn(f"problem: {problem}")
    code = 1 if problems else 0
    console.answer("report", "\n".join(files), {"files": files, "problems": problems}, exit_code=code)
    raise typer.Exit(code)
