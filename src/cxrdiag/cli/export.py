"""`cxrdiag export`: a run -> one file that other programs run."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrdiag.cli.options import STORE, Json, Model, refuse_to_overwrite
from cxrdiag.errors import UsageError

if TYPE_CHECKING:
    from onnx import ModelProto
    from rich.table import Table

    from cxrdiag.inference.quantise import Change
    from cxrdiag.model.info import ModelInfo

FORMATS = ("onnx",)


def export(
    run: Model = None,
    format_: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write.",
            readable=False,
            show_default="[int8-]model.onnx in the run, or here for the shipped model",
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Write 8 bits and no maps: half the size. Needs a prepared store.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The prepared store for --int8.", show_default=str(STORE), readable=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as one ONNX file.

    The file holds the network, the maps, the detector and the content of model.json. Its inputs are
    squares of gray pixels, and whether maps are wanted. `predict` does not read the file. With
    --int8 it has neither maps nor that second input; it is fitted to training films of the store,
    and its answers on the validation films are shown beside those in 32 bits.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import print_json, table, warn
    from cxrdiag.files import refuse_place, write_file
    from cxrdiag.model.graph import build_graph
    from cxrdiag.model.weights import read_weights

    if format_ not in FORMATS:
        raise UsageError(
            f"unknown format {format_!r}", hint=f"one of {', '.join(FORMATS)}", code="no_format"
        )
    if data is not None and not int8:
        raise UsageError("--data is for --int8 alone", hint="add --int8", code="needs_int8")
    folder = runs.find_model(run)
    path = out or (Path() if folder == runs.SHIPPED_FOLDER else folder) / (
        f"int8-{runs.GRAPH}" if int8 else runs.GRAPH
    )
    refuse_place(path)
    refuse_to_overwrite("--out", path, ".onnx")
    _refuse_graph_of_others(path)
    info, weights = read_weights(folder)
    graph, change = build_graph(weights, info, maps=not int8), None
    if int8:
        graph, change = _in_8_bits(graph, info, data or STORE, quiet=json)
    content = graph.SerializeToString()
    write_file(path, lambda temporary: temporary.write_bytes(content))
    if change is not None and change.loses:
        warn(
            f"in 8 bits accuracy or AUROC fell, or refusals rose, by more than 0.003: {path} is "
            "written, but a file without --int8 is the safer one"
        )
    tensors = _tensors(graph)
    if json:
        print_json(
            {
                "file": str(path),
                "bytes": len(content),
                "tensors": tensors,
                "int8": change and {**asdict(change), "loses": change.loses},
                "notice": info.notice,
            }
        )
        return
    rows = [
        [t["name"], t["kind"], t["type"], " x ".join(map(str, t["shape"])) or "one"]
        for t in tensors
    ]
    console.print(table(f"{path}, {len(content) / 1e6:.1f} MB", ["", "", "type", "shape"], rows))
    if change is not None:
        console.print(_beside(change))
    console.print(info.notice, style="dim")


def _refuse_graph_of_others(path: Path) -> None:
    """Raise UsageError where what another program made would be replaced."""
    from cxrdiag.model.nodes import PRODUCER

    if path.is_file():
        with path.open("rb") as file:
            head = file.read(32)  # a graph says first who made it
        # Its version of the format, then the name, both as protobuf writes them.
        mark = re.compile(rb"\x08.\x12%c%s" % (len(PRODUCER), PRODUCER.encode()), re.DOTALL)
        if head and not mark.match(head):
            raise UsageError(
                "a file that cxrdiag did not write is there already",
                path=path,
                hint="name another file: --out FILE.onnx",
                code="overwrite",
            )


def _tensors(graph: ModelProto) -> list[dict[str, Any]]:
    """Its inputs and outputs: name, kind, type, and shape with names for what varies."""
    from onnx import TensorProto

    return [
        {
            "name": tensor.name,
            "kind": kind,
            "type": TensorProto.DataType.Name(tensor.type.tensor_type.elem_type).lower(),
            "shape": [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim],
        }
        for kind, those in (("input", graph.graph.input), ("output", graph.graph.output))
        for tensor in those
    ]


def _in_8_bits(
    graph: ModelProto, info: ModelInfo, data: Path, *, quiet: bool
) -> tuple[ModelProto, Change]:
    from cxrdiag.cli.console import err, warn
    from cxrdiag.data.store import open_store
    from cxrdiag.evaluation.words import OTHER_STORE
    from cxrdiag.inference.quantise import compare, quantise

    store = open_store(data)
    if info.data_fingerprint != store.fingerprint:
        warn(OTHER_STORE)
    store.rows("val")  # first, because the rest takes a while
    if not quiet:
        err.print("fitting to training films, then asking about validation films", style="dim")
    small = quantise(graph, store, info)
    return small, compare(graph, small, store, info)


def _beside(change: Change) -> Table:
    from cxrdiag.cli.console import table
    from cxrdiag.evaluation.words import share

    both = (change.in_32_bits, change.in_8_bits)
    rows = [
        ["accuracy", *(share(answered.accuracy) for answered in both)],
        ["AUROC", *(share(a.auroc) for a in both)],
        ["no answer", *(str(answered.refused) for answered in both)],
        ["answered with a warning", *(str(answered.warned_of) for answered in both)],
        ["called otherwise", "", str(change.changed)],
        ["largest difference of a probability", "", f"{change.largest_difference:.3f}"],
    ]
    return table(f"{change.n} validation films", ["", "32 bits", "8 bits"], rows)
