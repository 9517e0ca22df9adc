"""`bench.thresholds`: conditions are read, and refused before anything is measured."""

from __future__ import annotations

import pytest

from mdn.bench import thresholds
from mdn.errors import UsageError

LABELS = {"cbsd68": ["gaussian25", "gaussian50", "gaussian-gray25"], "fmd": ["real"]}
KINDS = {"noisy": "input", "photo": "model", "peer:tv": "peer"}


def condition(text: str) -> thresholds.Condition:
    return thresholds.parse(text, LABELS, KINDS, ("psnr", "ssim"))


@pytest.mark.parametrize(
    ("text", "label", "who", "metric", "bound"),
    [
        ("cbsd68/gaussian25>=30.7", "cbsd68/gaussian25", "photo", "psnr", 30.7),
        ("cbsd68/gauss50 >= 27", "cbsd68/gaussian50", "photo", "psnr", 27),
        ("fmd:ssim>=.9", "fmd/real", "photo", "ssim", 0.9),
        ("peer:tv@fmd/real<=40", "fmd/real", "peer:tv", "psnr", 40),
    ],
)
def test_conditions_are_read(text: str, label: str, who: str, metric: str, bound: float) -> None:
    read = condition(text)
    assert (read.label, read.who, read.metric, read.bound) == (label, (who,), metric, bound)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cbsd68/gaussian25=30", "is no condition; write"),
        ("cbsd68/gaussian15>=30", "no row cbsd68/gaussian15 in this run"),
        ("cbsd68/gauss25>=30", "means several rows"),
        ("kodak/gaussian25>=30", "no row kodak/gaussian25"),
        ("cbsd68>=30", "no row cbsd68 in this run"),
        ("fmd:gmsd>=30", "gmsd is not measured"),
        ("best@fmd>=30", "no such model"),
    ],
)
def test_conditions_on_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        condition(text)
