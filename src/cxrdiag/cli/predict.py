"""`cxrdiag predict`: any X-ray file -> diagnosis."""

from __future__ import annotations

import csv
import dataclasses
import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrdiag.cli.options import Json, Model, OperatingPoint, refuse_to_overwrite
from cxrdiag.errors import (
    CxrdiagError,
    DataError,
    UsageError,
    as_document,
    of_the_system,
    plain,
    printable,
)

if TYPE_CHECKING:
    from cxrdiag.inference.predictor import Diagnosis, Failure

_OF_FILMS = "on the shifted validation films that chose it; on others they differ"
_KINDS = ("Pneumonia", "Normal", "uncertain", "without an answer")
_RARE = 0.05
"""A prevalence of pneumonia as outside a hospital's ward: what a probability comes to there."""


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
        bool, typer.Option("--force", help="Answer for what looks like no frontal chest X-ray too.")
    ] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Call files by a hash of what is in them.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda or mps; auto is the processor, with --backend torch a GPU."
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            help="onnx starts soon and computes on the processor, torch is for GPUs; auto is onnx "
            "unless --device names a GPU."
        ),
    ] = "auto",
    json: Json = False,
) -> None:
    """Diagnose chest X-rays. Not a medical device, not for diagnosis of patients.

    Where nothing was trained yet, the model that ships with cxrdiag answers; each answer names its
    model. What does not look like an upright frontal chest X-ray gets no answer, and the reason. A
    bad file is reported and counted, the rest go on; then the exit code is 3.
    """
    import cxrdiag
    from cxrdiag.cli.console import progress_bar
    from cxrdiag.files import refuse_place, write_file
    from cxrdiag.inference.paths import expand
    from cxrdiag.inference.predictor import Diagnosis, Failure
    from cxrdiag.runs import model_name

    if csv_file is not None:
        refuse_place(csv_file)  # before the work, not after it
        if json and _is_standard_output(csv_file):
            hint = "--csv FILE"
            raise UsageError("--json and --csv to one output", hint=hint, code="two_outputs")
    if heatmap is not None and not heatmap.is_dir():
        _refuse_file(heatmap)
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
    problem: CxrdiagError | None = None
    if csv_file is not None:
        try:
            write_file(csv_file, lambda temporary: _write_csv(temporary, results, model))
        except OSError as error:  # then the answers are printed at least
            problem = of_the_system(error)
    if json:
        _print_document(diagnoses, failures, model, problem)
    else:
        _print_people(diagnoses, failures, model)
    if problem is not None and not json:
        raise problem
    if problem is not None:
        raise typer.Exit(problem.exit_code)  # the document tells of it
    if failures:
        raise typer.Exit(DataError.exit_code)


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


def _print_document(
    diagnoses: Sequence[Diagnosis],
    failures: Sequence[Failure],
    model: str,
    problem: CxrdiagError | None,
) -> None:
    from cxrdiag import __version__
    from cxrdiag.cli.console import print_json
    from cxrdiag.model.info import NOTICE

    print_json(
        {
            "diagnoses": diagnoses,
            "errors": failures,
            "model": model,
            "version": __version__,
            "notice": NOTICE,
            **({} if problem is None else {"error": as_document(problem)}),
        }
    )


def _print_people(diagnoses: Sequence[Diagnosis], failures: Sequence[Failure], model: str) -> None:
    from rich.panel import Panel

    from cxrdiag.cli.console import err, out, table
    from cxrdiag.inference.predictor import in_words
    from cxrdiag.model.info import NOTICE

    if len(diagnoses) == 1 and not failures:
        out.print(Panel(_card(diagnoses[0], model), expand=False))
    elif diagnoses:
        rows = [
            [
                printable(d.file),
                in_words(d) + " (!)" * bool(d.warning),
                "-" if d.probability is None else f"{d.probability:.3f}",
            ]
            for d in diagnoses
        ]
        out.print(table("", ["file", "answer", "probability"], rows))
        # What is said of films is the same for each of them.
        any_ = next((d for d in diagnoses if d.validation_sensitivity is not None), diagnoses[0])
        rates = _rates(any_)
        out.print(
            f"probabilities hold where {any_.prevalence:.0%} of films show pneumonia; called "
            f"Pneumonia from {any_.threshold:.3f}, operating point {any_.operating_point}"
            + (f": {rates} {_OF_FILMS}" if rates else ""),
            soft_wrap=True,
        )
        for d in diagnoses:
            if d.reason:
                out.print(f"{printable(d.file)}: {d.reason}", soft_wrap=True)
            if d.warning:
                out.print(f"(!) {printable(d.file)}: {d.warning}", soft_wrap=True)
    if len(diagnoses) + len(failures) > 1:
        counts = Counter(_kind(d) for d in diagnoses)
        kinds = ", ".join(f"{counts[kind]} {kind}" for kind in _KINDS)
        out.print(
            f"{len(diagnoses)} read by {model}: {kinds}; {len(failures)} not readable",
            soft_wrap=True,
        )
    for failure in failures:
        err.print(f"error: {printable(failure.file)}: {failure.message}", soft_wrap=True)
    out.print(NOTICE, style="dim")


def _kind(diagnosis: Diagnosis) -> str:
    if diagnosis.abstained:
        return "without an answer"
    return "uncertain" if diagnosis.uncertain else str(diagnosis.label)


def _card(diagnosis: Diagnosis, model: str) -> str:
    """What the model says of one film, how sure it is and why."""
    from cxrdiag.inference.abstain import LIKE
    from cxrdiag.inference.predictor import in_words
    from cxrdiag.model.probability import at_prevalence

    lines = [printable(diagnosis.file), in_words(diagnosis)]
    if diagnosis.reason:
        lines.append(diagnosis.reason)
    elif diagnosis.warning:
        lines.append(f"warning: {diagnosis.warning}")
    if diagnosis.probability is None:
        lines.append("--force answers all the same")
    else:
        p, prevalence = diagnosis.probability, diagnosis.prevalence
        lines += [
            f"probability {p:.3f} where {prevalence:.0%} of films show pneumonia, "
            f"{at_prevalence(p, prevalence, _RARE):.3f} where {_RARE:.0%} do",
            f"Normal below {diagnosis.uncertain_from:.3f}, Pneumonia from "
            f"{diagnosis.uncertain_below:.3f}, uncertain between, "
            f"threshold {diagnosis.threshold:.3f}",
        ]
        if diagnosis.forced:
            lines += ["it was not taken for a frontal chest X-ray:"]
            lines += ["  how often such an answer is right is not known"]
        else:
            lines.append(f"operating point {diagnosis.operating_point}:")
            lines += [f"  {_rates(diagnosis)}", f"  {_OF_FILMS}"]
        if not (diagnosis.reason or diagnosis.warning):
            lines.append(LIKE)
    lines.append(f"model {model}")
    if diagnosis.heatmap:
        lines.append(f"activation map {printable(diagnosis.heatmap)}")
    return plain("\n".join(lines))


def _rates(diagnosis: Diagnosis) -> str:
    """Sensitivity and specificity of the operating point; "" of what is no film."""
    rates = {
        "sensitivity": (diagnosis.validation_sensitivity, diagnosis.validation_sensitivity_ci95),
        "specificity": (diagnosis.validation_specificity, diagnosis.validation_specificity_ci95),
    }
    return ", ".join(
        f"{name} {rate:.2f} ({ends[0]:.2f} to {ends[1]:.2f})"
        for name, (rate, ends) in rates.items()
        if rate is not None and ends is not None
    )


def _write_csv(path: Path, results: Sequence[Diagnosis | Failure], model: str) -> None:
    """One row a file, in order; a file that could not be read has a code and a message only."""
    from cxrdiag.inference.predictor import Diagnosis, Failure
    from cxrdiag.model.info import NOTICE

    fields = [*dataclasses.fields(Diagnosis), *dataclasses.fields(Failure)]
    names = dict.fromkeys([*(field.name for field in fields), "model"])
    # A name that is no text goes out with the bytes that it came in with.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, list(names), lineterminator="\n")
        writer.writeheader()
        for result in results:
            row = {"notice": NOTICE, **dataclasses.asdict(result), "model": model}
            pairs = {name: "{} to {}".format(*v) for name, v in row.items() if isinstance(v, tuple)}
            writer.writerow(row | pairs)
