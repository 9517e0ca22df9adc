"""Shards: each file in one of them, the same one for ever."""

from pathlib import Path

import pytest

from mdn.errors import UsageError
from mdn.jobs.job import Job, Shard, parse_shard

JOBS = [Job(Path(f"{i}.png"), None, f"{i}.png", draw=draw) for i in range(200) for draw in (1, 2)]


def share_of(jobs: list[Job], shard: Shard) -> list[Job]:
    return [job for job in jobs if shard.holds(job.name)]


def test_the_shares_are_all_of_it_and_do_not_overlap() -> None:
    shares = [share_of(JOBS, Shard(index, 7)) for index in range(1, 8)]
    assert sorted(job.name for share in shares for job in share) == sorted(j.name for j in JOBS)
    assert min(map(len, shares)) > 20


def test_more_files_move_none_and_draws_stay_together() -> None:
    few, many = (share_of(jobs, Shard(2, 3)) for jobs in (JOBS[:100], JOBS))
    assert few == [job for job in many if job in JOBS[:100]]
    assert [job.draw for job in many] == [1, 2] * (len(many) // 2)


def test_the_share_of_a_name_is_the_same_for_ever() -> None:
    held = [name for name in ("a.png", "b.png", "c/d.tif") if Shard(1, 4).holds(name)]
    assert held == ["a.png", "b.png"]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/4", "-1/4", "1/4/2", "Auto"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text, {})


ARRAYS = [
    ("SLURM_ARRAY_TASK_ID={} SLURM_ARRAY_TASK_COUNT=4", "auto", range(1, 5)),
    (
        "SLURM_ARRAY_TASK_ID={} SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=5"
        " SLURM_ARRAY_TASK_COUNT=4", "auto", range(10, 30, 5),
    ),
    ("PBS_ARRAY_INDEX={}", "auto/4", range(4)),
    ("PBS_ARRAYID={}", "auto/4", range(1, 5)),
    ("SGE_TASK_ID={} SGE_TASK_LAST=4", "auto", range(1, 5)),
    (
        "SGE_TASK_ID={} SGE_TASK_FIRST=2 SGE_TASK_LAST=8 SGE_TASK_STEPSIZE=2", "auto",
        range(2, 9, 2),
    ),
    ("LSB_JOBINDEX={} LSB_JOBINDEX_END=4", "auto", range(1, 5)),
    ("AWS_BATCH_JOB_ARRAY_INDEX={} AWS_BATCH_JOB_ARRAY_SIZE=4", "auto", range(4)),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "text", "indices"), ARRAYS)
def test_the_tasks_of_an_array_get_one_share_each(
    variables: str, text: str, indices: range
) -> None:
    words = [dict(each.split("=") for each in variables.format(n).split()) for n in indices]
    assert sorted(str(parse_shard(text, each)) for each in words) == ["1/4", "2/4", "3/4", "4/4"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "in no job array"),
        ({"SGE_TASK_ID": "undefined"}, "in no job array"),
        ({"PBS_ARRAY_INDEX": "3"}, "auto/16"),
    ],
)
def test_auto_needs_an_array_that_tells_its_size(variables: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_shard("auto", variables)
