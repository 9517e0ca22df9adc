"""White noise goes to the net that knows it best."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mdn.errors import ModelError
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.reading import NoiseReading
from mdn.pipeline.specialist import reader, specialist, with_net_of
from mdn.registry import store
from mdn.registry.model import Model, load_model


@pytest.fixture(scope="module")
def model() -> Model:
    found = load_model(store.find("photo-fast"), torch.device("cpu"))
    return replace(found, card=replace(found.card, white="photo-fine", coarse=""))


WHITE, COARSE = (0.1, 0.3, 0.6), (0.1, 0.6, 0.3)  # how sure the gate is: leave, coarse, white


def noise(choice: tuple[float, ...], sigma: float = 0.1) -> NoiseConditioning:
    reading = NoiseReading(
        torch.zeros(1, 4), (sigma,) * 3, ((sigma,) * 3,) * 3, (0, 1), 0.5, 0.25, 0.0, choice
    )
    return NoiseConditioning(sigma, reading=reading)


@pytest.mark.parametrize(("choice", "other"), [(WHITE, True), (COARSE, False), ((), False)])
def test_the_gate_decides(model: Model, choice: tuple[float, ...], other: bool) -> None:
    assert (specialist(model, noise(choice)).net is not model.net) is other


def test_a_clean_picture_and_a_model_without_a_second_net_stay(model: Model) -> None:
    assert specialist(model, noise(WHITE, sigma=0.0005)).net is model.net
    assert specialist(model, NoiseConditioning(0.1)).net is model.net
    alone = replace(model, card=replace(model.card, white=""))
    assert specialist(alone, noise(WHITE)).net is model.net


def test_noise_that_neighbours_share_may_have_its_net(model: Model) -> None:
    turned = replace(model, card=replace(model.card, white="", coarse="photo-fine"))
    assert specialist(turned, noise(COARSE)).net is not model.net
    assert specialist(turned, noise(WHITE)).net is model.net


def test_noise_is_read_by_the_net_for_coarse_noise_which_has_the_gates(model: Model) -> None:
    turned = replace(model, card=replace(model.card, white="", coarse="photo-fine"))
    assert reader(turned) is with_net_of(turned, "photo-fine").net
    assert reader(model) is model.net


def test_a_second_net_that_is_missing_is_named(model: Model) -> None:
    broken = replace(model, card=replace(model.card, white="nobody"))
    with pytest.raises(ModelError, match="nobody"):
        specialist(broken, noise(WHITE))
