"""resume.safetensors: the state of a training, tensors and JSON, with a digest of both."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from cxrdiag.errors import ModelError
from cxrdiag.files import DAMAGED, fsync, write_file
from cxrdiag.model.checkpoint import plain
from cxrdiag.model.info import in_one_line
from cxrdiag.model.weights import open_weights
from cxrdiag.runs import RESUME

VERSION = 6
"""2 was of whole epochs alone; of 3 the augmentation drew other numbers; of 4 the normal copies of
validation were not cut; 5 did not tell in how many parts a batch is computed."""
_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.uint8: "U8",
}
"""What safetensors calls the types that a training may have."""


def save_resume(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write the state of a training: tensors, and whatever else fits JSON."""
    # The widest numbers first: so all of them are aligned.
    kept = dict(sorted(plain(tensors).items(), key=lambda item: -item[1].itemsize))
    text = json.dumps(state)
    metadata = {"version": str(VERSION), "state": text, "sha256": digest(kept, text)}

    def write(path: Path) -> None:
        # Not by the library: `save` takes twice as much memory as it writes, and what `save_file`
        # writes is the owner's alone to read, and an error of the disk no OSError.
        parts: list[bytes | memoryview] = [_header(kept, metadata), *map(_bytes, kept.values())]
        with path.open("wb") as file:
            file.writelines(parts)
        # Before it takes the place of the last one; from the disk, where the system lets go of what
        # it has in memory of it.
        fsync(path)
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            # One part at a time; a memoryview would be compared byte by byte.
            if any(file.read(len(part)) != bytes(part) for part in parts) or file.read(1):
                raise OSError(errno.EIO, "what was written reads back differently", str(path))

    write_file(folder / RESUME, write)


def _header(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """What a safetensors file of these tensors, one after the other, begins with.

    Little-endian, as the file is and as every machine is that torch is built for.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text


def digest(tensors: dict[str, Tensor], text: str) -> str:
    """SHA-256 of a text, and of tensors with their names and types."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def check_resume(folder: Path) -> None:
    """Raise ModelError where no interrupted training is there."""
    if not (folder / RESUME).is_file():
        raise ModelError(
            "no interrupted training is there",
            path=folder,
            hint="start one: cxrdiag train, without --resume",
            code="nothing_to_resume",
        )


def load_resume(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_resume` wrote. Raises ModelError when it is absent or damaged."""
    check_resume(folder)
    path = folder / RESUME
    try:
        with open_weights(path) as file:
            metadata = file.metadata() or {}
            if metadata.get("version") != str(VERSION):
                raise ModelError(
                    "saved by another version",
                    path=path,
                    hint="go on with that version, or start the training again",
                    code="resume_version",
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(metadata["state"])
            if digest(tensors, metadata["state"]) != metadata["sha256"]:
                raise ValueError("it is not what was saved")
            if not isinstance(state, dict):
                raise ValueError("its state is not a JSON object")
            return tensors, state
    except (OSError, SafetensorError, RuntimeError, *DAMAGED) as error:
        raise ModelError(
            f"damaged: {in_one_line(error)}", path=path, code="damaged_resume"
        ) from error
