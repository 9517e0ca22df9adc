"""--dask: the same bytes as in one process, the manifest, and what cannot be shared out."""

import json
from pathlib import Path

import numpy as np
import pytest

from mdn.jobs import manifest
from tests.cli.cli_tools import MODEL, Make, Run

pytest.importorskip("distributed")


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize(
    "command",
    [["denoise", *MODEL], ["zeroshot", "--iters", "2", *MODEL], ["noise", "--type", "gaussian"]],
    ids=lambda words: words[0],
)
def test_the_same_bytes_as_in_one_process(
    run: Run, make: Make, tmp_path: Path, where: str, command: list[str]
) -> None:
    for name in "abcde":
        make(f"in/{name}.png", np.uint16)
    (tmp_path / "in/bad.png").write_bytes(b"no picture")
    name, *options = command
    here = run(name, "in", "-o", "here", "--json", *options)
    there = run(name, "in", "-o", "there", "--json", "--dask", where, *options)
    assert (here.exit_code, there.exit_code) == (3, 3), there.stderr
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert len(results(tmp_path / "there")) == 5
    said = [json.loads(each.stdout)["files"] for each in (here, there)]
    apart = ("output", "seconds", "fit_seconds", "summary")
    for mine, theirs in zip(*said, strict=True):
        for key in apart:
            mine.pop(key, None), theirs.pop(key, None)
        assert mine == theirs
    entries = manifest.read(tmp_path / "there").last.values()
    assert sorted(each.status for each in entries) == ["failed"] + ["ok"] * 5
    again = run(name, "in", "-o", "there", "--resume", "--dask", where, *options)
    assert "5 skipped, 1 failed" in again.stderr


def test_a_file_describes_the_cluster(run: Run, make: Make, tmp_path: Path) -> None:
    make("in/a.png")
    (tmp_path / "cluster.yaml").write_text(
        "module: distributed\nclass: LocalCluster\n"
        "kwargs: {n_workers: 0, threads_per_worker: 1, processes: false, dashboard_address: ':0'}\n"
        "adapt: {minimum: 1, maximum: 1}\n"
    )
    done = run("denoise", "in", "-o", "out", "--dask", "cluster.yaml", *MODEL)
    assert done.exit_code == 0, done.stderr
    assert list(results(tmp_path / "out")) == ["a.png"]


def test_what_cannot_be_shared_out(run: Run) -> None:
    refused = run("denoise", "-", "-o", "a.png", "--dask", "local", *MODEL, input=b"x")
    assert refused.exit_code == 2
    assert "standard input and output stay in this process" in refused.stderr
