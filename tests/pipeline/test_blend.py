"""What is taken of a denoised picture: luma, chroma, strength, and none where it is protected."""

import pytest
import torch

from mdn.pipeline.blend import LUMA, blend
from mdn.pipeline.options import Options

NOISY, CLEAN = torch.rand(2, 2, 3, 8, 9, generator=torch.Generator().manual_seed(0))


def luma(x: torch.Tensor) -> torch.Tensor:
    return (x * torch.tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "removed"),
        (Options(strength=0.5), "50 % of it removed"),
        (Options(strength=0.5, luma=0.5, chroma=0.5), "25 % of it removed"),
        (Options(luma=0.5), "50 % of it removed in brightness, 100 % in colour"),
    ],
)
def test_what_is_taken_is_said(options: Options, words: str) -> None:
    assert options.removed == words


def test_luma_and_chroma_go_apart() -> None:
    colour_only = blend(NOISY, CLEAN, Options(luma=0))
    torch.testing.assert_close(luma(colour_only), luma(NOISY))
    torch.testing.assert_close(colour_only - luma(colour_only), CLEAN - luma(CLEAN))
    luma_only = blend(NOISY, CLEAN, Options(chroma=0))
    torch.testing.assert_close(luma(luma_only), luma(CLEAN))
    torch.testing.assert_close(luma_only - luma(luma_only), NOISY - luma(NOISY))


def test_the_deviation_shrinks_with_what_is_taken() -> None:
    both = torch.cat([CLEAN, torch.ones_like(CLEAN)], 1)
    assert float(blend(NOISY, both, Options(strength=0.5))[:, 3:].max()) == 0.5
