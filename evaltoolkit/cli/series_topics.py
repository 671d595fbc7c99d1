"""What ``evaltoolkit explain`` says about the checks of an interrupted time series and about power."""

from __future__ import annotations

from typing import Final

DIAGNOSTICS: Final = {
    "placebo-rank": (
        "Whether the change at the start stands out among changes sought in the same way at every earlier date. It is "
        "a rank: neighbouring dates share most of their data. Abadie, Diamond and Hainmueller (2015), "
        "doi:10.1111/ajps.12116."
    ),
    "break-date": (
        "Where the data, not told the start, would put a single break, and which dates hold 90 percent of the support. "
        "Errors may be autocorrelated. If the start is not among the likely dates, something else may have happened."
    ),
    "unknown-break": (
        "Tests of a break at a date that is not known: the largest F statistic over all dates (sup F), their average "
        "and their exponential average, with p-values that allow for the search (Andrews 1993, doi:10.2307/2951764), "
        "and the breaks that Schwarz's criterion keeps (Bai and Perron 2003, doi:10.1002/jae.659). They take "
        "neighbouring "
        "periods as unrelated."
    ),
    "history": (
        "Whether other events that the study names (events) fall near the start. They are drawn on the series; one "
        "that is not part of the model cannot be told apart from the program."
    ),
    "control-rank": (
        "Where the change of the treated series ranks among those of the controls, each taken for the treated series "
        "in turn, as Stata's itsaperm. A chance, and not a proof: controls must be alike in how much they vary."
    ),
    "leave-one-period-out": "How far the headline moves when one period at a time is left out.",
    "durbin-watson": (
        "Whether neighbouring residuals resemble one another: near 2 where they do not, below where they do. The "
        "p-value is exact for fewer than 100 periods. Durbin and Watson (1971), doi:10.1093/biomet/58.1.1."
    ),
    "breusch-godfrey": (
        "Whether residuals follow from those of earlier periods, several at once. Breusch (1978), "
        "doi:10.1111/j.1467-8454.1978.tb00635.x."
    ),
    "ljung-box": (
        "Whether the first autocorrelations of the residuals together are larger than chance would make them; "
        "Box-Pierce is its older form. Ljung and Box (1978), doi:10.1093/biomet/65.2.297."
    ),
    "cumby-huizinga": (
        "As Breusch-Godfrey, and right where the spread changes or nearer periods may be related. Its plain form is "
        "equal to Breusch-Godfrey. Cumby and Huizinga (1992), doi:10.2307/2951684."
    ),
    "interval of the outcomes": (
        "Two intervals stand beside an effect over time. That of the expected difference holds what is uncertain about "
        "the model. That of the outcomes adds the scatter of the periods themselves, related from one to the next, and "
        "is wider."
    ),
    "power": (
        "The chance that a study finds an effect of a given size. 'evaltoolkit power DESIGN' gives the smallest effect "
        "that is found with a chance of 80 percent and the curve around it, from what was recorded before the start: "
        "by a formula checked with simulated series, or from starts that never took place."
    ),
}
