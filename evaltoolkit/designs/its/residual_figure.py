"""The figure of what the model leaves over."""

from __future__ import annotations

import numpy as np

from evaltoolkit.designs.its.display import factor
from evaltoolkit.designs.its.fitted import Fitted
from evaltoolkit.designs.its.residuals import Residuals
from evaltoolkit.results import Cell, Column, FigureData, number


def residuals(fitted: Fitted, looked: Residuals, counts: list[Cell]) -> FigureData:
    """Return residuals by period, their autocorrelations and their partial autocorrelations.

    ``counts`` are the numbers of people behind each period, where small ones hide it.
    """
    noun, n = fitted.series.calendar.noun, fitted.model.steps.size
    bound = 1.96 / float(np.sqrt(n))
    scale = 1.0 if fitted.ratio else factor(fitted)
    rows: list[tuple[Cell, ...]] = [
        (f"Residuals by {noun}", "points", int(step), fitted.series.label(i), scale * float(e), count)
        for i, (step, e, count) in enumerate(zip(fitted.model.steps, fitted.main.residuals, counts, strict=True))
    ]
    for title, values in (("Autocorrelation", looked.acf), ("Partial autocorrelation", looked.pacf)):
        rows += [(title, "bars", lag, str(lag), float(v), None) for lag, v in enumerate(values, start=1)]
    beyond = int((np.abs(looked.acf) > bound).sum())
    kind = "Pearson residuals" if fitted.ratio else "Residuals"
    return FigureData(
        key="residuals", kind="residuals", section="checks",
        headline=f"{beyond} of {looked.acf.size} autocorrelations of the residuals "
        f"{'is' if beyond == 1 else 'are'} larger than chance would make {'it' if beyond == 1 else 'them'}"
        if beyond else "No autocorrelation of the residuals is larger than chance would make it",
        subtitle=f"{kind} of the plain fit",
        alt=f"{kind} by {noun}, with autocorrelations and partial autocorrelations at distances of 1 to "
        f"{looked.acf.size} {noun}s. The first is {number(float(looked.acf[0]), 2, signed=True)}; {beyond} of "
        f"{looked.acf.size} lie beyond {number(bound, 2)}.",
        columns=(
            Column(key="panel", kind="text"), Column(key="shape", kind="text"), Column(key="x"),
            Column(key="label", kind="text"), Column(key="value", signed=True),
            Column(key="basis", kind="basis", governs=("value",)),
        ),
        rows=tuple(rows),
        marks={
            "y_label": "Pearson residual" if fitted.ratio else "Residual", "x_label": f"{noun.capitalize()}s apart",
            "bound": bound, "bound_text": "Dashed: beyond it, fewer than one in twenty would lie by chance alone.",
        },
    )  # fmt: skip
