"""Where the inputs of a command come from: its arguments, or a list."""

from collections.abc import Sequence
from typing import Any

from mdn.cli.options import Files
from mdn.errors import UsageError
from mdn.jobs import shards
from mdn.jobs.inputs import read_list
from mdn.jobs.planning import BatchPlan, plan


class Plans:
    """Plans the jobs of a command when it is called.

    Attributes:
        inputs: files, folders and patterns of the command line.
        options: the other arguments of `jobs.planning.plan`, but for listed inputs.

    Raises:
        UsageError: see `inputs`; there is no such share of the batch.
    """

    def __init__(
        self,
        given: Sequence[str] | None,
        output: str | None,
        files: Files,
        *,
        resume: bool,
        **more: Any,
    ) -> None:
        self.inputs, self._listed = inputs(given, files.from_file)
        self._output = output
        self.options: dict[str, Any] = {
            "format": files.format,
            "recursive": files.recursive,
            "overwrite": files.overwrite,
            "skip_existing": files.skip_existing,
            "resume": resume,
            "shard": None if files.shard is None else shards.parse(files.shard),
            **more,
        }

    def __call__(self, **more: Any) -> BatchPlan:
        """What is read and what is written. more: options of `jobs.planning.plan` for this one."""
        return plan(self.inputs, self._output, listed=self._listed, **self.options | more)


def inputs(given: Sequence[str] | None, from_file: str | None) -> tuple[list[str], list[str]]:
    """The inputs named on the command line, and those that a list names.

    Args:
        given: the arguments.
        from_file: the list of --from-file, or None.

    Raises UsageError: there are none, or a list cannot be read.
    """
    listed = [] if from_file is None else read_list(from_file)
    if not given and not listed:
        raise UsageError("no input: name images, folders or patterns, or give --from-file LIST")
    if from_file == "-" and given and "-" in given:
        raise UsageError("standard input is the list of --from-file: it cannot be an image too")
    return list(given or ()), listed
