"""What the parts of a training step that are written by hand gain; writes results/parts.json.

    python benchmarks/speed/parts.py

Each part beside what torch does by itself, in turn, A B A B: medians in milliseconds, forwards and
backwards. On random images, in the number format that is fastest here; what was measured in another
one stays in the file.
"""

import json
import re
import resource
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import torch
from timing import beside
from torch import Tensor, nn

from cxrdiag.model.convolution import Conv3x3, Stem
from cxrdiag.model.device import autocast, number_format, to_device
from cxrdiag.model.resnet import ResNet
from cxrdiag.training.config import TrainingConfig
from cxrdiag.training.environment import describe_environment
from cxrdiag.training.memory import kept_memory
from cxrdiag.training.optimisation import build_optimizer

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent.parent / "results" / "parts.json"
CPU = torch.device("cpu")


def main() -> None:
    from provenance import provenance

    origin, precision = provenance(), number_format(CPU, "auto")
    parts = {
        "stem, 32 images of 224 pixels": stem(32, 224, 64),
        "stem, 64 images of 96 pixels": stem(64, 96, 32),
    }
    if precision == "bf16":  # in others it is torch's own
        parts["3x3, 512 channels of 7 x 7 pixels, 32 images"] = small_map(32, 512, 7)
        parts["3x3, 256 channels of 3 x 3 pixels, 64 images"] = small_map(64, 256, 3)
    updates = {f"width {width}": update(width) for width in (32, 64)}
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    document[precision] = {
        **origin,
        "machine": {**describe_environment(CPU), "precision": precision},
        "milliseconds": parts,
        "milliseconds of an update of all weights": updates,
        "step, 64 images of 96 pixels, width 32": memory(64, 96, 32),
        "step, 32 images of 224 pixels, width 64": memory(32, 224, 64),
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document[precision], indent=2))


def stem(n: int, side: int, width: int) -> dict[str, float]:
    """The first convolution."""
    ours, theirs = Stem(1, width), nn.Conv2d(1, width, 7, 2, 3, bias=False)
    x = torch.randn(n, 1, side, side)
    return beside({"ours": lambda: step(ours, x), "torch": lambda: step(theirs, x)})


def small_map(n: int, channels: int, side: int) -> dict[str, float]:
    """A convolution of the last stage."""
    ours = Conv3x3(channels, channels, 1)
    theirs = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
    x = torch.randn(n, channels, side, side).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    return beside({"ours": lambda: step(ours, x), "torch": lambda: step(theirs, x)})


def step(module: nn.Module, x: Tensor) -> None:
    """Forwards and backwards."""
    module.zero_grad()
    with autocast(CPU, "auto"):
        loss = module(x).float().mean()
    loss.backward()


def update(width: int) -> dict[str, float]:
    """What an optimizer takes, gradients given."""
    network = to_device(ResNet(width=width), CPU)
    for weight in network.parameters():
        weight.grad = torch.randn_like(weight)
    kinds: tuple[Literal["muon", "adamw"], ...] = ("muon", "adamw")
    made = {kind: build_optimizer(network, TrainingConfig(optimizer=kind)) for kind in kinds}
    return beside({kind: optimizer.step for kind, optimizer in made.items()})


def memory(n: int, side: int, width: int) -> dict[str, dict[str, float]]:
    """A whole step of ResNet-18 with freed memory kept and not, each time in a fresh process."""
    found: dict[str, list[dict[str, float]]] = {"kept": [], "given back": []}
    for _ in range(3):
        for name, runs in found.items():
            command = [sys.executable, __file__, name, str(n), str(side), str(width)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(out))
    return {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in found.items()
    }


def steps(how: str, n: int, side: int, width: int) -> dict[str, float]:
    """One of those processes: ten steps, after two that are not counted."""
    network = to_device(ResNet(width=width), CPU)
    x = torch.randn(n, 1, side, side)
    seconds = []
    with kept_memory() if how == "kept" else nullcontext():
        for number in range(12):
            if number == 2:
                faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            started = time.perf_counter()
            step(network, x)
            seconds.append(time.perf_counter() - started)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    # Not getrusage's, which begins with that of the process it was forked off.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {
        "milliseconds": round(1e3 * statistics.median(seconds[2:]), 1),
        "page_faults": faults / 10,
        "peak_mb": round(int(peak) / 1024),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(steps(sys.argv[1], *map(int, sys.argv[2:]))))
    else:
        main()
