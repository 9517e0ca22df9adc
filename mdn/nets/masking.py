"""Random masks that are a function of the absolute pixel, not of a stream of random numbers.

A generator hands out numbers in the order they are asked for, so a mask drawn from one changes with
the tiling, the batch and the device. Here every draw is an integer hash of (seed, pass, stream,
row, column): the same picture comes out bit for bit whatever the tiles, a crop of the mask is the
mask of the crop, and nothing has to be stored or shared. A training run draws one seed a patch from
its own generator (`draw_seeds`) and so resumes exactly.

The mixing function is the two-round 32-bit finaliser found by C. Wellons' hash prospector
("lowbias32", public domain).
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Word = TypeVar("Word", int, Tensor)

_WORD = 0xFFFFFFFF
# Multipliers above 2^31 are written as their negative twin modulo 2^32, so that a product stays
# inside int64 on every device.
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - (1 << 32)
_RATIO_STREAM, _CHANCE_STREAM = 0x52A71000, 0x0C4A9CE0


@dataclass(frozen=True)
class MaskKey:
    """What a mask depends on, besides the layer and the pixel."""

    seed: int | Tensor = 0  # the user's seed, or one int64 seed per sample, shape (B,)
    pass_index: int | Tensor = 0  # which of several masked passes, or one per sample, shape (B,)
    # (row, column) in the whole picture of this input's first pixel, or one per sample, shape (B,
    # 2). May be negative where the input was padded.
    origin: tuple[int, int] | Tensor = (0, 0)


def draw_seeds(batch: int, generator: torch.Generator) -> Tensor:
    """One mask seed per patch, int64 (batch,), on the generator's device.

    It is the only random draw of a masked training step: ratios, masks and stochastic depth follow.
    """
    return torch.randint(2**62, (batch,), generator=generator, device=generator.device)


class MaskField:
    """All the random draws of one forward pass."""

    def __init__(
        self, key: MaskKey, batch: int, height: int, width: int, device: torch.device | str = "cpu"
    ) -> None:
        seed = _per_sample(key.seed, batch, device)
        self._key = _mix(
            _mix(_mix(seed & _WORD) ^ ((seed >> 32) & _WORD))
            ^ (_per_sample(key.pass_index, batch, device) & _WORD)
        )
        origin = torch.as_tensor(key.origin, dtype=torch.int64).to(device).expand(batch, 2)
        rows = origin[:, :1] + torch.arange(height, device=device)
        columns = origin[:, 1:] + torch.arange(width, device=device)
        row_key = _mix(self._key[:, None] ^ _mix(rows & _WORD))
        # Rows and columns are mixed apart before they meet: a plain sum would make one row a
        # shifted copy of another.
        self._pixels = _mix(row_key[:, :, None] ^ _mix((columns + 0x9E3779B9) & _WORD)[:, None, :])

    def keep(self, stream: int, ratio: tuple[float, float]) -> Tensor:
        """Bernoulli mask, bool (B, H, W), True where a pixel is kept.

        Args:
            stream: which independent mask, e.g. the layer's index.
            ratio: smallest and largest share of masked pixels; one value per sample is drawn
                between them, the same for every tile.
        """
        return self._draw(self._pixels, stream) >= self._threshold(stream, ratio)[:, None, None]

    def chance(self, stream: int, probability: float) -> Tensor:
        """Bool (B,), True with `probability`; one draw per sample, whatever its position."""
        return self._draw(self._key, _CHANCE_STREAM + stream) < round(probability * (_WORD + 1))

    def _threshold(self, stream: int, ratio: tuple[float, float]) -> Tensor:
        low, high = (round(bound * (_WORD + 1)) for bound in ratio)
        # 24 bits of the draw times a 33-bit span fit in int64: the ratio is the same integer on
        # every device.
        return low + (((self._draw(self._key, _RATIO_STREAM + stream) >> 8) * (high - low)) >> 24)

    @staticmethod
    def _draw(base: Tensor, stream: int) -> Tensor:
        return _mix(base ^ _mix(stream & _WORD))


def channel_keep(
    key: MaskKey,
    shape: tuple[int, int, int, int],
    ratio: tuple[float, float],
    per_channel: bool,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Keep mask of masked pre-training and iterative filling (MPI, section 3): 1 keeps, 0 hides.

    Args:
        shape: (B, C, H, W) of the picture.
        ratio: smallest and largest share of hidden pixels; one value per picture is drawn between
            them, shared by its channels.
        per_channel: an own mask for each channel, or one for all.

    Returns:
        float32, (B, C, H, W), or (B, 1, H, W) with one mask for all channels.
    """
    batch, channels, height, width = shape
    field = MaskField(key, batch, height, width, device)
    threshold = field._threshold(0, ratio)[:, None, None]
    planes = [
        field._draw(field._pixels, plane) >= threshold
        for plane in range(channels if per_channel else 1)
    ]
    return torch.stack(planes, 1).to(torch.float32)


def check_ratio(ratio: tuple[float, float], name: str) -> tuple[float, float]:
    """`ratio` as a pair of floats. Raises ValueError: not 0 <= low <= high <= 1."""
    low, high = (float(bound) for bound in ratio)
    if not 0.0 <= low <= high <= 1.0:
        raise ValueError(f"{name} must be two numbers with 0 <= low <= high <= 1, not {ratio!r}")
    return low, high


def _per_sample(value: int | Tensor, batch: int, device: torch.device | str) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device=device, dtype=torch.int64).expand(batch)
    # Any Python integer is welcome as a seed; int64 holds its lowest 64 bits.
    folded = ((value + 2**63) % 2**64) - 2**63
    return torch.full((batch,), folded, dtype=torch.int64, device=device)


def _mix(h: Word) -> Word:
    """Bijection of 32-bit words held in int64, each output bit depending on each input bit."""
    h = ((h ^ (h >> 16)) * _FIRST) & _WORD
    h = ((h ^ (h >> 15)) * _SECOND) & _WORD
    return h ^ (h >> 16)
