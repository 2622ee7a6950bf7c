"""`cxrdiag export`: a run -> one file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxrdiag.cli.options import Json, Model, refuse_to_overwrite
from cxrdiag.errors import UsageError

FORMATS = ("onnx",)


def export(
    run: Model = None,
    format_: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to.",
            show_default="model.onnx in the run, or here for the shipped model",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as one ONNX file.

    It holds the maps, the detector and what model.json says; it takes squares of gray pixels, and
    whether maps are wanted. `predict` does not read the file.
    """
    from cxrdiag import runs
    from cxrdiag.cli.console import out as console
    from cxrdiag.cli.console import print_json, table
    from cxrdiag.files import refuse_folder, write_file
    from cxrdiag.model.graph import build_graph
    from cxrdiag.model.weights import read_weights

    if format_ not in FORMATS:
        raise UsageError(
            f"unknown format {format_!r}", hint=f"one of {', '.join(FORMATS)}", code="no_format"
        )
    folder = runs.find_model(run)
    path = out or (Path() if folder == runs.SHIPPED_FOLDER else folder) / runs.GRAPH
    refuse_folder(path)
    if out is not None and path.name != runs.GRAPH:
        refuse_to_overwrite("--out", path, [], folder)
    info, weights = read_weights(folder)
    graph = build_graph(weights, info)
    data = graph.SerializeToString()
    write_file(path, lambda temporary: temporary.write_bytes(data))
    tensors = [
        {
            "name": tensor.name,
            "kind": kind,
            "shape": [d.dim_param or d.dim_value for d in shape.dim],
        }
        for kind, those in (("input", graph.graph.input), ("output", graph.graph.output))
        for tensor in those
        for shape in [tensor.type.tensor_type.shape]
    ]
    if json:
        print_json(
            {"file": str(path), "bytes": len(data), "tensors": tensors, "notice": info.notice}
        )
        return
    rows = [[t["name"], t["kind"], " x ".join(map(str, t["shape"])) or "one"] for t in tensors]
    console.print(table(f"{path}, {len(data) / 1e6:.1f} MB", ["", "", "shape"], rows))
    console.print(info.notice, style="dim")
