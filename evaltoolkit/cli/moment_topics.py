"""What ``evaltoolkit explain`` says about sums in place of rows."""

from __future__ import annotations

from typing import Final

SUMS: Final = {
    "moments": (
        "Sums over people or places that started together and are alike in the covariates: how many, the sum of the "
        "outcome in each period, and of its products in each pair of periods. Estimates and intervals of "
        "difference-in-differences follow from them exactly, so that rows can stay where they are. 'evaltoolkit run "
        "--explain' lists every number that would leave."
    ),
    "federated": (
        "Agencies that may not share rows agree on one design file. Each runs 'evaltoolkit run DESIGN --source ROWS "
        "--export-moments FILE.json'; anyone adds the files up with 'evaltoolkit run DESIGN --from-moments a.json "
        "b.json'. The result is that of the pooled rows. Files of other plans, and places that are in two files, are "
        "refused; people in two files are found where the agencies share a key (EVALTOOLKIT_OVERLAP_KEY)."
    ),
    "release check": (
        "No number from 1 to 10 people may be in a file of sums, nor follow from it: the size of a group, those with "
        "and without an outcome in a period, with both, one or neither of two periods, the single values of two "
        "places. Where one would be, nothing is written, and the message names the covariate to make coarser."
    ),
}

DIAGNOSTICS: Final = {
    "sums-only": (
        "Whether rows were there, or sums only. The estimates are the same; some checks need rows, and the report "
        "names those that were not made."
    ),
    "units-in-two-files": (
        "Whether a person or place is in the sums of two agencies, and so counted twice. Places are compared by hashes "
        "of their names. People are compared only where the agencies share a key, because names can be guessed."
    ),
}
