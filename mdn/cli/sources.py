"""Where the inputs of a command come from: its arguments, a list, or a folder to watch."""

from collections.abc import Sequence
from typing import Any

from mdn.batch import shards
from mdn.batch.inputs import is_folder, read_list
from mdn.batch.planning import Plan, plan
from mdn.cli.options import Files
from mdn.errors import UsageError


class Plans:
    """Plans the jobs of a command, anew each time it is called; --watch calls it often.

    Attributes:
        inputs: files, folders and patterns of the command line.
        options: the other arguments of `batch.planning.plan`, but for listed inputs.

    Raises:
        UsageError: see `inputs`; there is no such share of the batch; or --watch is to treat
            files that exist in another way than it does.
    """

    def __init__(
        self,
        given: Sequence[str] | None,
        output: str | None,
        files: Files,
        watch: str | None = None,
        *,
        resume: bool,
        **more: Any,
    ) -> None:
        if watch is not None and (files.overwrite or files.skip_existing):
            raise UsageError(
                "--watch does what is new or changed, as --resume: leave --overwrite and"
                " --skip-existing out"
            )
        self.inputs, self._listed = inputs(given, files.from_file, watch)
        self._output = output
        self.options: dict[str, Any] = {
            "format": files.format,
            "recursive": files.recursive,
            "overwrite": files.overwrite,
            "skip_existing": files.skip_existing,
            "resume": resume or watch is not None,
            "shard": None if files.shard is None else shards.parse(files.shard),
            **more,
        }

    def __call__(self, **more: Any) -> Plan:
        """What is read and what is written. more: options of `batch.planning.plan` for this one."""
        return plan(self.inputs, self._output, listed=self._listed, **self.options | more)


def inputs(
    given: Sequence[str] | None, from_file: str | None, watch: str | None
) -> tuple[list[str], list[str]]:
    """The inputs named on the command line, and those that a list names.

    Args:
        given: the arguments.
        from_file: the list of --from-file, or None.
        watch: the folder of --watch, or None: the one input then.

    Raises UsageError: there are none, a list cannot be read, or --watch has company or no folder.
    """
    if watch is not None:
        if given or from_file is not None:
            raise UsageError("--watch DIR names the input: leave the others out")
        if not is_folder(watch):
            raise UsageError(f"--watch {watch}: no such folder")
        return [watch], []
    listed = [] if from_file is None else read_list(from_file)
    if not given and not listed:
        raise UsageError("no input: name images, folders or patterns, or give --from-file LIST")
    if from_file == "-" and given and "-" in given:
        raise UsageError("standard input is the list of --from-file: it cannot be an image too")
    return list(given or ()), listed
