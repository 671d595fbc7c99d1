"""Write a draw: the data, the codebook and the truth."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from evaltoolkit.errors import OptionError, OutputError
from evaltoolkit.simulate.world import Draw, Variable, World


def frame_text(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, the same on every machine."""
    return frame.to_csv(index=False, lineterminator="\n")


def codebook_text(codebook: Sequence[Variable]) -> str:
    """Return a codebook as CSV.

    >>> print(codebook_text([Variable("age", "whole number", "years", "covariate", "intake form")]), end="")
    column,type,unit,role,source
    age,whole number,years,covariate,intake form
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(Variable)])
    writer.writerows(dataclasses.astuple(variable) for variable in codebook)
    return out.getvalue()


def texts(draw: Draw, stem: str) -> dict[str, str]:
    """Return the files of a draw: name and text."""
    truth = {key: round(value, 6) for key, value in draw.truth.items()}
    return {
        f"{stem}.csv": frame_text(draw.frame),
        f"{stem}_codebook.csv": codebook_text(draw.codebook),
        f"{stem}_truth.json": json.dumps(truth, indent=2) + "\n",
    }


def write(world: World, seed: int, folder: Path, *, effect: float = 1.0) -> list[Path]:
    """Draw from a world and write data, codebook and truth, each file whole or not at all.

    Parameters
    ----------
    world
        The world.
    seed
        Same seed, same bytes.
    folder
        Where to write; made where it is missing.
    effect
        Multiple of the world's own effect: 1 as it is, 0 none.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OptionError
        The effect is not between 0 and 1.
    OutputError
        The folder cannot be written.
    """
    if not (math.isfinite(effect) and 0 <= effect <= 1):
        raise OptionError(
            f"--effect is {effect:g}", expected="a number from 0 (no effect) to 1 (the world's own effect)",
            todo="choose a number from 0 to 1",
        )  # fmt: skip
    made = texts(world.draw(seed, effect), world.name.replace("-", "_"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            _write_whole(folder / name, text)
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be written ({error.strerror or type(error).__name__})",
            expected="a folder that can be written, on a disk with space",
            todo="choose another folder with --out, or free some space",
        ) from None
    return [folder / name for name in made]


def _write_whole(file: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
