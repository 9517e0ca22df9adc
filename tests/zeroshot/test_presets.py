"""A preset of MPI is taken where held-out samples say so, and is mdn denoise elsewhere."""

import json
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch

from mdn import nets
from mdn.zeroshot import command
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run
from tests.zeroshot.test_zeroshot import folder_of
from tests.zeroshot.tools import pages

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
