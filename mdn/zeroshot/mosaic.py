"""Noise in some places of 2 x 2 pixels only: that of a raw mosaic, whose red cells are noisier than
its green ones. Their samples are better interpolated from the others.

A picture's own detail is the same in all four places on average, so that what one of them has more
than the quietest is noise.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mdn.noise.analysis.phases import SOME, fillable, filled, sides, spread
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.registry.model import Model
from mdn.zeroshot.windows import Trial

LEAST_EXCESS = 2.0  # variance of a place over that of the quietest, for it to be clear..
LEAST_PART = 0.2  # ..and its share of the largest excess: a neighbour's noise shows as a sixteenth
FAINTEST_VARIANCE = (2.0 / 255) ** 2  # white is 1: fainter noise is not worth an interpolation
QUANTILE = 0.7  # of the deviations: more than half of all samples may be cut off at black or white
NORMAL_QUANTILE = 1.0364  # that quantile of the size of a normal number
# Squared difference of the two guesses over that of the samples from them: of 330 mosaics on
# training pictures all but eight lie below .25, of 171 pictures from cameras none below .3.
MOST_DISAGREEMENT = 0.25
DISAGREEMENT_OF_ERROR = 3.0  # squared difference of the two guesses over the error of both together
# Sigma, white being 1, below which what is read beside interpolated samples is the picture's own
# texture, and theirs, which are smooth.
FAINTEST_BESIDE = 4.0 / 255
# The four orders of a Bayer mosaic, (3, 2, 2): red in a corner, blue opposite, green in the others.
_RED = torch.eye(4).bool().unflatten(1, (2, 2))
BAYER = [torch.stack([r, ~(r | r.flip(0, 1)), r.flip(0, 1)]) for r in _RED]


def find_places(trial: Trial, x: Tensor, noise: NoiseConditioning) -> Tensor | None:
    """The places in 2 x 2 pixels that are better interpolated from the others, (C, 2, 2) bool.

    The others are nearly free of noise, and show the error of denoising. None for no such places.
    """
    if len(x) != 3 or (noise.reading is not None and noise.reading.clean):
        return None  # a raw file's one plane, or a halftone
    places = excess(x) > 0
    if not places.any() or not fillable(places):
        return None
    error, noisy = fill_error(x, places), trial.of(x)
    if error is None:
        return None
    good = ~spread(places, [(0, 0)], noisy.shape[1:])[0]
    denoised = (trial.denoised(x, noise) - noisy).square()[good]
    return places if error < float(denoised.mean()) else None


def read_again(x: Tensor, noise: NoiseConditioning, model: Model) -> NoiseConditioning:
    """The noise of a picture (C, H, W) whose marked places are interpolated."""
    if noise.places is None:
        return judge_sample(x, model)
    reading = judge_sample(filled(x[None], noise.places, [(0, 0)])[0], model)
    weight = 0.0 if reading.sigma < FAINTEST_BESIDE else reading.blend_weight
    return replace(reading, places=noise.places, blend_weight=weight)


def excess(sample: Tensor) -> Tensor:
    """Variance of the noise in each place above the quietest: (C, 2, 2); 0 where it is not clear.

    Where the places are those of one Bayer mosaic, its other places are noisy, too, at least
    FAINTEST_VARIANCE: in a bright sky, noise that is cut off at white hardly shows.

    sample: (C, H, W), nominal range 0..1, from an even row and column on.
    """
    if min(sample.shape[1:]) < 16:
        return torch.zeros(len(sample), 2, 2)
    height, width = (side // 2 * 2 for side in sample.shape[1:])
    x = sample[:, :height, :width]
    beside = x[:, 1:-1, :-2] + x[:, 1:-1, 2:] + x[:, :-2, 1:-1] + x[:, 2:, 1:-1]
    rest = x[:, 1:-1, 1:-1] - beside / 4  # its first is in place (1, 1)
    parts = torch.stack(
        [rest[:, (i + 1) % 2 :: 2, (j + 1) % 2 :: 2].flatten(1) for i in (0, 1) for j in (0, 1)], 1
    )
    # Noise that is cut off at white or black has a mean, too.
    apart = (parts - parts.median(2, keepdim=True)[0]).abs()
    shown = (apart.kthvalue(round(QUANTILE * apart.shape[2]), 2)[0] / NORMAL_QUANTILE).square()
    # Each place shows its own noise, and a sixteenth of each of its four neighbours'.
    mixing = torch.tensor([[8, 1, 1, 0], [1, 8, 0, 1], [1, 0, 8, 1], [0, 1, 1, 8]]) / 8
    own = torch.linalg.solve(mixing, shown.T).T
    more = own - own.min(1, keepdim=True)[0]
    least = (LEAST_EXCESS * shown.min(1, keepdim=True)[0]).clamp(min=FAINTEST_VARIANCE)
    least = least.clamp(min=LEAST_PART * float(more.max()))
    clear = torch.where(more > least, more, 0.0).unflatten(1, (2, 2))
    if len(clear) == 3 and (clear[::2] > 0).any():  # green alone is that of two mosaics
        for mosaic in BAYER:
            if not (clear[~mosaic] > 0).any():
                clear[mosaic] = clear[mosaic].clamp(min=FAINTEST_VARIANCE)
    return clear


def fill_error(x: Tensor, places: Tensor) -> float | None:
    """Mean square error of `filled` over all samples, about; None where these are no noisy places.

    The guess from beside and that from above do not see the sample's own noise, so that it
    differs more from them than they do from one another. A camera's interpolation has put some of
    that noise into the samples around.

    Args:
        x: (C, H, W), from an even row and column on.
        places: as `filled`.
    """
    marked, ((beside, one), (above, two)) = sides(x[None], places, [(0, 0)])
    both = marked & (one > SOME) & (two > SOME)
    if not both.any():
        return None
    guesses, middle = (beside - above).square(), (one * beside + two * above) / (one + two)
    if guesses[both].median() > MOST_DISAGREEMENT * (x - middle).square()[both].median():
        return None
    return float(guesses[both].mean() * marked.float().mean()) / DISAGREEMENT_OF_ERROR
