"""What a run was made with, for its environment.json: versions and hardware, no names or paths."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import PIL
import torch

from cxrdiag import __version__
from cxrdiag.cores import n_cores


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Versions, processor, cores, threads and device, as JSON takes them."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "cxrdiag": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "system": platform.system(),
        "processor": _processor(),
        "cores": n_cores(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": gpu,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
