"""How alike the features of nets are: CKA and SRGA.

Centred kernel alignment says how alike two layers see the same pictures, whatever their width.
Linear CKA (Kornblith, Norouzi, Lee & Hinton, "Similarity of neural network representations
revisited", ICML 2019) by averages over minibatches of the unbiased estimator of HSIC (Song et al.
2012, eq. 5), as Nguyen, Raghu & Kornblith have it (ICLR 2021, eq. 2-4): only Gram matrices of one
minibatch are ever held, and the mean does not depend on the size of the minibatches.

SRGA says how differently a net treats two kinds of noise, from its deep features alone.

Liu, Zhao, Gu, Qiao & Dong, "Evaluating the generalization ability of super-resolution networks"
(TPAMI 2023): the deepest features under a reference noise and under another are projected by PCA,
each set of projections is modelled by a generalised Gaussian, and the index is the Kullback-Leibler
divergence of the two. Smaller: the net does the same to both. It says nothing of quality, and a
net whose deep features are the noise itself, as those of residual nets are, gets larger figures
than one that carries the picture: compare nets of one architecture.

Decided here, where the published text leaves room: a sample is the channel vector at one pixel;
the principal axes are those of both sets together; each axis has its own pair of distributions, and
the divergences are averaged with the axes' shares of the variance; deviations are measured from
the reference's mean, so that a shift counts as a difference.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

FEWEST = 4  # pictures in a minibatch, for the unbiased estimator
AXES = 8  # principal axes looked at
SHAPES = np.geomspace(0.1, 10, 2000)  # of generalised Gaussians: 1 Laplace, 2 Gauss
SMALLEST = 1e-9  # variance by which an axis counts as empty, as a share of the largest


def gram(features: Tensor) -> Tensor:
    """Inner products (n, n), float64, of the features (n, ...) of n pictures; its diagonal is 0."""
    # In float64 from the start: the estimator subtracts large sums of nearly equal entries.
    flat = features.flatten(1).double()
    return (flat @ flat.T).fill_diagonal_(0)


def hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741  # the field's names
    """The unbiased Hilbert-Schmidt independence criterion of two `gram` matrices (n, n), n >= 4."""
    n = len(k)
    down, across = k.sum(0), l.sum(0)
    total = (k * l).sum() + down.sum() * across.sum() / ((n - 1) * (n - 2))
    return float((total - 2 * (down @ across) / (n - 2)) / (n * (n - 3)))


@dataclass
class Alignment:
    """CKA between all views (model, noise, layer) that are added minibatch by minibatch."""

    _sums: dict[tuple[Hashable, Hashable], float] = field(default_factory=dict)

    def add(self, grams: Mapping[Hashable, Tensor]) -> None:
        """One minibatch: the Gram matrices of the same pictures in every view."""
        views = list(grams)
        for place, first in enumerate(views):
            for second in views[: place + 1]:
                value = hsic(grams[first], grams[second])
                self._sums[first, second] = self._sums.get((first, second), 0.0) + value

    def between(self, first: Hashable, second: Hashable) -> float:
        """CKA of two views: 1 alike up to rotation and scale, about 0 independent.

        Being unbiased, it may fall a little below 0. NaN where a view is the same for all pictures.
        """
        pair = (first, second) if (first, second) in self._sums else (second, first)
        power = self._sums[first, first] * self._sums[second, second]
        return self._sums[pair] / power**0.5 if power > 0 else float("nan")


def _gamma(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.lgamma)(x)


# (E|x|)^2 / E[x^2] of a generalised Gaussian, growing with its shape (Mallat 1989).
_RATIOS = np.exp(2 * _gamma(2 / SHAPES) - _gamma(1 / SHAPES) - _gamma(3 / SHAPES))


def fit(samples: np.ndarray) -> tuple[float, float]:
    """Scale and shape (alpha, beta) of the generalised Gaussian about 0, by its two moments.

    Its density is proportional to exp(-(|x| / alpha)^beta).
    """
    power = float((samples**2).mean())
    ratio = float(np.abs(samples).mean()) ** 2 / power
    beta = float(np.interp(ratio, _RATIOS, SHAPES))
    alpha = math.sqrt(power * math.exp(math.lgamma(1 / beta) - math.lgamma(3 / beta)))
    return alpha, beta


def divergence(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Kullback-Leibler divergence of two generalised Gaussians about 0, in nats.

    Closed form of Do & Vetterli, IEEE TIP 2002, eq. 23.
    """
    (a, b), (c, d) = first, second
    norms = math.log(b * c / (d * a)) + math.lgamma(1 / d) - math.lgamma(1 / b)
    crossed = d * math.log(a / c) + math.lgamma((d + 1) / b) - math.lgamma(1 / b)
    return norms + math.exp(crossed) - 1 / b


def srga(reference: np.ndarray, other: np.ndarray) -> float:
    """The index, at least 0, of features (n, C) under the reference and (m, C) under another noise.

    0 where the features do not vary at all.
    """
    middle = reference.mean(0)
    pooled = np.concatenate([reference, other]) - middle
    values, axes = np.linalg.eigh(pooled.T @ pooled / len(pooled))
    order = np.argsort(values)[::-1][:AXES]
    order = order[values[order] > SMALLEST * max(float(values.max()), 1e-300)]
    total, weight = 0.0, 0.0
    for axis in order:
        pair = [(rows - middle) @ axes[:, axis] for rows in (reference, other)]
        if min(float((side**2).mean()) for side in pair) <= 0:
            continue
        total += values[axis] * divergence(*(fit(side) for side in pair))
        weight += values[axis]
    return float(total / weight) if weight else 0.0
