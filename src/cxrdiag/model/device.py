"""Which device computes, and in which number format."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from cxrdiag.cores import n_cores
from cxrdiag.errors import UsageError
from cxrdiag.model.resnet import ResNet

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes a CUDA GPU when there is one. Raises UsageError.

    Not Metal (mps): in some releases of torch its batch norm computes wrong gradients of images
    that are stored channels last (pytorch issue 175189). On the processor torch is held to the
    cores that there are: of a container's share it knows nothing. On a GPU float32 is computed as
    such, not in TF32: the answers are to be those of the processor.
    """
    if torch.get_num_threads() > n_cores():
        torch.set_num_threads(n_cores())
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = "cuda" if available["cuda"] else "cpu"
    if name not in available:
        raise UsageError(
            f"unknown device {name!r}", hint=f"one of {', '.join(DEVICES)}", code="unknown_device"
        )
    if not available[name]:
        raise UsageError(
            f"device {name!r} is not available on this machine",
            hint="use --device auto",
            code="no_device",
        )
    if name == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed in hardware there; emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    return False


def number_format(device: torch.device, precision: str) -> str:
    """`fp32` or `bf16`; a `precision` of `auto` is bf16 where that is fast."""
    if precision == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    return precision


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The autocast context of `precision`: `fp32`, `bf16` or `auto`."""
    if number_format(device, precision) == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def to_device(network: ResNet, device: torch.device) -> ResNet:
    """The network on the device, channels last, in which its convolutions are faster on CPUs.

    Not on Metal (`choose_device`).
    """
    moved = network.to(device)
    return moved if device.type == "mps" else moved.to(memory_format=torch.channels_last)
