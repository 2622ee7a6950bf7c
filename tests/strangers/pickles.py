"""Pickles, and what holds pickles, that make a file where they are read as what they are.

They stand in for those that do harm, under the name of weights.
"""

from __future__ import annotations

import io
import os
import pickle
import shlex
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import torch

_BOMB = 2**29
"""Bytes of zeros in the zip bomb."""


@dataclass(frozen=True)
class Payload:
    """A file, and what reads it as a careless program would: then the canary is there."""

    name: str
    data: bytes
    read: Callable[[bytes], object]


class _Command:
    """What is run as soon as it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def payloads(canary: Path) -> list[Payload]:
    """Twelve, each of which would make the file `canary`."""
    command = f"touch {shlex.quote(str(canary))}"
    bad = _Command(command)
    plain = [
        Payload(f"protocol {protocol}", pickle.dumps(bad, protocol), pickle.loads)
        for protocol in range(6)
    ]
    opcodes = (
        # INST; OBJ; GLOBAL and REDUCE; and BUILD, of a class whose state may be anything.
        f"(S{command!r}\nios\nsystem\n0(cos\nsystem\nS{command!r}\no0"
        f"cos\nsystem\n(S{command!r}\ntR0"
        f"ctypes\nSimpleNamespace\n(tR(S'a'\nI1\ndb."
    )
    saved, objects, dumped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"conv1.weight": torch.zeros(2), "fc.bias": bad}, saved)
    np.save(objects, np.array([bad, None], dtype=object), allow_pickle=True)
    joblib.dump({"weights": np.zeros(3), "more": bad}, dumped, compress=3)
    return [
        *plain,
        Payload("opcodes", opcodes.encode(), pickle.loads),
        Payload("torch.save", saved.getvalue(), _torch_load),
        Payload("torch's old tar", _tar(bad), _load_tar),
        Payload("zip bomb", _bomb(bad), _load_zip),
        Payload("numpy objects", objects.getvalue(), _numpy_load),
        Payload("joblib", dumped.getvalue(), lambda data: joblib.load(io.BytesIO(data))),
    ]


def _torch_load(data: bytes) -> object:
    return torch.load(io.BytesIO(data), weights_only=False)


def _numpy_load(data: bytes) -> object:
    return np.load(io.BytesIO(data), allow_pickle=True)


def _tar(bad: object) -> bytes:
    """As torch wrote until 2017."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        parts = {"sys_info": {"protocol_version": 1000}, "pickle": bad, "storages": 0, "tensors": 0}
        for name, part in parts.items():
            member = tarfile.TarInfo(name)
            data = pickle.dumps(part, 2)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _load_tar(data: bytes) -> object:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile("pickle")
        assert member is not None
        return pickle.load(member)


def _bomb(bad: object) -> bytes:
    """A thousandth of the size of what is in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(bad, 2))
        archive.writestr("archive/version", "3\n")
        with archive.open("archive/data/0", "w") as file:
            for _ in range(_BOMB // 2**20):
                file.write(bytes(2**20))
    return out.getvalue()


def _load_zip(data: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return pickle.loads(archive.read("archive/data.pkl"))
