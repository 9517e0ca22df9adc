"""A picture of counted light through the graph alone, beside what mdn makes of it."""

import functools

import numpy as np
import pytest
import torch
from scipy import ndimage

import mdn
from mdn.pipeline.counts_graph import CountsGraph
from mdn.registry import export, store
from mdn.registry.model import load
from tests.pipeline.test_counts_noise import counted, scene


@functools.cache
def graph() -> CountsGraph:
    return CountsGraph(export.any_size(load(store.find("cells"), torch.device("cpu")))).eval()


def clean(picture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return graph()(torch.from_numpy(picture.astype(np.float32))[None, None])[0, 0].numpy()


def deviation(difference: np.ndarray) -> float:
    return float(difference.astype(np.float64).std())


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_it_gives_nearly_what_mdn_gives(blur: float) -> None:
    """Also where neighbours share their noise, and on sides that are no multiples of anything."""
    light = 60 * scene(size=240)[:227, :]
    noisy = ndimage.gaussian_filter(counted(light), blur).astype(np.float32)
    result, expected = clean(noisy), mdn.denoise(noisy, encoding="counts")
    removed = deviation(expected - noisy)
    assert deviation(result - expected) < 0.15 * removed
    truth = ndimage.gaussian_filter(2 * light + 100, blur)
    assert deviation(result - truth) < 0.5 * deviation(noisy - truth)


def test_unit_and_pedestal_decide_nothing() -> None:
    noisy = counted(60 * scene(size=192)).astype(np.float32)
    other = clean(noisy / 64 - 7)
    np.testing.assert_allclose(64 * (other + 7), clean(noisy), atol=0.05)


@pytest.mark.parametrize("value", [0.0, 1000.0])
def test_where_nothing_differs_nothing_changes(value: float) -> None:
    plain = np.full((192, 200), value, np.float32)
    assert np.array_equal(clean(plain), plain)
