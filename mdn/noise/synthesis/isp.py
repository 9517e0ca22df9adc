"""Camera noise: from the finished picture back to the sensor, noise there, and forth again.

Written from Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, section 3.
Fields of `Camera` are drawn anew for every picture, with the distributions of that paper.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.noise.synthesis import development, random_fields
from mdn.noise.synthesis.random_fields import Level

# XYZ (D65) to camera RGB, as camera makers and Adobe publish them for DNG files: the four cameras
# of the Darmstadt benchmark, which the paper mixes (Nexus 6P, Sony A7R, Olympus E-M10, Sony RX100).
XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)
# Linear sRGB to XYZ (D65), IEC 61966-2-1.
RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, for pictures with one channel


@dataclass(frozen=True)
class Camera:
    """The camera that took each of B pictures.

    to_camera (B, 3, 3): linear sRGB to camera colours, rows that sum to 1, so that white stays
    white. gains (B, 3, 1, 1): white balance times digital gain. shot, read (B, 1, 1, 1): the noise
    variance of a raw value r is shot * r + read.
    """

    to_camera: Tensor
    gains: Tensor
    shot: Tensor
    read: Tensor


def draw_camera(count: int, generator: torch.Generator) -> Camera:
    """One random camera for each of `count` pictures (sections 3.1 to 3.4 of the paper)."""

    def between(low: float, high: float) -> Tensor:
        dice = torch.rand(count, generator=generator, device=generator.device)
        return low + (high - low) * dice

    def normal(mean: float, deviation: float) -> Tensor:
        dice = torch.randn(count, generator=generator, device=generator.device)
        return mean + deviation * dice

    device = generator.device
    weights = torch.rand(count, len(XYZ_TO_CAMERA), generator=generator, device=device)
    weights = weights / weights.sum(1, keepdim=True)
    published = torch.tensor(XYZ_TO_CAMERA, device=device)
    to_camera = torch.einsum("bk,kij->bij", weights, published)
    to_camera = to_camera @ torch.tensor(RGB_TO_XYZ, device=device)
    to_camera = to_camera / to_camera.sum(2, keepdim=True)
    # The inverse digital gain is N(0.8, 0.1); eight sigma below 0.8 it would turn the sign.
    digital = 1 / normal(0.8, 0.1).clamp(min=0.1)
    red, blue = between(1.9, 2.4), between(1.5, 1.9)
    gains = digital[:, None] * torch.stack([red, torch.ones_like(red), blue], dim=1)
    log_shot = between(math.log(0.0001), math.log(0.012))
    log_read = 2.18 * log_shot + 1.20 + normal(0.0, 0.26)
    shot, read = log_shot.exp().view(-1, 1, 1, 1), log_read.exp().view(-1, 1, 1, 1)
    return Camera(to_camera, gains[:, :, None, None], shot, read)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("bij,bjhw->bihw", matrix, x)


def _without_gains(x: Tensor, gains: Tensor) -> Tensor:
    """x / gains, but bright values slide back to x, so that white stays white (section 3.4)."""
    knee = 0.9
    bright = x.mean(1, keepdim=True)
    keep = (((bright - knee).clamp(min=0)) / (1 - knee)) ** 2
    divided = x / gains
    # Only gains above 1 darken; where a gain is below 1 the plain quotient is already brighter.
    return torch.maximum(divided, (1 - keep) * divided + keep * x)


def unprocess(x: Tensor, camera: Camera) -> Tensor:
    """Finished RGB (B, 3, H, W) in [0, 1] to camera RGB (B, 3, H, W) before the mosaic."""
    # Inverse of the tone curve 3 x^2 - 2 x^3, then of the gamma 1 / 2.2.
    linear = (0.5 - torch.sin(torch.asin(1 - 2 * x.clamp(0, 1)) / 3)).clamp(min=1e-8) ** 2.2
    return _without_gains(_mix(camera.to_camera, linear), camera.gains).clamp(0, 1)


def process(raw: Tensor, camera: Camera) -> Tensor:
    """Camera RGB (B, 3, H, W) to a finished picture in [0, 1]: gains, colours, gamma, tone."""
    balanced = (raw * camera.gains).clamp(0, 1)
    linear = _mix(torch.linalg.inv(camera.to_camera), balanced).clamp(0, 1)
    display = linear.clamp(min=1e-8) ** (1 / 2.2)
    return display * display * (3 - 2 * display)


def isp(x: Tensor, level: Level, generator: torch.Generator) -> Tensor:
    """x plus the noise that a camera would have left in it. Level multiplies the raw noise, 1 = as
    the paper draws it.

    The noise is drawn on the Bayer mosaic and demosaiced; the picture's own detail is not, so that
    level 0 returns x exactly and an error measured against x is noise alone. What the way there and
    back loses, and whatever of x lies outside [0, 1], is carried over unchanged.
    """
    height, width = x.shape[-2:]
    pictures = x.reshape(-1, x.shape[-3], height, width).to(generator.device)
    rgb = pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures
    camera = draw_camera(len(pictures), generator)
    clean = unprocess(rgb, camera)
    cells = development.bayer_masks(height, width).to(clean.device)
    strength = random_fields.on_device(level, clean)
    if strength.ndim > 4:  # levels of samples with more leading dimensions than a batch
        strength = strength.reshape(-1, *strength.shape[-3:])
    deviation = (camera.shot * clean + camera.read).sqrt() * strength
    field = random_fields.normal(clean, generator, (len(pictures), 1, height, width))
    noise = development.bilinear((field * deviation * cells).sum(1, keepdim=True))
    change = process(clean + noise, camera) - process(clean, camera)
    if pictures.shape[1] == 1:
        weights = torch.tensor(LUMA, device=change.device).view(1, 3, 1, 1)
        change = (change * weights).sum(1, keepdim=True)
    return x + change.reshape(x.shape).to(x.device)
