"""CKA, SRGA and the features under them, against closed forms and cases whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.analysis import __main__ as analysis
from benchmarks.analysis.similarity import Alignment, fit, gram, srga
from mdn.errors import UsageError
from tests.cli.test_survey import picture


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cka_ignores_rotation_scale_and_shift() -> None:
    x = random(40, 10)
    turn = torch.linalg.qr(random(10, 10, seed=1)).Q
    aligned = Alignment()
    for rows in (slice(0, 20), slice(20, 40)):
        aligned.add({"x": gram(x[rows]), "turned": gram(3 * (x @ turn)[rows] + 5)})
    assert aligned.between("x", "turned") == pytest.approx(1, abs=1e-5)
    assert aligned.between("turned", "x") == aligned.between("x", "turned")
    assert aligned.between("x", "x") == pytest.approx(1)


@pytest.mark.parametrize(("shape", "scale"), [(1, 2.0), (2, 0.5), (4, 3.0)])
def test_the_fit_finds_scale_and_shape(shape: float, scale: float) -> None:
    generator = np.random.default_rng(0)
    # |x / scale|^shape is gamma distributed.
    size = scale * generator.gamma(1 / shape, 1, 200_000) ** (1 / shape)
    estimate = fit(size * generator.choice([-1, 1], size.shape))
    assert estimate == pytest.approx((scale, shape), rel=0.04)


def test_srga_grows_with_the_difference() -> None:
    generator = np.random.default_rng(0)
    reference = generator.standard_normal((5000, 12))
    same, wide, moved = (
        generator.standard_normal((5000, 12)) * spread + shift
        for spread, shift in ((1, 0), (1.5, 0), (1, 2))
    )
    assert srga(reference, same) < 0.01
    # KL of N(0, 1) from N(0, 1.5^2): ln 1.5 + 1 / (2 * 2.25) - 1/2
    assert srga(reference, wide) == pytest.approx(np.log(1.5) + 1 / 4.5 - 0.5, rel=0.15)
    assert srga(reference, moved) > srga(reference, wide)
    assert srga(np.zeros((10, 3)), np.zeros((10, 3))) == 0


def settings(folder: Path, **changes: object) -> analysis.AnalysisRequest:
    facts = {
        "models": ("unittest",),
        "data": str(folder / "clean"),
        "noise": "gaussian:10,gaussian:50",
        "out": folder / "out",
        "patches": 5,
        "side": 32,
        "device": "cpu",
    }
    return analysis.AnalysisRequest(**(facts | changes))


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    (tmp_path / "clean").mkdir()
    picture(tmp_path / "clean" / "a.png", 3)
    picture(tmp_path / "clean" / "b.png", 3, gain=0.01)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise": "gaussian:10"}, "at least two"),
        ({"patches": 3}, "at least 4"),
        ({"side": 30}, "multiples of 4"),
        ({"side": 256}, "too few"),
    ],
)
def test_requests_that_cannot_be_met(clean: Path, changes: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        analysis.run(settings(clean, **changes))
    assert not (clean / "out").exists()
