"""Training of the net for drifting lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mdn.errors import UsageError
from mdn.nets.drift import DriftNet
from mdn.training import drift, drift_lessons
from mdn.training.data import Crops
from mdn.training.patterns import draw_pattern
from tests.training.test_judged import recipe


def lessons() -> drift_lessons.Lessons:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(4, 3, 5, 5, generator=generator), (96, 96), mode="bicubic"
    )
    return drift_lessons.Lessons((0.3 + 0.4 * smooth).half(), torch.full((4,), 0.02))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STEPS": 30, "EVERY": 15, "WARMUP": 3}.items():
        monkeypatch.setattr(drift, name, value)
    for name, value in {"BATCH": 4, "FEWEST": 64}.items():
        monkeypatch.setattr(drift_lessons, name, value)


def test_half_of_a_batch_drifts_and_is_stored_as_files_are() -> None:
    x, added, sigma = drift_lessons.draw_batch(lessons(), torch.Generator().manual_seed(3))
    assert added.any(1).tolist() == [False, True] * 2
    assert x.shape[2] == added.shape[1]
    assert torch.allclose(255 * x, (255 * x).round(), atol=1e-3)
    assert (sigma == torch.tensor(0.02)).all()


def test_drift_is_of_many_kinds_and_strengths_about_nought() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([drift_lessons.draw_drift(128, generator) for _ in range(200)])
    assert drawn.isfinite().all()
    assert drawn.mean(1).abs().max() < 1e-6
    low, high = drawn.std(1).quantile(torch.tensor([0.05, 0.95])).tolist()
    assert low < 3 * drift_lessons.SIZE[0]
    assert high > drift_lessons.SIZE[1] / 3
    memory = [float(torch.corrcoef(torch.stack([row[1:], row[:-1]]))[0, 1]) for row in drawn]
    assert min(memory) < 0.5
    assert max(memory) > 0.95


def test_a_net_learns_and_a_run_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    torch.manual_seed(7)
    before = drift.report(DriftNet(), lessons())
    net = drift.train(lessons(), lessons(), 7, whole)
    after = drift.report(net, lessons())
    assert float(str(after["unlikely"])) < float(str(before["unlikely"]))
    assert len((whole / "training.csv").read_text().splitlines()) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "draw_batch", breaking(drift.draw_batch, 20 + 12))
        with pytest.raises(InterruptedError):
            drift.train(lessons(), lessons(), 7, parts)
    again = drift.train(lessons(), lessons(), 7, parts)
    for one, two in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert (parts / "training.csv").read_bytes() == (whole / "training.csv").read_bytes()


def test_a_damaged_checkpoint_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match=r"checkpoint\.pt: not a readable checkpoint"):
        drift.train(lessons(), lessons(), 7, tmp_path)


def test_slats_repeat_and_are_of_all_sizes() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([drift_lessons.draw_slats(128, generator) for _ in range(100)])
    assert drawn.isfinite().all()
    assert drawn.std(1).min() < 0.02
    assert drawn.std(1).max() > 0.15


def breaking(function, after: int):
    calls = iter(range(after))

    def wrapped(*args):
        if next(calls, None) is None:
            raise InterruptedError
        return function(*args)

    return wrapped


def test_lessons_are_not_cut_off_and_some_crops_are_stretched() -> None:
    generator = torch.Generator().manual_seed(1)
    pictures = [(255 * draw_pattern(96, generator)).byte() for _ in range(3)]
    crops = drift_lessons.StretchedCrops(pictures, 64, torch.device("cpu"))
    noisy = recipe(("gaussian", 40, 50), clip_share=0.0)
    drawn = drift_lessons.draw_lessons(noisy, crops, range(2))
    assert float(drawn.noisy.min()) < 0
    assert drawn.sigma.gt(0.1).all()
    plain = Crops(pictures, 64, torch.device("cpu")).draw(60, torch.Generator().manual_seed(2))
    shown = crops.draw(60, torch.Generator().manual_seed(2))
    changed = (shown != plain).flatten(1).any(1).float().mean()
    assert 0.02 < float(changed) < 0.35
