"""``evaltoolkit new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaltoolkit.cli.console import console_of


def new(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the new study.", metavar="DIR")],
    data: Annotated[Path, typer.Option("--data", help="Data file; it is copied into the study.")],
    design: Annotated[str | None, typer.Option("--design", help="Design; else guessed from the columns.")] = None,
) -> None:
    """Start a study from a data file: a design file to fill in, a codebook and a README."""
    from evaltoolkit.cli.files import new_folder, write_folder
    from evaltoolkit.cli.scaffold import scaffold
    from evaltoolkit.data import read_file

    new_folder(folder)
    frame = read_file(data, where="--data")
    kind, texts = scaffold(frame, data.name, design)
    files: dict[str, bytes] = {name: text.encode() for name, text in texts.items()}
    files[f"data/{data.name}"] = data.read_bytes()
    written = [str(file) for file in write_folder(folder, files)]
    console = console_of(ctx)
    design_file = next(name for name in written if name.endswith(".toml"))
    console.say(f"next: fill in {design_file}, then run: evaltoolkit check {design_file}")
    console.answer("new", "\n".join(written), {"design": kind, "folder": str(folder), "files": written})
