"""Make every file of this folder again, byte for byte, and the copies that ``evaltoolkit demo`` carries.

    python sample_data/make.py [FOLDER]

Five data sets are made up, with known truth, by ``evaltoolkit simulate``. Three are real and shipped with packages that
evaltoolkit depends on. With FOLDER, only the data are written, and there.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.datasets.nile
from linearmodels.datasets import birthweight, jobtraining

from evaltoolkit.simulate import WORLDS, Variable, codebook_text, frame_text, texts

HERE = Path(__file__).parent
BUNDLED = HERE.parent / "evaltoolkit" / "bundled"
SEED = 20  # an ordinary draw: in each world a simple estimator comes within one standard error of the truth

_WOOLDRIDGE = "teaching data of J. Wooldridge's textbooks, shipped in the Python package linearmodels (NCSA licence)"
_JOBS = f"Holzer, Block, Cheatham and Knott (1993), Industrial and Labor Relations Review 46, 625-636; {_WOOLDRIDGE}"
_BIRTHS = f"Mullahy (1997), Review of Economics and Statistics 79, 586-593; {_WOOLDRIDGE}"
_NILE = "Cobb (1978), Biometrika 65, 243-251; public domain, shipped in the Python package statsmodels (BSD licence)"


def job_training() -> tuple[pd.DataFrame, tuple[Variable, ...]]:
    """Return Michigan manufacturers, 1987 to 1989, some with a training grant in 1988 or 1989."""
    data = jobtraining.load().sort_values(["fcode", "year"], ignore_index=True)
    # grant is 1 in the year of the grant and 0 again after it; the year of the first grant is what a design needs.
    first = data.loc[data["grant"] == 1].groupby("fcode")["year"].min()
    frame = pd.DataFrame(
        {
            "firm": data["fcode"].astype(int),
            "year": data["year"].astype(int),
            "first_grant": data["fcode"].map(first).astype("Int64"),
            "hours_per_employee": data["hrsemp"].round(4),
            "scrap_rate": data["scrap"].round(4),
            "employees": data["employ"].astype("Int64"),
            "union": data["union"].astype(int),
        }
    )
    codebook = (
        Variable("firm", "whole number", "code of the firm", "unit", _JOBS),
        Variable("year", "year", "1987 to 1989", "time", _JOBS),
        Variable("first_grant", "year", "year of the first grant; empty = none by 1989", "first treated period",
                 f"derived from the yearly indicator grant, which is 0 again after the grant; {_JOBS}"),
        Variable("hours_per_employee", "number", "hours of training per employee in the year; empty = not reported",
                 "outcome (process)", _JOBS),
        Variable("scrap_rate", "number", "items scrapped per 100 made; empty = not reported", "outcome (process)",
                 _JOBS),
        Variable("employees", "whole number", "employees at the plant; empty = not reported", "covariate", _JOBS),
        Variable("union", "0 or 1", "1 = a union represents the employees", "covariate", _JOBS),
    )  # fmt: skip
    return frame, codebook


def smoking_birth_weight() -> tuple[pd.DataFrame, tuple[Variable, ...]]:
    """Return births in the United States, 1988, with the mother's smoking during pregnancy."""
    data = birthweight.load()
    data.columns = [str(c).strip() for c in data.columns]
    frame = pd.DataFrame(
        {
            "smoked": (data["cigs"] > 0).astype(int),
            "birth_weight_oz": data["bwght"].astype(int),
            "family_income": data["faminc"],
            "mother_schooling": pd.to_numeric(data["motheduc"].str.strip(), errors="coerce").astype("Int64"),
            "birth_order": data["parity"].astype(int),
            "male": data["male"].astype(int),
            "white": data["white"].astype(int),
            "cigarette_tax": data["cigtax"],
        }
    )
    codebook = (
        Variable("smoked", "0 or 1", "1 = the mother smoked during pregnancy", "treated",
                 f"derived: more than 0 cigarettes a day; {_BIRTHS}"),
        Variable("birth_weight_oz", "whole number", "ounces", "outcome (wellbeing)", _BIRTHS),
        Variable("family_income", "number", "thousand dollars a year, 1988", "covariate", _BIRTHS),
        Variable("mother_schooling", "whole number", "years; empty = not reported", "covariate", _BIRTHS),
        Variable("birth_order", "whole number", "1 = the first child", "covariate", _BIRTHS),
        Variable("male", "0 or 1", "1 = a boy", "covariate", _BIRTHS),
        Variable("white", "0 or 1", "1 = white", "covariate", _BIRTHS),
        Variable("cigarette_tax", "number", "cents a pack in the home state, 1988", "covariate", _BIRTHS),
    )  # fmt: skip
    return frame, codebook


def nile() -> tuple[pd.DataFrame, tuple[Variable, ...]]:
    """Return the yearly flow of the Nile at Aswan, 1871 to 1970."""
    data = statsmodels.datasets.nile.load_pandas().data
    frame = pd.DataFrame({"year": data["year"].astype(np.int64), "volume": data["volume"].astype(np.int64)})
    codebook = (
        Variable("year", "year", "1871 to 1970", "time", _NILE),
        Variable("volume", "whole number", "100 million cubic metres in the year, at Aswan", "outcome", _NILE),
    )
    return frame, codebook


REAL = {"job_training_grants": job_training, "smoking_birth_weight": smoking_birth_weight, "nile": nile}


def made() -> dict[str, str]:
    """Return every file: name and text."""
    files: dict[str, str] = {}
    for world in WORLDS.values():
        files |= texts(world.draw(SEED, 1.0), world.name.replace("-", "_"))
    for stem, make in REAL.items():
        frame, codebook = make()
        files |= {f"{stem}.csv": frame_text(frame), f"{stem}_codebook.csv": codebook_text(codebook)}
    return files


def bundle() -> None:
    """Copy the example of ``evaltoolkit demo`` into the package."""
    for name in ("designs/training_counties.toml", *(f"sample_data/{f}" for f in made() if f.startswith("training_c"))):
        target = BUNDLED / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE.parent / name, target)


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made().items():
        (folder / name).write_bytes(text.encode())
    if folder == HERE:
        bundle()


if __name__ == "__main__":
    main()
