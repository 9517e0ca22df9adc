"""The log of a run: a kill at any moment leaves a whole one."""

import csv
from pathlib import Path
from typing import Any

import pytest

from mdn.training import log
from mdn.training.log import Log


def logged(folder: Path, steps: int) -> Log:
    made = Log(folder / "training.csv", ["gaussian-25"])
    for step in range(1, steps + 1):
        made.write({"step": step, "seconds": 1.0, "loss": 0.5, "lr_scale": 1})
    return made


def test_a_rewind_that_is_killed_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = logged(tmp_path, 6)
    before = made.path.read_bytes()

    class Killed(csv.DictWriter):
        rows = 0

        def writerow(self, row: Any) -> Any:
            Killed.rows += 1
            if Killed.rows > 2:
                raise KeyboardInterrupt
            return super().writerow(row)

        def writerows(self, rows: Any) -> None:
            for row in rows:
                self.writerow(row)

    monkeypatch.setattr(log.csv, "DictWriter", Killed)
    with pytest.raises(KeyboardInterrupt):
        made.rewind(4)
    assert (made.path.read_bytes(), list(tmp_path.iterdir())) == (before, [made.path])
