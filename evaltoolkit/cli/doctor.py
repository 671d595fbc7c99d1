"""``evaltoolkit doctor``."""

from __future__ import annotations

import importlib.metadata
import locale
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer

from evaltoolkit.cli.console import console_of, table_text
from evaltoolkit.errors import EvaluationError

_OLDEST = (3, 11)
_NEEDED = (
    "linearmodels",
    "matplotlib",
    "narwhals",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "statsmodels",
    "typer",
    "typst",
)
_OPTIONAL = {
    "pyarrow": "files", "pyreadstat": "files", "python-calamine": "files", "duckdb": "engines",
    "ibis-framework": "engines", "psycopg": "postgres", "pyspark": "spark",
}  # fmt: skip


def doctor(ctx: typer.Context) -> None:
    """Check the environment: Python, packages, fonts, the PDF compiler, a writable folder, the locale."""
    checks = [
        _python(),
        *(_package(name) for name in _NEEDED),
        *(_package(name, extra) for name, extra in _OPTIONAL.items()),
    ]
    checks += [_tried("fonts", _fonts), _tried("pdf", _compile), _tried("folder", _writable), _locale(), _java()]
    code = 2 if any(status == "problem" for _, status, _ in checks) else 0
    console_of(ctx).answer(
        "doctor",
        table_text(("check", "status", "found"), checks),
        {"checks": [{"check": name, "status": status, "found": found} for name, status, found in checks]},
        exit_code=code,
    )
    raise typer.Exit(code)


def _python() -> tuple[str, str, str]:
    return "python", "ok" if sys.version_info >= _OLDEST else "problem", platform.python_version()


def _package(name: str, extra: str | None = None) -> tuple[str, str, str]:
    try:
        return name, "ok", importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        lacking = "not installed" if extra is None else f"not installed; pip install 'evaltoolkit[{extra}]'"
        return name, "problem" if extra is None else "optional", lacking


def _java() -> tuple[str, str, str]:
    from evaltoolkit.data import spark

    try:
        spark.require_java("")
    except EvaluationError as error:
        return "java", "optional", f"{error.found}; only Spark needs it"
    return "java", "ok", "for Spark"


def _tried(name: str, check: Callable[[], str]) -> tuple[str, str, str]:
    try:
        return name, "ok", check()
    except Exception as error:  # noqa: BLE001  (doctor reports what fails, whatever it is)
        return name, "problem", " ".join(str(error).split())[:120] or type(error).__name__


def _fonts() -> str:
    folder = Path(__file__).parents[1] / "report" / "fonts"
    fonts = sorted(file.name for file in folder.glob("*.[ot]tf"))
    if not fonts:
        msg = "no font files in the package; install evaltoolkit again"
        raise FileNotFoundError(msg)
    return f"{len(fonts)} font files"


def _compile() -> str:
    typst = importlib.import_module("typst")
    with tempfile.TemporaryDirectory(prefix="evaltoolkit-") as folder:
        page = Path(folder) / "page.typ"
        page.write_text("= Test\nA page.\n", encoding="utf-8")
        pdf = typst.compile(str(page))
    if not pdf.startswith(b"%PDF"):
        msg = "typst wrote no PDF"
        raise ValueError(msg)
    return f"typst wrote a page of {len(pdf)} bytes"


def _writable() -> str:
    with tempfile.TemporaryFile(prefix=".evaltoolkit-", dir="."):
        return "this folder can be written"


def _locale() -> tuple[str, str, str]:
    encoding = locale.getpreferredencoding(False)
    plain = encoding.lower().replace("-", "") in {"utf8", "cp65001"}
    return "locale", "ok" if plain else "caution", f"{encoding}; {sys.stdout.encoding or 'unknown'} on stdout"
