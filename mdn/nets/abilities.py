"""What a net can do, as data: those who call it ask this, and never the net itself."""

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["denoise", "fill"]


@dataclass(frozen=True)
class Abilities:
    """What a net can do."""

    # denoise; fill: it rebuilds masked samples, and says nothing of those it sees
    purpose: Purpose = "denoise"
    # its forward needs `level`, the noise's standard deviation, a number or a map; unless it judges
    # the noise
    takes_sigma: bool = False
    # it has a judge, which reads the noise of a whole picture; its forward takes what that found as
    # `noise`, and as `gain` a factor on the sigma
    judges_noise: bool = False
    takes_masks: bool = False  # its forward takes `visible`, which marks the samples to rebuild
    per_channel_mask: bool = False  # that mask may differ from channel to channel
    takes_seed: bool = False  # it draws masks of its own while it is trained, from `seed`
    # at test as well, from `seed`, `pass_index` and `origin`: its passes differ
    stochastic: bool = False
    guides: int = 0  # planes of `guide` (albedo, normals) that its forward takes; 0 for none
