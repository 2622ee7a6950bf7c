"""`cxrdiag predict`: any X-ray file -> diagnosis."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrdiag.cli.options import Json, Model, OperatingPoint, refuse_to_overwrite
from cxrdiag.errors import CxrdiagError, DataError, UsageError, of_the_system, printable

if TYPE_CHECKING:
    from cxrdiag.inference.diagnosis import Diagnosis


def predict(
    files: Annotated[
        list[Path],
        typer.Argument(help="X-rays, as DICOM or as images, or folders of them.", readable=False),
    ],
    run: Model = None,
    heatmap: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw activation maps over the X-rays there.", readable=False
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the results as CSV too.", readable=False),
    ] = None,
    operating_point: OperatingPoint = "balanced",
    force: Annotated[
        bool, typer.Option("--force", help="Answer even if it does not look like a chest X-ray.")
    ] = False,
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="Call files by a hash of what is in them."),
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda or mps; auto is cpu, with --backend torch cuda if there is one."
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            help="onnx starts quickly and computes on the processor, torch is for GPUs; auto is "
            "onnx unless --device names a GPU."
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """Diagnose chest X-rays. Not a medical device, not for diagnosis of patients.

    If nothing has been trained yet, the model that ships with cxrdiag answers; each answer names
    its model. A picture that does not look like an upright frontal chest X-ray gets the reason
    instead of an answer. A file that cannot be used is reported and counted, and the rest are still
    answered; the exit code is then 3.
    """
    import cxrdiag
    from cxrdiag.cli.console import progress_bar, warn
    from cxrdiag.cli.diagnoses import print_document, print_people, write_csv
    from cxrdiag.files import refuse_folder, refuse_place, write_file
    from cxrdiag.inference.diagnosis import Diagnosis, Failure
    from cxrdiag.inference.paths import expand
    from cxrdiag.runs import SHIPPED, model_name

    if csv_file is not None:
        refuse_place(csv_file)  # before the work, not after it
        if json and _is_standard_output(csv_file):
            hint = "--csv FILE"
            raise UsageError("--json and --csv to one output", hint=hint, code="two_outputs")
    if heatmap is not None:
        if not heatmap.is_dir():
            _refuse_file(heatmap)
        refuse_folder(heatmap)
    predictor = cxrdiag.load(
        run, device, operating_point=operating_point, force=force, backend=backend
    )
    model = model_name(predictor.model)
    paths = expand(files)
    if csv_file is not None:
        refuse_to_overwrite("--csv", csv_file, ".csv", paths)
    results: list[Diagnosis | Failure] = []
    with progress_bar(quiet=json or len(paths) < 64) as bar:
        task = bar.add_task("reading X-rays", total=len(paths), note="")
        for result in predictor.diagnose_all(paths, heatmap, anonymous=anonymous):
            results.append(result)
            bar.advance(task)
    diagnoses = [r for r in results if isinstance(r, Diagnosis)]
    failures = [r for r in results if isinstance(r, Failure)]
    # What is not written is told at the end: then the answers are printed at least.
    problem = _lost_maps(diagnoses, heatmap)
    if csv_file is not None:
        try:
            write_file(csv_file, lambda temporary: write_csv(temporary, results, model))
        except OSError as error:
            if problem is not None:
                warn(str(problem))
            problem = of_the_system(error)
    if json:
        print_document(diagnoses, failures, model, problem)
    else:
        # It is no longer the model that answered before the training.
        is_newest = run is None and model != SHIPPED
        newest = ", the newest run (for the packaged model: --run shipped)" if is_newest else ""
        print_people(diagnoses, failures, model + newest)
    if problem is not None:  # the document tells of it
        raise typer.Exit(problem.exit_code) if json else problem
    if failures:
        raise typer.Exit(DataError.exit_code)


def _lost_maps(diagnoses: Sequence[Diagnosis], folder: Path | None) -> CxrdiagError | None:
    lost = [d for d in diagnoses if d.heatmap_error is not None]
    if not lost:
        return None
    return CxrdiagError(
        f"{len(lost)} of the activation maps could not be written, the first of "
        f"{printable(lost[0].file)}: {lost[0].heatmap_error}",
        path=folder,
        code="file_error",
    )


def _is_standard_output(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # there is none
        return False


def _refuse_file(heatmap: Path) -> None:
    """Raise UsageError where it is a file, or is called as one that is to be."""
    from cxrdiag.data.find import IMAGE_SUFFIXES

    if heatmap.suffix.lower() in IMAGE_SUFFIXES or heatmap.exists():
        folder = heatmap.parent / f"{heatmap.stem}-maps"
        raise UsageError(
            "--heatmap takes a folder, for one map of each X-ray",
            path=heatmap,
            hint=f"--heatmap {shlex.quote(str(folder))}",
            code="not_a_folder",
        )
