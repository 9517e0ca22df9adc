"""What the user wants fitted to each picture, and the plan of a fit of layers that follows."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from mdn.errors import UsageError
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.options import Options


@dataclass(frozen=True)
class Plan:
    """How the layers of a net are fitted."""

    iters: int = 150  # steps at most; 0 leaves the net as it is
    lr: float = 1e-4  # peak learning rate of Adam, falling as a cosine
    ratio: float = 0.3  # share of the samples that a step hides
    ema: float = 0.95  # decay of the averaged weights, which are what is used
    # a picture for a net that fills is split into shuffle^2 smaller ones, each colour for itself,
    # so that neighbours which share noise come to lie in different ones
    shuffle: int = 1
    # crop, batch: side in pixels and number of the crops of a step
    crop: int = 64  # a step then costs less than .1 s of one core
    batch: int = 2


# mpi, mpi-real, mpi-fast: MPI's own nets and schedule, for noise that is independent from pixel to
# pixel, for noise that is not, and with fewer steps (Ma et al., NeurIPS 2024, section 4.1).
PRESETS: dict[str, Plan] = {
    "auto": Plan(),
    "mpi": Plan(iters=1000, ratio=0.3, ema=0.99),
    "mpi-real": Plan(iters=1000, ratio=0.85, ema=0.99),
    "mpi-fast": Plan(iters=200, ratio=0.3, ema=0.9),
}
FILLERS = {"mpi": "mpi-synthetic", "mpi-real": "mpi-real", "mpi-fast": "mpi-synthetic"}
FILLER_LR = 2e-3  # MPI's
CLEAN = 1 / 255  # sigma, white being 1: below it there is nothing to gain


@dataclass(frozen=True)
class FitRequest:
    """What the user wants of the fit of each picture."""

    # a key of PRESETS; auto: numbers that describe the noise, and layers only on request
    preset: str = "auto"
    iters: int | None = None  # steps of the fit of layers at most, or None for the preset's
    # of the pipeline; its seed and precision hold for the fit as well
    options: Options = field(default_factory=Options)
    # seconds that the fit of layers may take for one picture, or None
    time_limit: float | None = None
    checkpoint: Path | None = None  # file of the fit of layers while it runs, or None
    resume: bool = False  # whether to go on from it
    # save, use: files: where the finished fit goes, and where one comes from; or None
    save: Path | None = None
    use: Path | None = None

    def check(self, pictures: int) -> None:
        """Raise UsageError where options make no sense, or not for so many pictures."""
        one = pictures == 1
        problems = (
            (
                self.preset not in PRESETS,
                f"--preset {self.preset}: choose one of {', '.join(PRESETS)}",
            ),
            (self.iters is not None and self.iters < 0, "--iters must be at least 0"),
            (self.checkpoint is not None and not one, "--checkpoint is for one image at a time"),
            (self.save is not None and not one, "--save-fit is for one image at a time"),
            (self.save is not None and self.use is not None, "--save-fit and --fit: choose one"),
            (self.resume and self.checkpoint is None, "--resume needs --checkpoint FILE"),
        )
        for wrong, message in problems:
            if wrong:
                raise UsageError(message)

    def plan(self, estimate: NoiseEstimate | None, *, fills: bool) -> Plan:
        """The plan for the layers of a net.

        Args:
            estimate: of the picture's noise; None where it is not measured.
            fills: whether all that the net can do is to fill masks, as MPI's pre-trained nets.
        """
        plan = PRESETS[self.preset]
        if fills:
            shared = estimate is not None and estimate.correlated and self.preset == "auto"
            plan = replace(plan, lr=FILLER_LR, crop=256, batch=1, shuffle=2 if shared else 1)
        elif self.preset == "auto" and self.time_limit is None and self.checkpoint is None:
            plan = replace(plan, iters=0)  # layers are fitted on request
        if self.iters is not None:
            return replace(plan, iters=self.iters)
        clean = estimate is not None and estimate.sigma < CLEAN
        return replace(plan, iters=0) if clean else plan
