"""A preset of MPI is taken where held-out samples say so, and is mdn denoise elsewhere."""

import json
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from torch import Tensor

from mdn import nets
from mdn.zeroshot import command
from mdn.zeroshot.hidden_samples import HiddenSamples, generator_of
from mdn.zeroshot.request import Plan
from mdn.zeroshot.windows import Window
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run
from tests.zeroshot.test_zeroshot import folder_of
from tests.zeroshot.tools import pages, scene

FITTED = ("--preset", "mpi-fast", "--iters", "3", "--device", "cpu", "--precision", "fp32")


@pytest.fixture
def filler(tmp_path: Path) -> str:
    """A net that fills masks, and badly: its weights are random."""
    torch.manual_seed(0)
    net = nets.build("mpi-skip", {"mask_per_channel": True, "width": 8, "scales": 2})
    folder = tmp_path / "filler"
    folder.mkdir()
    return str(folder_of(folder, "mpi-skip", net))


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    iio.imwrite(tmp_path / "noisy.png", pages("gaussian", 25.0, 96)[1])
    return "noisy.png"


def test_where_it_is_worse_the_result_is_that_of_denoise(
    run: Run, filler: str, noisy: str, tmp_path: Path
) -> None:
    done = run("zeroshot", noisy, "-m", filler, "-o", "fitted.png", "--json", *FITTED)
    (facts,) = json.loads(done.stdout)["files"]
    assert facts["taken"] is False
    assert facts["error_of_denoise"] < facts["error_after"]
    assert "so its result is taken" in facts["summary"][-1]
    run("denoise", noisy, "-o", "plain.png", "--device", "cpu", "--precision", "fp32")
    assert (tmp_path / "fitted.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_where_it_is_better_it_is_taken(
    run: Run, filler: str, noisy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_denoised", lambda models, values: torch.zeros_like(values))
    done = run("zeroshot", noisy, "-m", filler, "-o", "fitted.png", "--json", *FITTED)
    (facts,) = json.loads(done.stdout)["files"]
    assert facts["taken"] is True
    assert facts["error_of_denoise"] > facts["error_after"]
    run("denoise", noisy, "-o", "plain.png", "--device", "cpu", "--precision", "fp32")
    assert (tmp_path / "fitted.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_another_denoiser_does_not_see_what_it_is_scored_on() -> None:
    """Who gives back what it is shown is as wrong as the noise, and who knows the truth right."""
    torch.manual_seed(0)
    clean = scene()
    shown = clean + 0.1 * torch.randn(clean.shape)
    net = nets.build("mpi-skip", {"mask_per_channel": True, "width": 4, "scales": 2})
    window = Window(shown, (0.01, 0.0, 0.0), 0.1)
    task = HiddenSamples(
        net, [window], 96, Plan(), generator_of(0), None, torch.device("cpu"), fills=True
    )
    seen: list[Tensor] = []

    def same(values: Tensor) -> Tensor:
        seen.append(values)
        return values

    given_back = float(task.errors_of(task.answers_of(same)).mean())
    knowing = float(task.errors_of(task.answers_of(lambda values: clean)).mean())
    hidden = task.learnt[0] == 0
    assert knowing == pytest.approx(float((shown - clean)[hidden].square().mean()), rel=1e-4)
    assert given_back > 1.05 * knowing  # of what was hidden it saw the mean of the neighbours
    assert not torch.isclose(seen[0], shown)[hidden].any()
    assert torch.equal(seen[0][~hidden], shown[~hidden])
