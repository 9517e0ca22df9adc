"""Where --dask leads: workers of this machine, a scheduler, or a cluster that a file describes."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdn.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

WAIT = 30  # seconds for a scheduler to answer
# Of --dask local:
LOST = "1 minute"  # for a worker that died to be there again, after which another takes its place
CHECK = 5.0  # seconds between two looks whether all workers are there
ALONE = "10 minutes"  # without any worker, after which a batch is given up
CLOSE = 60.0  # seconds for workers to leave


@contextmanager
def connect(where: str) -> Iterator[Client]:
    """A client, and the cluster that was started for it, until the context ends.

    where: "local" or "local:4", workers of one thread here; "tcp://scheduler:8786" or the
    scheduler's JSON file; or a YAML file with `module`, `class` and `kwargs` of a Dask cluster, as
    dask-ctl has it, and perhaps `adapt`, the arguments of its adapt().
    Raises UsageError: Dask is missing, or there is no such cluster.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--dask needs Dask: pip install 'mdn[dask]'") from None
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
    workers = int(count) if count else len(os.sched_getaffinity(0))
    return {"address": stack.enter_context(_local(workers))}


@contextmanager
def _local(count: int) -> Iterator[Any]:
    """So many workers of one thread here, each replaced where it dies."""
    from dask import config
    from distributed import LocalCluster

    settings = {
        "deploy.lost-worker-timeout": LOST,
        "scheduler.no-workers-timeout": ALONE,
        # Dask has workers give memory back at once: nets would spend a third of their time on that
        "nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with config.set({f"distributed.{key}": value for key, value in settings.items()}):
        usual = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it: Ctrl-C is for the client
        try:
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                memory_limit=0,  # --max-memory minds it: what a net holds cannot go to the disk
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:  # a worker that died, or took too long
            why = " ".join(str(error).split()).rstrip(".")
            raise UsageError(f"--dask local:{count}: its workers do not start ({why})") from error
        finally:
            signal.signal(signal.SIGINT, usual)
        ended = threading.Event()
        watch = threading.Thread(target=_keep_up, args=(cluster, count, ended), daemon=True)
        watch.start()
        try:
            yield cluster
        finally:
            ended.set()
            watch.join()
            with suppress(TimeoutError):
                cluster.close(CLOSE)


def _keep_up(cluster: Any, count: int, ended: threading.Event) -> None:
    """Has workers replaced that Dask has given up, until the end.

    Dask starts a worker that dies again. Where that fails, or takes longer than LOST on a machine
    that is very busy, it drops the worker for good, and the batch would wait for nobody.
    """
    while not ended.wait(CHECK):
        cluster.loop.add_callback(_replace, cluster, count)


def _replace(cluster: Any, count: int) -> None:
    """In the cluster's own thread: starts workers in the place of those that are no more.

    One that failed while it started, as when the one before it was still leaving under the same
    name, stays in Dask's books, and Dask would not start it again.
    """
    from distributed.core import Status

    for name, worker in list(cluster.workers.items()):
        if worker.status in (Status.closed, Status.failed):
            del cluster.workers[name]
    cluster.scale(count)


def _described(path: Path) -> Any:
    """The cluster of a YAML file, started."""
    import yaml

    try:
        description = yaml.safe_load(path.read_text())
        kind = getattr(importlib.import_module(description["module"]), description["class"])
        cluster = kind(*description.get("args", ()), **description.get("kwargs", {}))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"--dask {path}: cannot be read ({error})") from None
    except (KeyError, TypeError, AttributeError, ImportError, ValueError) as error:
        raise UsageError(f"--dask {path}: describes no cluster ({error!r})") from None
    if "adapt" in description:
        cluster.adapt(**description["adapt"])
    return cluster
