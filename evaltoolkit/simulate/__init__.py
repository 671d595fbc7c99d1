"""Worlds with known truth: made-up data in the field's own terms, for sample data, tests and planning.

>>> sorted(WORLDS)
['hotline-campaign', 'outreach-centers', 'safe-harbor-states', 'specialized-services', 'training-counties']
>>> draw = WORLDS["hotline-campaign"].draw(7, 0.0)    # 0: the same world without an effect
>>> draw.truth["rate_ratio"]
1.0
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evaltoolkit.simulate.hotline_campaign import HOTLINE_CAMPAIGN
from evaltoolkit.simulate.outreach_centers import OUTREACH_CENTERS
from evaltoolkit.simulate.safe_harbor_states import SAFE_HARBOR_STATES
from evaltoolkit.simulate.specialized_services import SPECIALIZED_SERVICES
from evaltoolkit.simulate.training_counties import TRAINING_COUNTIES
from evaltoolkit.simulate.world import Draw, Variable, World
from evaltoolkit.simulate.writing import codebook_text, frame_text, texts, write

WORLDS: Mapping[str, World] = MappingProxyType(
    {
        world.name: world
        for world in (
            TRAINING_COUNTIES, SAFE_HARBOR_STATES, SPECIALIZED_SERVICES, HOTLINE_CAMPAIGN, OUTREACH_CENTERS,
        )
    }
)  # fmt: skip

__all__ = ["WORLDS", "Draw", "Variable", "World", "codebook_text", "frame_text", "texts", "write"]
