"""Models of others on the route of renders, the guides they clean, and mixtures with them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mdn.commands.denoise import run
from mdn.encoding import Hdr
from mdn.errors import ModelError
from mdn.io import exr
from mdn.jobs.job import BatchResult
from mdn.jobs.planning import plan
from mdn.nets.mixer import Mixer, MixerConfig
from mdn.pipeline import external
from mdn.registry import store
from mdn.registry.model import load_model
from mdn.renders import RenderOptions
from tests.commands.tools import request
from tests.jobs.test_running import Recorder
from tests.renders import scenes

INSTALLED = not store.missing(store.find("oidn"))
needs_oidn = pytest.mark.skipif(not INSTALLED, reason="needs pyoidn")


def denoised(
    source: Path, target: Path, model: str, **settings: object
) -> tuple[np.ndarray, BatchResult]:
    jobs = plan([str(source)], str(target), overwrite=True).jobs
    asked = RenderOptions(**settings)
    result = run(jobs, request(renders=asked, model=model), Recorder())
    part = exr.read(target).parts[0]
    return np.stack([part[key] for key in "RGB"], -1).astype(np.float64), result


def error(picture: np.ndarray) -> float:
    return float(np.sqrt(((picture - scenes.truth()) ** 2).mean()))


@needs_oidn
@pytest.mark.parametrize("model", ["oidn", "render+oidn"])
def test_the_noise_goes_and_what_is_beside_stays(model: str, tmp_path: Path) -> None:
    source = scenes.scene(tmp_path / "in.exr")
    before, after = exr.read(source).parts[0], tmp_path / "out.exr"
    picture, result = denoised(source, after, model)
    assert result.outcomes[0].details["model"] == model
    noisy = np.stack([before[key] for key in "RGB"], -1).astype(np.float64)
    assert error(picture) < 0.5 * error(noisy)
    assert picture.mean() == pytest.approx(noisy.mean(), rel=0.05)
    part = exr.read(after).parts[0]
    for name in ("A", "Z", "id", "crypto_object00.R", "albedo.R", "N.X"):
        np.testing.assert_array_equal(part[name], before[name])


@needs_oidn
def test_light_may_be_gray_negative_and_broken() -> None:
    model = load_model(store.find("oidn"), torch.device("cpu"))
    light = scenes.noisy(scenes.truth(), 1).astype(np.float32)
    for given in (light, -light, light[..., :1], 1e9 * light):
        answer = external.restore(given, model, None, clean=False)
        assert answer.shape == given.shape
        assert np.isfinite(answer).all()
    both = [external.restore(x, model, None, clean=False) for x in (light, -light)]
    np.testing.assert_allclose(both[0], -both[1], atol=1e-4)


@pytest.mark.parametrize("there", [pytest.param(True, marks=needs_oidn), False])
def test_noisy_guides_are_cleaned_and_clean_ones_stay(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not there:
        monkeypatch.setattr(store, "find_spec", lambda name: None)
    model = external.guide_model()
    assert (model is not None) == there
    clean = np.zeros((*scenes.SHAPE, 6), np.float32)
    clean[..., :3] = scenes.albedo()
    noisy = clean.copy()
    random = np.random.default_rng(0)
    struck = random.random(scenes.SHAPE) < 0.1  # as motion blur leaves them: another surface
    noisy[struck, :3] = 0.9 - noisy[struck, :3]
    results = [external.clean_guides(each, model) for each in (clean, noisy)]
    wrong = [float(np.sqrt(((each - clean) ** 2).mean())) for each in (*results, noisy)]
    assert wrong[1] < 0.75 * wrong[2]
    assert wrong[0] < 0.03
    assert not external.clean_guides(noisy, model)[..., 3:].any()  # there are no normals


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    for name in ("oidn", "render+oidn"):
        with pytest.raises(ModelError, match=r"pyoidn.*pip install .*mdn\[oidn\]"):
            load_model(store.find(name), torch.device("cpu"))


def test_a_mixture_lies_between_its_candidates_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    net = Mixer(MixerConfig()).eval()
    model = load_model(store.find("unittest"), torch.device("cpu"))
    model = type(model)(**{**vars(model), "net": net, "halo": net.receptive_field})
    light = [scenes.noisy(scenes.truth(), seed).astype(np.float32) for seed in range(3)]
    mixed = external.mixed(light, model, Hdr(), None)
    assert (mixed >= np.min(light, 0) - 1e-5).all()
    assert (mixed <= np.max(light, 0) + 1e-5).all()
    monkeypatch.setattr(external, "BLOCK", 16)
    np.testing.assert_allclose(external.mixed(light, model, Hdr(), None), mixed, atol=1e-5)
