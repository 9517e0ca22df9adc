"""Pictures that hold next to nothing come back sane: by the shipped model, judge and all."""

import numpy as np
import pytest
import torch

from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.model import Model, load_model

FAR = 24  # of 255: how far a sample of such a picture may move


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(store.find("photo-fast"), torch.device("cpu"))


def restored(page: np.ndarray, model: Model) -> np.ndarray:
    found = restore_page(page, model, Options(precision="fp32")).pixels
    assert (found.shape, found.dtype) == (page.shape, page.dtype)
    return found


@pytest.mark.parametrize("height", [1, 2, 5, 8])
@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_few_pixels(model: Model, height: int, width: int, channels: int) -> None:
    random = np.random.default_rng(height * width)
    page = random.integers(90, 120, (height, width, channels), np.uint8)
    found = restored(page, model)
    assert np.abs(found.astype(int) - page).max() <= FAR


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_one_colour_stays(model: Model, value: int) -> None:
    page = np.full((40, 50, 3), value, np.uint8)
    np.testing.assert_array_equal(restored(page, model), page)


def test_a_dead_channel_stays_nearly_dead(model: Model) -> None:
    random = np.random.default_rng(1)
    page = random.normal(128, 20, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    page[..., 2] = 0
    found = restored(page, model)
    assert found[..., 2].max() <= FAR
    assert found[..., 0].std() < page[..., 0].std()


def test_sixteen_bits_of_one_step(model: Model) -> None:
    page = np.full((48, 48, 3), 30000, np.uint16)
    page[::2] += 1
    found = restored(page, model)
    assert np.abs(found.astype(int) - page).max() <= 2
