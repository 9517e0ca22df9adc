"""Centred kernel alignment: how alike two layers see the same pictures, whatever their width.

Linear CKA (Kornblith, Norouzi, Lee & Hinton, "Similarity of neural network representations
revisited", ICML 2019) by averages over minibatches of the unbiased estimator of HSIC (Song et al.
2012, eq. 5), as Nguyen, Raghu & Kornblith have it (ICLR 2021, eq. 2-4): only Gram matrices of one
minibatch are ever held, and the mean does not depend on the size of the minibatches.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

FEWEST = 4  # pictures in a minibatch, for the unbiased estimator


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
