"""The JSON document of a batch; docs/json.md holds its schema."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdn.batch.planning import Plan
    from mdn.batch.running import BatchResult


def document(
    command: str, plan: Plan, result: BatchResult, notes: dict[int, list[str]]
) -> dict[str, object]:
    """One entry a file, in the order of the batch, and totals.

    Args:
        command: the command's name.
        plan: the jobs.
        result: what became of them.
        notes: the warnings of each job, by its id().
    """
    files = [
        {
            "input": outcome.job.name,
            "output": None if outcome.job.target is None else str(outcome.job.target),
            "status": outcome.status,
            "seconds": round(outcome.seconds, 3),
            "error": outcome.error if outcome.status == "failed" else None,
            "warnings": notes.get(id(outcome.job), []),
            **outcome.details,
        }
        for outcome in result.outcomes
    ]
    totals = {name: result.count(name) for name in ("ok", "skipped", "failed", "planned")}
    seconds = round(sum(outcome.seconds for outcome in result.outcomes), 3)
    return {
        "command": command,
        "files": files,
        "notes": list(plan.notes),
        "left_out": [asdict(each) for each in plan.left_out],
        "totals": totals | {"untried": result.untried, "seconds": seconds},
        "exit_code": result.exit_code,
    }
