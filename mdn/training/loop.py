"""The training loop: resumable to the bit, stoppable at any moment, on one process or many."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mdn import nets
from mdn.engine import memory
from mdn.errors import MdnError, OutOfMemoryError, UsageError
from mdn.nets.unet import UNet
from mdn.registry.cards import WEIGHTS
from mdn.registry.model import save_weights, write_card
from mdn.training import judged, log
from mdn.training.build import build, check_memory, join, too_large
from mdn.training.data import Crops, batches
from mdn.training.degrade import Sample, draw_group, join_groups
from mdn.training.distributed import Processes
from mdn.training.loss import batch_loss
from mdn.training.optim import Average, lr_scale, make_optimisers, restore
from mdn.training.recipe import Recipe
from mdn.training.renders import Scenes
from mdn.training.watch import Validation

LOG_EVERY = 50  # steps between rows of the log that carry the loss alone


class Trainer:
    """One run of a recipe in one folder.

    Args:
        recipe: what to train.
        folder: where checkpoint, log, recipe and weights go.
        crops, watch: the training crops and the validation.
        processes: this process among those of the run.
        precision: dtype of autocast, or None for float32 throughout.
        workers: processes that draw crops ahead; 0 for none.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        crops: Crops | Scenes,
        watch: Validation,
        processes: Processes,
        precision: torch.dtype | None,
        workers: int = 0,
    ) -> None:
        if recipe.optim.groups % processes.count:
            raise UsageError(
                f"{processes.count} processes cannot share {recipe.optim.groups} groups evenly;"
                " set [optim] groups to a multiple of them"
            )
        self.recipe, self.folder, self.crops, self.watch = recipe, folder, crops, watch
        self.processes, self.device, self.precision = processes, processes.device, precision
        self.workers = workers
        self.drawn: dict[int, Sample] = {}  # batches that are used again, by the step they are of
        net = build(recipe)
        self.takes = nets.abilities(net)
        check_memory(recipe, net, self.device, processes.count)
        self.net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Average(self.net, recipe.optim.ema)
        self.optimisers = make_optimisers(self.net, recipe.optim)
        self.peaks = [[g["lr"] for g in o.param_groups] for o in self.optimisers]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == torch.float16)
        self.step, self.seconds, self.saved_at = 0, 0.0, -1
        self.scores: dict[str, float] = {}
        self.losses: list[float] = []  # since the last row of the log
        self.former = recipe.text  # what the checkpoint was trained by
        self.log = log.Log(folder / log.LOG, watch.names(), writes=processes.first)
        several = processes.count > 1
        self.forward = DistributedDataParallel(self.net) if several else self.net

    def resume(self) -> bool:
        """Go on from the folder's checkpoint. False where there is none."""
        state = log.load_state(self.folder)
        if state is None:
            return False
        if not self._is_of(*state["net_config"]):
            raise UsageError(
                f"{self.folder}: its checkpoint is of another net than the recipe's;"
                " choose another --out or --no-resume"
            )
        self.net.load_state_dict(state["net"])
        self.average.values = {k: v.to(self.device) for k, v in state["average"].items()}
        try:
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                restore(optimiser, saved)
        except (ValueError, KeyError) as error:
            raise UsageError(
                f"{self.folder}: its checkpoint is of another optimiser than the recipe's;"
                " choose another --out or --no-resume"
            ) from error
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.saved_at = state["step"], state["seconds"], state["step"]
        self.scores, self.losses = state["scores"], state["losses"]
        self.former = state["recipe"]
        self.log.rewind(self.step)
        return True

    def begin(self) -> str:
        """What a recipe asks for before the first step: nets joined. A line on it, or nothing."""
        if not self.recipe.join or self.recipe.init_weights:
            return ""
        assert isinstance(self.net, UNet)
        assert isinstance(self.crops, Crops)
        line = join(self.net, self.recipe, self.crops)
        self.average = Average(self.net, self.recipe.optim.ema)
        return line

    def _is_of(self, arch: str, config: str) -> bool:
        """Whether a checkpoint's config is the net's, whose fields may have had other names."""
        for former, name in nets.FORMER_NAMES.items():
            config = config.replace(f"{former}=", f"{name}=")
        return [arch, config] == [self.recipe.arch, repr(self.net.config)]

    def compile(self) -> str:
        """Have torch.compile make the net faster. Returns why it could not, or nothing.

        It is tried on the first batch, forwards and backwards, and left alone where that fails: a
        compiler is missing on many machines, and a run need not end for it.
        """
        plain = self.forward
        try:
            self.forward = torch.compile(plain)  # type: ignore[assignment]
            with self._in_memory():
                self.scaler.scale(self._loss(self._batch(self.step))).backward()
        except OutOfMemoryError:
            raise
        except Exception as error:  # its back ends raise whatever they like
            self.forward = plain
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return (lines or [type(error).__name__])[0][:200]
        finally:
            self.net.zero_grad(set_to_none=True)
        return ""

    def save(self) -> None:
        """Write the checkpoint, and the averaged weights beside it."""
        self.saved_at = self.step
        if not self.processes.first:
            return
        state = {
            "net": self.net.state_dict(),
            "average": self.average.values,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "scores": self.scores,
            "losses": self.losses,
            "net_config": [self.recipe.arch, repr(self.net.config)],
            "recipe": self.recipe.text,
        }
        log.save_state(self.folder, state)
        weights = self.folder / WEIGHTS
        save_weights(weights, self.net, self.recipe.arch, self.average.values)
        about = log.card_facts(self.recipe, self.watch.title, self.scores)
        write_card(self.folder, self.net, self.recipe.arch, weights.name, about)

    def run(
        self,
        stop: Callable[[], bool],
        report: Callable[[dict[str, Any]], None],
        until: int | None = None,
        save_every: float = 180.0,
        progress: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Train to the end of the recipe, or to step `until`, or until stop() says so.

        report is called with each row of the log, progress after each step with the steps done.
        Whatever ends it, the checkpoint of the last whole step is kept.

        Raises:
            MdnError: the loss is no longer a number; the last good checkpoint is kept.
            OutOfMemoryError: a step does not fit; likewise.
        """
        last = min(self.recipe.optim.steps, until or self.recipe.optim.steps)
        started, saved = time.monotonic() - self.seconds, time.monotonic()
        ahead = batches(self._batch, self.step, last, self.workers)
        while self.step < last and not self.processes.agree(stop()):
            with self._in_memory():
                self.losses.append(self._advance(next(ahead)))
            self.seconds = time.monotonic() - started
            progress(self.step)
            whole = self.step % self.recipe.watch.every == 0 or self.step == self.recipe.optim.steps
            if whole or self.step % LOG_EVERY == 0:
                row = self._row(self._validate() if whole else {})
                self.log.write(row)
                report(row)
                self.losses = []
            if whole or time.monotonic() - saved > save_every:
                self.save()
                saved = time.monotonic()
        if self.saved_at != self.step:
            self.save()

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """What runs out of memory in here says what to do about it."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not memory.is_oom(error):
                raise
            raise OutOfMemoryError(
                f"step {self.step}: {too_large(self.recipe)}{self._saved_state()}"
            ) from error

    def _saved_state(self) -> str:
        if self.saved_at < 0:
            return ""
        return f"; the checkpoint of step {self.saved_at} is kept in {self.folder}"

    def _advance(self, batch: Sample) -> float:
        """One step of the optimiser; the joint loss."""
        loss = self._loss(batch)
        scale = lr_scale(self.recipe.optim, self.step)
        for optimiser, peaks in zip(self.optimisers, self.peaks, strict=True):
            optimiser.zero_grad(set_to_none=True)
            for settings, peak in zip(optimiser.param_groups, peaks, strict=True):
                settings["lr"] = peak * scale
        self.scaler.scale(loss).backward()
        value = self.processes.mean(loss.detach())
        if not math.isfinite(value):
            raise MdnError(
                f"step {self.step}: the loss is not a number; lower the learning rate"
                f"{self._saved_state()}"
            )
        for optimiser in self.optimisers:
            self.scaler.unscale_(optimiser)
        if self.recipe.optim.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optim.clip)
        for optimiser in self.optimisers:
            self.scaler.step(optimiser)
        self.scaler.update()
        self.average.update(self.net, self.step)
        self.step += 1
        return value

    def _batch(self, step: int) -> Sample:
        """This process's share of the crops of a step."""
        share = self.recipe.optim.groups // self.processes.count
        first = self.processes.rank * share
        numbers = range(first, first + share)
        if isinstance(self.crops, Scenes):
            return join_groups([self.crops.draw_group(self.recipe, step, at) for at in numbers])
        if not self.takes.judges_noise:
            return join_groups([draw_group(self.recipe, self.crops, step, at) for at in numbers])
        data = self.recipe.data
        fresh = step // (data.block * data.reuse) * data.block + step % data.block
        if fresh not in self.drawn:
            groups = [judged.draw_group(self.recipe, self.crops, fresh, at) for at in numbers]
            self.drawn[fresh] = join_groups(groups)
        again = step // data.block % data.reuse
        if data.reuse == 1 or again == data.reuse - 1:
            sample = self.drawn.pop(fresh)
        else:
            sample = self.drawn[fresh]
        return judged.turned(sample, self.recipe.seed, step) if again else sample

    def _loss(self, sample: Sample) -> Tensor:
        crops = sample.to(self.device)
        return batch_loss(self.recipe, self.net, self.forward, crops, self.step, self._autocast)

    def _validate(self) -> dict[str, float]:
        """Scores of the averaged weights, which are those that are shipped."""
        if not self.processes.first:
            return {}
        live = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average.values)
        self.scores = self.watch.measure(self.net, self._autocast())
        self.net.load_state_dict(live)
        return self.scores

    def _autocast(self) -> Any:
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def _row(self, scores: dict[str, float]) -> dict[str, Any]:
        scale = lr_scale(self.recipe.optim, self.step - 1)
        return {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "loss": round(sum(self.losses) / max(1, len(self.losses)), 6),
            "lr_scale": round(scale, 5),
        } | {name: round(score, 3) for name, score in scores.items()}
