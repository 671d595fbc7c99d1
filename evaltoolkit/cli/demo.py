"""``evaltoolkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of
from evaltoolkit.errors import SetupError

EXAMPLE = "training_counties.toml"


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("evaltoolkit-demo"),
) -> None:
    """Run the bundled example on bundled data and print the path of its PDF report."""
    from evaltoolkit.cli.run import Wanted, evaluate_to_folder

    console = console_of(ctx)
    example = Path(__file__).parents[1] / "bundled" / "designs" / EXAMPLE
    if not example.is_file():
        raise SetupError(
            "the bundled example is missing", expected=f"{EXAMPLE} inside the package", todo="install evaltoolkit again"
        )
    record = evaluate_to_folder(example, Wanted(out, ("pdf", "json")), console=console)
    pdf = next(str(Path(file).absolute()) for file in record["files"] if file.endswith(".pdf"))
    code = record["exit_code"]
    values = {"pdf": pdf, "headline": record["headline"], "problems": record["problems"]}
    console.answer("demo", pdf, values, exit_code=code)
    raise typer.Exit(code)
