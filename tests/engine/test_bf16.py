"""Whether bf16 is fast is measured once, whatever the processor is called."""

from pathlib import Path

import pytest
import torch

from mdn.engine import device


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "bf16.json"
    monkeypatch.setattr(device, "CACHE", path)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return path


def timing(monkeypatch: pytest.MonkeyPatch, seconds: dict[torch.dtype, list[float]]) -> list:
    """Stands in for the clock; the calls that were made."""
    calls: list[torch.dtype] = []

    def time_of(dtype: torch.dtype) -> float:
        calls.append(dtype)
        return seconds[dtype][(len(calls) - 1) // 2 % len(seconds[dtype])]

    monkeypatch.setattr(device, "_time_of", time_of)
    return calls


def test_it_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = timing(monkeypatch, {torch.float32: [1.0], torch.bfloat16: [0.2]})
    assert device.bf16_is_fast()
    count = len(calls)
    assert device.bf16_is_fast()
    assert len(calls) == count
    assert [path.name for path in cache.parent.iterdir()] == ["bf16.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_file_is_measured_over(
    cache: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    timing(monkeypatch, {torch.float32: [1.0], torch.bfloat16: [0.2]})
    assert device.bf16_is_fast()


def test_the_real_measurement_answers(cache: Path) -> None:
    assert device._measure() in (True, False)
    assert device._processor()
