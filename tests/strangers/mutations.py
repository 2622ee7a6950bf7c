"""Seeded changes of safetensors files and of JSON: of their bytes, and of what they say."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load

from cxrdiag.training.resume import digest

DTYPES = (
    "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F4", "F6_E2M3", "I16", "U16", "F16",
    "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64", "F99\n\x1b[31m", "", 3, None,
)  # fmt: skip
_HUGE = (2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30)
_DEEP = 100_000
_LONG = 10_000_000
_RAW = {
    "\0deep list": "[" * _DEEP,
    "\0closed list": "[" * _DEEP + "]" * _DEEP,
    "\0deep object": '{"a":' * _DEEP,
    "\0long": '"' + "x" * _LONG + '"',
    "\0digits": "9" * 5000,
    "\0fewer digits": "9" * 4000,
    "\0exponent": "1e999999",
    "\0surrogate": '"\\ud800"',
    "\0NaN": "NaN",
    "\0-Infinity": "-Infinity",
}
"""Put in for the placeholder when a document is written: no Python value comes out so."""
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e-320, 1e308, -1e308, 1025, 4096, 2**20, *_HUGE, "",
    "x", "0.5", "../model.safetensors", "../../../etc/passwd", "/dev/zero", "file:///etc/passwd",
    "\x1b]0;title\x07", "two\nlines", "\u202e", "{0}", "%s", [], {}, [1, 2], {"a": 1}, [[]], *_RAW,
]  # fmt: skip


def changed_bytes(data: bytes, rng: np.random.Generator, first: int = 0, end: int = 0) -> bytes:
    """With one to sixteen changes between two places."""
    out = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 4, 16]))):
        last = min(end or len(out), len(out))
        if last <= first:
            break
        at = int(rng.integers(first, last))
        match rng.integers(0, 8):
            case 0:
                del out[at : at + int(rng.integers(1, 40))]
            case 1:
                out[at:at] = out[at : at + int(rng.integers(1, 40))]
            case 2:
                out[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                out[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\xc0\x7f"])
            case 4 if rng.random() < 0.3:
                del out[at:]
            case _:
                out[at] = int(rng.integers(0, 256))
    return bytes(out)


def changed_json(text: str, rng: np.random.Generator) -> bytes:
    """With one to four fields that say something else, or some bytes changed."""
    if rng.random() < 0.2:
        return changed_bytes(text.encode(), rng)
    document = json.loads(text)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        _change(document, rng)
    out = _written(document)
    if rng.random() < 0.1:  # the last of two of one name counts, or the first
        name = _pick(list(json.loads(text)), rng)
        twice = f"{json.dumps(name)}: {_written(_value(rng))}"
        out = f"{{{twice}, {out[1:]}" if rng.random() < 0.5 else f"{out[:-1]}, {twice}}}"
    return out.encode("utf-8", "surrogatepass")


def changed_architecture(text: str, rng: np.random.Generator) -> bytes:
    """A network, and squares, of other sizes."""
    sizes = [1, 8, 15, 16, 17, 64, 224, 512, 1023, 1024, 1025, 2048, 4096, 2**16, 2**31, 2**62]
    depths = [18, 34, 50, 101, 152]
    asked = {
        "arch": f"resnet{_pick(depths, rng)}",
        "width": _pick(sizes, rng),
        "resolution": _pick(sizes, rng),
        "image_size": _pick(sizes, rng),
    }
    kept = {name: value for name, value in asked.items() if rng.random() < 0.6}
    return json.dumps({**json.loads(text), **kept}).encode()


def changed_header(data: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file whose header says something else of the same, or nearly the same, body."""
    header, body = parse(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        body = _change_header(header, body, rng)
    return assemble(_written(header), body)


def changed_length(data: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file that tells another length of its header."""
    length = struct.unpack("<Q", data[:8])[0]
    other = _pick([0, 1, 2, 7, length - 1, length + 1, 2 * length, len(data), *_HUGE[:4]], rng)
    return struct.pack("<Q", other) + data[8:]


def changed_state(data: bytes, rng: np.random.Generator) -> bytes:
    """A training to be resumed whose metadata say something else."""
    header, body = parse(data)
    told = header["__metadata__"]
    told["state"] = changed_json(told["state"], rng).decode("utf-8", "replace")
    return assemble(json.dumps(header), body)


def signed(data: bytes) -> bytes:
    """A training to be resumed with the digest of what it holds, where that can be read."""
    try:
        header, body = parse(data)
        told = header["__metadata__"]
        told["sha256"] = digest(load(data), told["state"])
        return assemble(json.dumps(header), body)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, struct.error):
        return data


def parse(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a safetensors file."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:end]), data[end:]


def assemble(header: str, body: bytes) -> bytes:
    """A safetensors file."""
    text = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + body


def _change_header(header: dict[str, Any], body: bytes, rng: np.random.Generator) -> bytes:
    names = [name for name in header if isinstance(header[name], dict) and "shape" in header[name]]
    if not names:
        return body
    name, other = _pick(names, rng), _pick(names, rng)
    tensor = header[name]
    match rng.integers(0, 13):
        case 0:
            tensor["dtype"] = _pick(DTYPES, rng)
        case 1:  # a type of the same size, so that the rest still fits
            sizes = {"F16": ["BF16", "I16", "U16"], "F32": ["I32", "U32"], "I64": ["F64", "C64"]}
            tensor["dtype"] = _pick(sizes.get(tensor["dtype"], ["U8"]), rng)
        case 2 if tensor["shape"]:
            at = int(rng.integers(0, len(tensor["shape"])))
            tensor["shape"][at] = _pick([0, 1, -1, 1.5, "3", None, *_HUGE], rng)
        case 3:
            shapes = [tensor["shape"][::-1], [*tensor["shape"], 1], [1] * 2000, [], [0], 7, {}]
            tensor["shape"] = _pick(shapes, rng)
        case 4:
            tensor["data_offsets"][int(rng.integers(0, 2))] = _pick([0, -1, 8, *_HUGE], rng)
        case 5:
            tensor["data_offsets"], header[other]["data_offsets"] = (
                header[other]["data_offsets"], tensor["data_offsets"],
            )  # fmt: skip
        case 6:
            header[name], header[other] = header[other], dict(header[name])
        case 7:
            del header[name]
        case 8:
            odd = ["", "../../x", "\x1b[31m", "x" * 100_000, "\0surrogate", "detector.noise", other]
            header[_pick(odd, rng)] = header.pop(name)
        case 9:
            for number in range(int(rng.choice([1, 100, 20_000]))):
                header[f"more.{number}"] = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
        case 10:
            more = [{"a": "b"}, {"a": 1}, {"version": "1"}, None, [], "x", {"a": "\0long"}]
            header["__metadata__"] = _pick(more, rng)
        case 11:  # of tensors and bytes both, at the end
            n = int(rng.integers(1, 2000))
            header["more"] = {"dtype": "U8", "shape": [n], "data_offsets": [len(body)] * 2}
            header["more"]["data_offsets"][1] += n
            return body + bytes(n)
        case _:
            _change(header, rng)
    return body


def _change(document: dict[str, Any], rng: np.random.Generator) -> None:
    """Set, remove or add one field, at any depth."""
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = _pick(keys, rng)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            continue
        break
    action = rng.random()
    if action < 0.1:
        del place[key]
    elif action < 0.2 and isinstance(place, dict):
        place[_pick(["more", "", "path", "weights", "../x", "\x1b[31m"], rng)] = _value(rng)
    else:
        place[key] = _value(rng)


def _value(rng: np.random.Generator) -> Any:
    if rng.random() < 0.2:
        return float(rng.normal()) * 10.0 ** int(rng.integers(-5, 5))
    # Ten million letters take their time.
    return copy.deepcopy(_pick(_VALUES if rng.random() < 0.1 else _VALUES[: -len(_RAW)], rng))


def _pick(options: Any, rng: np.random.Generator) -> Any:
    return options[int(rng.integers(0, len(options)))]


def _written(document: Any) -> str:
    text = json.dumps(document)
    for placeholder, raw in _RAW.items():
        text = text.replace(json.dumps(placeholder), raw)
    return text
