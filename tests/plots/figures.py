"""Figures of every kind, made by hand, for tests of the plots and the report."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from evaltoolkit.results import Column, FigureData


def made(kind: Any, keys: str, rows: list[tuple[Any, ...]], key: str | None = None, **marks: Any) -> FigureData:
    return FigureData(
        key=key or kind,
        kind=kind,
        headline="Trained counties pulled away only after training",
        subtitle="Minors recognized per 10,000 youth aged 10 to 17, by quarter",
        alt="The line of trained counties rises from 3 to 5 per 10,000; the comparison line rises from 3.5 to 4.",
        note="Source: statewide screening registry.",
        columns=tuple(
            Column(
                key=k,
                kind="text"
                if k in {"label", "group", "role", "phase", "covariate", "panel", "moment", "detail", "shape"}
                else "number",
            )
            for k in keys.split()
        ),
        rows=tuple(rows),
        marks=marks,
    )


def effect_path(before: int = 8, after: int = 11, *, scale: float = 1.0, hidden: tuple[int, ...] = ()) -> FigureData:
    rows: list[tuple[Any, ...]] = []
    for i in range(-before, after):
        if i == -1:
            rows.append((i, str(i).replace("-", "−"), 0.0, None, None, None, None, "reference"))
            continue
        e = scale * (0.35 + 0.1 * i if i >= 0 else 0.05 * math.sin(i))
        half = 0.2 * scale
        cells = (None,) * 5 if i in hidden else (e, e - half, e + half, e - 1.7 * half, e + 1.7 * half)
        rows.append((i, str(i).replace("-", "−"), *cells, "before" if i < 0 else "after"))
    return made(
        "effect_path",
        "x label estimate low high band_low band_high phase",
        rows,
        x_label="Quarters since staff were trained",
        y_label="Change per 10,000",
        before_text="Before training: no divergence",
        after_text="Training begins",
        boundary=-0.5,
        level=0.95,
    )


def quarters(n: int, start: int = 2016) -> list[str]:
    return [f"{start + i // 4} Q{i % 4 + 1}" for i in range(n)]


def residuals(n: int = 48, lags: int = 12, *, hidden: tuple[int, ...] = ()) -> FigureData:
    labels = quarters(n)
    rows: list[tuple[Any, ...]] = [
        ("Residuals by quarter", "points", i, labels[i], None if i in hidden else math.sin(2.4 * i)) for i in range(n)
    ]
    for title in ("Autocorrelation", "Partial autocorrelation"):
        rows += [(title, "bars", lag, str(lag), math.cos(2.4 * lag) / lag) for lag in range(1, lags + 1)]
    return made(
        "residuals", "panel shape x label value", rows, y_label="Residual", x_label="Quarters apart", bound=0.28,
        bound_text="Dashed: beyond it, fewer than one in twenty would lie by chance alone.",
    )  # fmt: skip


def trajectories(
    groups: int = 2, periods: int = 28, *, hidden: tuple[int, ...] = (), name: str = "Trained in"
) -> FigureData:
    labels = quarters(periods)
    rows: list[tuple[Any, ...]] = []
    for g in range(groups):
        for i in range(periods):
            value = None if i in hidden else 3 + 0.3 * g + 0.3 * math.sin(i) + (0.1 * (i - 10) if i > 10 + g else 0)
            rows.append((i, labels[i], f"{name} {labels[min(10 + g, periods - 1)]}", "program", value))
    rows += [
        (i, labels[i], "Comparison (never trained)", "comparison", 3.5 + 0.3 * math.sin(i + 1)) for i in range(periods)
    ]
    starts = [
        {"x": min(10 + g, periods - 1) - 0.5, "label": f"Training, {labels[min(10 + g, periods - 1)]}"}
        for g in range(groups)
    ]
    return made("trajectories", "x label group role value", rows, starts=starts, y_label="Minors per 10,000")


def months(n: int, start: int = 2014) -> list[str]:
    return [f"{start + i // 12}-{i % 12 + 1:02d}" for i in range(n)]


def series(n: int = 96, at: int = 54, *, hidden: tuple[int, ...] = (), scale: float = 1.0) -> FigureData:
    labels = months(n)
    rows: list[tuple[Any, ...]] = []
    for i in range(n):
        base = scale * (18 + 0.07 * i + 2 * math.sin(i / 12 * 2 * math.pi))
        fit = base - (scale * (3.5 + 0.1 * (i - at)) if i >= at else 0)
        seen = None if i in hidden else round(fit + scale * math.sin(i * 7), 2)
        after = (base, base - 2 * scale, base + 2 * scale) if i >= at else (None, None, None)
        rows.append((i, labels[i], seen, fit, *after))
    return made(
        "series",
        "x label observed fitted expected expected_low expected_high",
        rows,
        interruptions=[{"x": at - 0.5, "label": "Law in force, July 2018"}],
        y_label="Contacts per month",
        fitted_text="Model fit",
        expected_text="Expected without the law (95% CI)",
        observed_text="Observed contacts",
    )


NAMES = [
    "Trauma score",
    "Foster-care history",
    "Language other than English",
    "School enrolled",
    "Prior runaway episodes",
    "Age at referral",
    "Prior services",
    "Substance-use need",
    "Prior system contacts",
    "Female",
    "Rural county",
    "Household size",
]


def love(n: int = 12, *, name: str = "") -> FigureData:
    rows = [
        (name or (NAMES[i % 12] + (f" {i // 12}" if i >= 12 else "")), 0.6 * math.cos(i * 0.7), 0.08 * math.sin(i))
        for i in range(n)
    ]
    return made(
        "love",
        "covariate before after",
        rows,
        threshold=0.1,
        limit=0.25,
        x_label="Standardized mean difference",
        before_text="before matching",
        after_text="after matching",
    )


def contour(n: int = 3, *, scale: float = 1.0, name: str = "") -> FigureData:
    rows = [(name or NAMES[i], 0.02 + 0.03 * i, 0.09 - 0.02 * i, scale * (1.2 - 0.2 * i)) for i in range(n)]
    return made(
        "contour",
        "label with_treatment with_outcome left",
        rows,
        x_label="Partial R² of the hidden covariate with being served",
        y_label="Partial R² with the outcome",
        estimate=1.5 * scale,
        scale=8.0 * scale,
        levels=[{"x": scale * v, "label": f"{scale * v:g}" if v else "no difference"} for v in (1.0, 0.5, 0.0)],
        x_high=0.3,
        y_high=0.25,
    )


def overlap(n: int = 20, *, panels: int = 0, hidden: tuple[int, ...] = ()) -> FigureData:
    rows: list[tuple[Any, ...]] = []
    for k in range(max(panels, 1)):
        for i in range(n):
            program = None if i in hidden else math.exp(-((i / n - 0.5) ** 2) / 0.08) / 8
            comparison = None if i in hidden else math.exp(-((i / n - 0.15) ** 2) / 0.03) / 5
            rows.append((i / n, (i + 1) / n, program, comparison) + ((f"Panel {k}",) if panels else ()))
    keys = "low high program comparison" + (" panel" if panels else "")
    return made(
        "overlap",
        keys,
        rows,
        x_label="Propensity score (estimated probability of receiving services)",
        program_text="Served (n = 168)",
        comparison_text="Comparison (n = 474)",
    )


def density(rows: int = 3, *, points: int = 60, scale: float = 1.0, hidden: str = "", name: str = "") -> FigureData:
    return _curves("density", rows, points, scale, hidden, name)


def ecdf(rows: int = 3, *, points: int = 14, scale: float = 1.0, hidden: str = "", name: str = "") -> FigureData:
    return _curves("ecdf", rows, points, scale, hidden, name)


def _curves(kind: str, rows: int, points: int, scale: float, hidden: str, name: str) -> FigureData:
    made_rows: list[tuple[Any, ...]] = []
    for k in range(rows):
        for moment, shift in (("Before matching", 0.25), ("After matching", 0.03)):
            for i in range(points):
                at = i / max(points - 1, 1)
                program, comparison = (0.5 * (1 + math.erf((at - m) / 0.2)) for m in (0.5, 0.5 - shift))
                if kind == "density":
                    program, comparison = (math.exp(-((at - m) ** 2) / 0.04) for m in (0.5, 0.5 - shift))
                shown = (None, None) if moment == hidden else (program, comparison)
                made_rows.append((name or NAMES[k % 12] + " " * k, moment, scale * (10 * k + at), *shown))
    marks = {"program_text": "treated", "comparison_text": name or "comparison"}
    return made(kind, "panel moment x program comparison", made_rows, **marks)


def forest(n: int = 4, *, zero: int = 0, scale: float = 1.0) -> FigureData:
    rows = [
        (
            f"Analysis {i}",
            "another estimator",
            *(scale * (v + (1.2 if zero else 0)) for v in (0.9 - 0.3 * i, 0.5 - 0.3 * i, 1.3 - 0.3 * i)),
            i == 0,
        )
        for i in range(n)
    ]
    return made(
        "forest",
        "label detail estimate low high main",
        rows,
        x_label="Change per 10,000",
        zero=zero,
        zero_text="no change",
    )


def flow(n: int = 4) -> FigureData:
    rows: list[tuple[Any, ...]] = [("Rows in the data", 731, None, "referrals", "", None, None)]
    rows += [
        (f"Step {i}", 731 - 60 * i, 60, "referrals", "missing outcome, or outside of the study period", None, None)
        for i in range(1, n)
    ]
    rows[-1] = (*rows[-1][:5], 200, 731 - 60 * (n - 1) - 200 if n > 1 else 531)
    return made("flow", "label n excluded unit reason treated comparison", rows)


def decomposition(n: int = 9) -> FigureData:
    kinds = ("Treated against never treated", "Earlier against later starters", "Later against earlier starters")
    rows = [
        (f"20{10 + i} against never treated", kinds[i % 3], 0.02 + 0.05 * (i % 4), 0.8 - 0.15 * i) for i in range(n)
    ]
    return made(
        "decomposition",
        "label group weight estimate",
        rows,
        x_label="Weight in the estimate",
        y_label="Change per 10,000",
        average=0.31,
        average_text="two-way fixed effects: +0.31",
    )


def specification_curve(n: int = 24, *, scale: float = 1.0, hidden: tuple[int, ...] = (), name: str = "") -> FigureData:
    estimators = (
        "Callaway-Sant'Anna", "Two-way", "Sun-Abraham", "Imputation", "Two-stage", "Extended two-way, Poisson",
        "Stacked",
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for i in range(n):
        e = scale * (0.6 + 0.35 * math.sin(2.4 * i))
        half = scale * (0.3 + 0.2 * math.cos(i))
        cells = (None, None, None) if i in hidden else (e, e - half, e + half)
        estimator = f"{name} {i}" if name else estimators[i % 7]
        compared = ("never treated", "not yet treated", None)[i % 3]
        rows.append((f"Analysis {i}", *cells, i == 0, estimator, compared, ("none", "regression")[i // 2 % 2]))
    keys = "label estimate low high main"
    figure = made(
        "specification_curve", keys, rows, y_label="Change per 10,000", zero=0, main_text="this study",
    )  # fmt: skip
    choices = ("Estimator", "Comparison", "Covariates")
    added = tuple(Column(key=f"choice_{i}", label=label, kind="text") for i, label in enumerate(choices))
    return dataclasses.replace(figure, columns=(*figure.columns, *added))
