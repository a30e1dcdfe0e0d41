"""What every network of the installed libraries can be used for, tried one by one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby, zip_longest
from pathlib import Path

import timm
import torch
import torchvision
from torch import nn

from dait.errors import UserError
from dait.models.catalogue import TORCHVISION, torchvision_names
from dait.models.cost import count_parameters
from dait.models.create import first_line, own_size
from dait.models.network import MAX_IMAGE_SIZE, Network, NetworkSpec, build_network, shapes_at
from dait.storage.files import write_atomically

SIZES = (64, 96, 128, 160, 192, 224, 256)
"""Sides in pixels at which every network is tried, beside its own."""

_CLASSES = 5
_LISTED = 6  # networks named in a line of the table


@dataclass(frozen=True)
class Surveyed:
    """One line of the survey; all texts, so that a file of it reads as it was written.

    family: timm's module, or ``torchvision``. parameters: with a head of five classes. own_size:
    pixels; sizes: those that work. map: ``C×h×w`` and pooled: the width, both at the own size or
    the largest that works. tried: ``shapes`` (on torch's meta device), or ``run`` (a training step
    and a heatmap's gradient, with random weights). heatmap: the layer, or ``none``; only where it
    was run. fault: why it cannot be used; empty where it can.
    """

    name: str
    family: str
    parameters: str = ""
    own_size: str = ""
    sizes: str = ""
    map: str = ""
    pooled: str = ""
    tried: str = "shapes"
    heatmap: str = ""
    fault: str = ""


COLUMNS = tuple(field.name for field in fields(Surveyed))


def survey(path: Path, most: float) -> Iterator[str]:
    """Try every network of timm and torchvision; writes ``path`` (CSV) and a table beside it.

    Of each the shapes at every size, then, of those with at most ``most`` million parameters, a
    step of training and a heatmap. Yields a line a network. What ``path`` holds already is not
    tried again, so that an interrupted survey resumes. Raises ``UserError`` for another file
    at ``path``.
    """
    known = read_survey(path)
    if not known:
        write_atomically(path, as_csv([]))
    names = families_in_turn([*timm.list_models(), *torchvision_names()])
    try:
        for name in names:
            row = known.get(name) or _noted(path, survey_shapes(name))
            if row.tried == "shapes" and not row.fault and int(row.parameters) <= most * 1e6:
                row = _noted(path, survey_run(row))
            if row != known.get(name):
                known[name] = row
                yield _line(row)
    finally:
        rows = [known[name] for name in sorted(names) if name in known]
        write_atomically(path, as_csv(rows))
        write_atomically(path.with_suffix(".md"), as_document(rows, len(names)))


def _noted(path: Path, row: Surveyed) -> Surveyed:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(as_csv([row], header=False))
    return row


def _line(row: Surveyed) -> str:
    found = row.fault or f"{row.sizes} px; map {row.map}, heatmap {row.heatmap or 'not tried'}"
    return f"{row.name}: {found}"


def survey_shapes(name: str) -> Surveyed:
    """Try a network at every size without memory or weights."""
    spec = NetworkSpec(name=name)
    row = Surveyed(name, family_of(name))
    try:
        own = own_size(name)
        sizes = sorted({*SIZES, min(own, MAX_IMAGE_SIZE)})
        works = {built.image_size: built for built in shapes_at(spec, _CLASSES, sizes)}
        if not works:
            build_network(spec, _CLASSES, own)  # says why not
        network = works.get(own) or works[max(works)]
    except UserError as error:
        return replace(row, fault=str(error))
    except Exception as error:  # a library may raise anything; the other networks are still tried
        return replace(row, fault=first_line(error))
    return replace(
        row,
        parameters=str(count_parameters(network)),
        own_size=str(own),
        sizes=" ".join(map(str, works)),
        map="×".join(map(str, (network.map_channels, *network.map_size))),
        pooled=str(network.pooled_width),
    )


def survey_run(row: Surveyed) -> Surveyed:
    """Train a network that has passed ``survey_shapes`` for a step, and explain it."""
    sizes = [int(size) for size in row.sizes.split()]
    size = next((size for size in sizes if size >= SIZES[1]), sizes[-1])
    try:
        torch.manual_seed(0)
        network = build_network(NetworkSpec(name=row.name), _CLASSES, size)
        _train_a_step(network)
        heatmap = _heatmap(network)
    except UserError as error:
        return replace(row, tried="run", fault=str(error))
    except Exception as error:
        return replace(row, tried="run", fault=first_line(error))
    return replace(row, tried="run", heatmap=heatmap)


def families_in_turn(names: Iterable[str]) -> list[str]:
    """One network of every family, then a second of each, and so on: a survey that is cut off has
    seen some of everything."""
    members: dict[str, list[str]] = {}
    for name in sorted(names):
        members.setdefault(family_of(name), []).append(name)
    rounds = zip_longest(*members.values())
    return [name for one in rounds for name in one if name is not None]


def family_of(name: str) -> str:
    """timm's module of a network, or ``torchvision``."""
    if name.startswith(TORCHVISION):
        return "torchvision"
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def read_survey(path: Path) -> dict[str, Surveyed]:
    """The lines of a file that ``as_csv`` wrote, or a part of it; the last of a name holds."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        found = csv.DictReader(lines)
        if tuple(found.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path} is no survey of networks; give another file, or delete it.")
        return {row["name"]: Surveyed(**row) for row in found if None not in row.values()}


def as_csv(rows: Iterable[Surveyed], header: bool = True) -> str:
    """Lines of CSV, with or without the names of the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def as_document(rows: Sequence[Surveyed], total: int) -> str:
    """The table with what it says, of which libraries, and how to make it again.

    total: the number of networks in the libraries, of which ``rows`` have been tried.
    """
    missing = (
        f"**Not finished: {total - len(rows):,} of {total:,} networks have not been tried yet; the "
        "same command resumes.**\n\n"
        if len(rows) < total
        else ""
    )
    used = [row for row in rows if not row.fault]
    run = [row for row in used if row.tried == "run"]
    looks = [row for row in run if row.heatmap != "none"]
    return f"""# Which networks can be used

Written by `python -m dait networks --all --out docs/networks.csv`, with timm {timm.__version__},
torchvision {torchvision.__version__.partition("+")[0]} and torch
{torch.__version__.partition("+")[0]}. [networks.csv](networks.csv) has a line a network: its
parameters, map, pooled vector, and the layer that heatmaps are read at.

{missing}Of {len(rows):,} networks {len(used):,} can be a student or an intermediate teacher:
they have a last map (C × h × w), a pooled vector and a head whose logits are the library's own.
{len(run):,} were run with random weights (a training step of two images; a heatmap's gradient),
and {len(looks):,} of them have heatmaps; of the others, mostly larger ones, only the shapes were
tried. Sizes: those at which a network can be built; *all* are
{", ".join(map(str, SIZES))} px. A network's own size was tried too.

{as_table(rows)}"""


def as_table(rows: Sequence[Surveyed]) -> str:
    """Markdown: a line for the networks of a family that agree in everything."""
    lines = [
        "| family | networks | sizes in px | student, teacher | heatmaps | tried |",
        "|---|---|---|---|---|---|",
    ]
    for key, members in groupby(sorted(rows, key=_kind), key=_kind):
        family, sizes, usable, heatmap, tried = key
        names = [row.name for row in members]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED + 1 else ""
        listed = ", ".join(f"`{name}`" for name in (names[:_LISTED] if more else names))
        lines.append(f"| {family} | {listed}{more} | {sizes} | {usable} | {heatmap} | {tried} |")
    return "\n".join(lines) + "\n"


def _kind(row: Surveyed) -> tuple[str, str, str, str, str]:
    usable = f"no: {row.fault.replace(row.name, 'it')}" if row.fault else "yes"
    heatmap = "" if row.tried == "shapes" or row.fault else "yes"
    if row.heatmap == "none":
        heatmap = "no"
    sizes = [int(size) for size in row.sizes.split()]
    every = set(SIZES) <= set(sizes)
    words = "all" if every else ", ".join(map(str, sizes)) or "none"
    return row.family, words, usable, heatmap, row.tried


def _train_a_step(network: Network) -> None:
    """Raises ``UserError`` where a step gives no finite gradient, or other shapes than promised."""
    size = network.image_size
    output = network.train()(torch.rand(2, 3, size, size))
    promised = ((2, network.map_channels, *network.map_size), (2, network.pooled_width), (2, 5))
    if tuple(tuple(part.shape) for part in output) != promised:
        raise UserError("it gives other shapes in training than in use")
    sum(part.float().pow(2).mean() for part in output).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if not gradients or not all(torch.isfinite(gradient).all() for gradient in gradients):
        raise UserError("a training step gives no finite gradient")


def _heatmap(network: Network) -> str:
    """The name of the layer that heatmaps are read at, once it has a gradient; else ``none``."""
    try:
        layer = network.heatmap_layer()
    except UserError:
        return "none"
    for head in network.heads():
        for weight in head.parameters():
            nn.init.normal_(weight)  # some start at zero, where nothing has a gradient
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda module, args, output: seen.append(output))
    size = network.image_size
    logits = network.eval()(torch.rand(1, 3, size, size)).logits
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, 1], seen[0])
    names = {id(module): name for name, module in network.named_modules()}
    return names[id(layer)].removeprefix("model.") if gradient.abs().sum() > 0 else "none"
