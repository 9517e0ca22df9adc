"""Where --dask leads: workers of this machine, a scheduler, or a cluster that a file describes."""

from __future__ import annotations

import importlib
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdn.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

WAIT = 30  # seconds for a scheduler to answer
ALONE = "10 minutes"  # without any worker here, after which a batch is given up


@contextmanager
def connect(where: str) -> Iterator[Client]:
    """A client, and the cluster that was started for it, until the context ends.

    Args:
        where: "local" or "local:4", workers of one thread here; "tcp://scheduler:8786" or the
            scheduler's JSON file; or a YAML file with `module`, `class` and `kwargs` of a Dask
            cluster, as dask-ctl has it, and perhaps `adapt`, the arguments of its adapt().

    Raises:
        UsageError: Dask is missing, or there is no such cluster.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--dask needs Dask: pip install mdn[dask]") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # one line of ours says it
    with ExitStack() as stack:
        try:
            client = stack.enter_context(Client(**_target(where, stack), timeout=WAIT))
        except (OSError, TimeoutError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"--dask {where}: no scheduler answers ({reason})") from error
        yield client


def _target(where: str, stack: ExitStack) -> dict[str, Any]:
    """Arguments of a client that say where its scheduler is."""
    if "://" in where:
        return {"address": where}
    if where.endswith(".json"):
        return {"scheduler_file": where}
    if where.endswith((".yaml", ".yml")):
        return {"address": stack.enter_context(_described(Path(where)))}
    name, _, count = where.partition(":")
    if name != "local" or (count and not count.isdecimal()) or count == "0":
        raise UsageError(
            f"--dask {where}: write local, local:4, tcp://HOST:8786, or name a .yaml or .json file"
        )
    from dask import config
    from distributed import LocalCluster

    # A worker that dies is replaced at once, so no queue is the reason where none comes.
    stack.enter_context(config.set({"distributed.scheduler.no-workers-timeout": ALONE}))
    usual = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it: Ctrl-C is for the client
    try:
        cluster = LocalCluster(
            n_workers=int(count) if count else len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            memory_limit=0,  # --max-memory minds it: Dask cannot move to the disk what a net holds
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.signal(signal.SIGINT, usual)
    return {"address": stack.enter_context(cluster)}


def _described(path: Path) -> Any:
    """The cluster of a YAML file, started."""
    import yaml

    try:
        asked = yaml.safe_load(path.read_text())
        kind = getattr(importlib.import_module(asked["module"]), asked["class"])
        cluster = kind(*asked.get("args", ()), **asked.get("kwargs", {}))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"--dask {path}: cannot be read ({error})") from None
    except (KeyError, TypeError, AttributeError, ImportError, ValueError) as error:
        raise UsageError(f"--dask {path}: describes no cluster ({error!r})") from None
    if "adapt" in asked:
        cluster.adapt(**asked["adapt"])
    return cluster
