"""Making a model of the user's own out of what lies about: a checkpoint, weights, a run's folder.

Nothing is unpickled but tensors and plain containers (weights_only), so that a file from a stranger
can run no code.
"""

import difflib
import json
import pickle
import re
import secrets
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mdn import nets
from mdn.errors import FileError, ModelError, UsageError
from mdn.io.atomic import swap_folder
from mdn.nets.official import convert_skip, convert_swinir, convert_unet
from mdn.registry import store
from mdn.registry.cards import CARD, WEIGHTS, Card, read_card
from mdn.registry.model import build, line, load, pack, read_safetensors, write_card

BESIDE = ("recipe.toml", "training.csv", "curves.png")  # what a run leaves for people
TRIAL_SIDE = 128  # pixels at least: a net that reads the noise halves its picture several times
PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".th")

# Each gives a config and a state dict that loads, or raises ValueError; then what no shape shows.
CONVERTERS: dict[str, tuple[Callable[..., tuple[Any, dict[str, Tensor]]], tuple[str, ...]]] = {
    "swinir-masked": (convert_swinir, ("input_mask", "input_ratio", "attention_ratio")),
    "unet": (convert_unet, ()),
    "mpi-skip": (convert_skip, ()),
}


def add(
    source: Path,
    name: str | None = None,
    arch: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    about: Mapping[str, str] | None = None,
    force: bool = False,
) -> Card:
    """Put a model into the user's folder; it is there whole or not at all.

    Args:
        source: a checkpoint (.pth and its like), a .safetensors file, or a folder with a card.
        name: what to call it; the name of the file or folder if None.
        arch: a name in CONVERTERS; found out by the keys if None.
        options: what no shape shows: input_mask, input_ratio, attention_ratio.
        about: title, summary, licence, training_data for the card.
        force: replace a model of that name, or hide a shipped one.

    Raises:
        UsageError: a name that is taken or none, an unknown architecture or option.
        ModelError: the file holds no such net; names the keys that are wrong.
        FileError: the source cannot be read, or the model not be written.
    """
    name = name or (source.resolve().name if source.is_dir() else source.name.split(".")[0])
    _check(name, arch, dict(options or {}), force)
    if not source.exists():
        raise FileError(source, "does not exist", "check its name and folder")
    place = store.user_folder() / name
    staging = place.with_name(f".{name}-{secrets.token_hex(4)}.part")
    try:
        staging.mkdir(parents=True)
        if source.is_dir():
            _take_folder(source, staging, options)
        else:
            _take_file(source, staging, name, arch, dict(options or {}))
        _describe(staging, dict(about or {}))
        _try_out(load(read_card(staging, "user"), torch.device("cpu")), source)
        swap_folder(staging, place)
    except OSError as error:
        raise FileError(place, f"cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return store.find(name)


def remove(name: str) -> Path:
    """Delete one of the user's own models; the folder that it was in.

    Raises:
        UsageError: it came with mdn.
        ModelError: there is none of that name.
        FileError: it cannot be deleted.
    """
    card = store.find(name)
    if card.origin != "user":
        problem = f"{name} is none of your own models; mdn models path shows where those are"
        raise UsageError(problem)
    try:
        shutil.rmtree(card.folder)
    except OSError as error:
        raise FileError(card.folder, f"cannot be removed: {error.strerror}") from error
    return card.folder


def _check(name: str, arch: str | None, options: dict[str, Any], force: bool) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise UsageError(
            f"--as {name!r}: a model's name is made of letters, digits, dots, - and _, and begins"
            " with a letter or a digit"
        )
    if name in store.names() and not force:
        whose = "of your own" if store.find(name).origin == "user" else "that came with mdn"
        raise UsageError(f"{name} is a model {whose} already: choose another --as, or --force")
    if arch is not None and arch not in CONVERTERS:
        near = difflib.get_close_matches(arch, CONVERTERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(CONVERTERS)}"
        raise UsageError(f"--arch {arch}: unknown; {hint}")
    settings = CONVERTERS[arch or "swinir-masked"][1]
    if unknown := [key for key in options if key not in settings]:
        said = f"it takes {', '.join(settings)}" if settings else "leave it out"
        raise UsageError(f"--set {unknown[0]}: {arch or 'this net'} has no such setting; {said}")


def _take_folder(source: Path, target: Path, options: Mapping[str, Any] | None) -> None:
    """A model folder, as `mdn train` leaves it: what a model needs, not the run's checkpoint."""
    if options:
        raise UsageError(f"--set: {source} holds these settings already; leave --set out")
    card = read_card(source, "folder")
    store.verify(card)
    for file in (CARD, card.weights, *BESIDE):
        if (source / file).is_file():
            shutil.copyfile(source / file, target / file)


def _take_file(
    source: Path, target: Path, name: str, arch: str | None, options: dict[str, Any]
) -> None:
    metadata: dict[str, str] = {}
    if source.suffix == ".safetensors":
        try:
            state, metadata = read_safetensors(source)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{source}: not readable as safetensors: {line(error)}") from error
    elif source.suffix.lower() in PICKLED:
        state = _unpickle(source)
    else:
        remedy = f"give {' '.join(PICKLED)} .safetensors or a model's folder"
        raise FileError(source, "holds no weights", remedy)
    if "arch" in metadata and "config" in metadata:
        if options or arch not in (None, metadata["arch"]):
            problem = f"{source} is of architecture {metadata['arch']}: leave out --arch and --set"
            raise UsageError(problem)
        try:
            arch = metadata["arch"]
            net = build(arch, json.loads(metadata["config"]), state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{source}: its weights do not load: {line(error)}") from error
    else:
        arch, net = _converted(source, arch, state, options)
    (target / WEIGHTS).write_bytes(pack(net, arch, _finite(source, net)))
    about = {
        "name": name,
        "title": f"{arch} from {source.name}",
        "summary": f"Added from {source.name}.",
        "licence": "unknown: that of whoever made the weights",
        "training_data": "unknown",
        "precisions": ["fp32", "bf16"],
    }
    write_card(target, net, arch, WEIGHTS, about)


def _unpickle(source: Path) -> dict[str, Any]:
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{source}: not loaded, since it holds more than weights, which could be code, or is"
            " damaged; ask its author for a plain state dict"
        ) from error
    except OSError as error:
        raise FileError(source, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged archives raise many kinds
        raise ModelError(f"{source}: damaged, or no checkpoint: {line(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{source}: it holds a {type(content).__name__}, not a table of weights")
    if "net_config" in content:
        raise UsageError(f"{source} is the checkpoint of a run: add its folder, {source.parent}")
    return content


def _converted(
    source: Path, arch: str | None, state: dict[str, Any], options: dict[str, Any]
) -> tuple[str, nn.Module]:
    """The net of somebody else's state dict."""
    refusals = []
    for candidate in [arch] if arch else CONVERTERS:
        convert, settings = CONVERTERS[candidate]
        if not set(options) <= set(settings):
            continue
        try:
            config, ours = convert(state, **options)
            net = nets.ARCHITECTURES[candidate][1](config)
            net.load_state_dict(ours)
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            refusals.append(f"{candidate}: {line(error)}")
        else:
            return candidate, net.float()
    said = refusals[0] if arch else "none of the nets that mdn knows; " + "; ".join(refusals)
    raise ModelError(f"{source}: {said}")


def _finite(source: Path, net: nn.Module) -> dict[str, Tensor]:
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    for key, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ModelError(f"{source}: {key} holds values that are NaN or infinite")
    return state


def _describe(folder: Path, about: dict[str, str]) -> None:
    """What the user says of the model, onto its card."""
    if not about:
        return
    table = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    (folder / CARD).write_text(tomli_w.dumps(table | about), encoding="utf-8")


def _try_out(net: Any, source: Path) -> None:
    """One call on a small picture: what fails here would fail on every picture."""
    side = -(-TRIAL_SIDE // net.multiple) * net.multiple
    picture = torch.linspace(0, 1, side).expand(1, net.config.channels, side, side)
    able = nets.abilities(net)
    needs_level = able.takes_sigma and not able.judges_noise
    more = {"level": torch.tensor(0.1)} if needs_level else {}
    with torch.inference_mode():
        output = net(picture, **more)
    if output.shape != picture.shape or not bool(output.isfinite().all()):
        raise ModelError(f"{source}: the net gives no finite picture")
