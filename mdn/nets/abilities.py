"""What a net can do, as data: those who call it ask this, and never the net itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["denoise", "fill"]


@dataclass(frozen=True)
class Abilities:
    """What a net can do.

    Attributes:
        purpose: denoise; fill: it rebuilds masked samples, and says nothing of those it sees.
        takes_sigma: its forward needs `level`, the noise's standard deviation, a number or a map;
            unless it judges the noise.
        judges_noise: it has a judge, which reads the noise of a whole picture; its forward takes
            what that found as `noise`, and as `gain` a factor on the sigma.
        takes_masks: its forward takes `visible`, which marks the samples to rebuild.
        per_channel_mask: that mask may differ from channel to channel.
        takes_seed: it draws masks of its own while it is trained, from `seed`.
        stochastic: at test as well, from `seed`, `pass_index` and `origin`: its passes differ.
        guides: planes of `guide` (albedo, normals) that its forward takes; 0 for none.
    """

    purpose: Purpose = "denoise"
    takes_sigma: bool = False
    judges_noise: bool = False
    takes_masks: bool = False
    per_channel_mask: bool = False
    takes_seed: bool = False
    stochastic: bool = False
    guides: int = 0
