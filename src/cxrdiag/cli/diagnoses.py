"""What `predict` prints and writes of its answers."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.panel import Panel

from cxrdiag import __version__
from cxrdiag.cli.console import err, out, print_json, table
from cxrdiag.errors import CxrdiagError, as_document, plain, printable
from cxrdiag.evaluation.words import share
from cxrdiag.inference.abstain import LIKE
from cxrdiag.inference.diagnosis import Diagnosis, Failure, in_words
from cxrdiag.model.info import NOTICE
from cxrdiag.model.probability import at_prevalence

_OF_FILMS = "on the shifted validation films it was chosen on; elsewhere they differ"
_KINDS = ("Pneumonia", "Normal", "uncertain", "without an answer")
_RARE = 0.05
"""A prevalence of pneumonia as outside a hospital's ward: what a probability comes to there."""


def print_document(
    diagnoses: Sequence[Diagnosis],
    failures: Sequence[Failure],
    model: str,
    problem: CxrdiagError | None,
) -> None:
    """One JSON document; `problem` is what went wrong beside the answers."""
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


def print_people(diagnoses: Sequence[Diagnosis], failures: Sequence[Failure], model: str) -> None:
    """A card of one film, a table of several, and what could not be read."""
    if len(diagnoses) == 1 and not failures:
        out.print(Panel(_card(diagnoses[0], model), expand=False))
    elif diagnoses:
        rows = [
            [
                printable(d.file),
                in_words(d) + " (!)" * bool(d.warning),
                share(d.probability),
            ]
            for d in diagnoses
        ]
        out.print(table("", ["file", "answer", "probability"], rows))
        # What is said of films is the same for each of them.
        any_ = next((d for d in diagnoses if d.validation_sensitivity is not None), diagnoses[0])
        rates = _rates(any_)
        out.print(
            f"probabilities hold where {any_.prevalence:.0%} of films show pneumonia; "
            f"{_limits(any_)}, operating point {any_.operating_point}"
            + (f": {rates} {_OF_FILMS}" if rates else ""),
            soft_wrap=True,
        )
        if any(d.heatmap for d in diagnoses):
            folder = Path(next(d.heatmap for d in diagnoses if d.heatmap)).parent
            out.print(f"activation maps in {printable(str(folder))}", soft_wrap=True)
        for warning, n in Counter(d.warning for d in diagnoses if d.warning).items():
            out.print(f"(!) on {n} of these films: {warning}", soft_wrap=True)
        for d in diagnoses:
            if d.reason:
                out.print(f"{printable(d.file)}: {d.reason}", soft_wrap=True)
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
    lines = [printable(diagnosis.file), in_words(diagnosis)]
    if diagnosis.reason:
        lines.append(diagnosis.reason)
    elif diagnosis.warning:
        lines.append(f"warning: {diagnosis.warning}")
    if diagnosis.probability is None:
        lines.append("use --force to get an answer anyway")
    else:
        p, prevalence = diagnosis.probability, diagnosis.prevalence
        lines += [
            f"probability {share(p)} where {prevalence:.0%} of films show pneumonia, "
            f"{share(at_prevalence(p, prevalence, _RARE))} where {_RARE:.0%} do",
        ]
        if diagnosis.forced:
            lines += ["it was not taken for a frontal chest X-ray:"]
            lines += ["  how often such an answer is right is not known"]
        else:
            lines += [_limits(diagnosis), f"operating point {diagnosis.operating_point}:"]
            lines += [f"  {_rates(diagnosis)}", f"  {_OF_FILMS}"]
        if not (diagnosis.reason or diagnosis.warning):
            lines.append(LIKE)
    lines.append(f"model {model}")
    if diagnosis.heatmap:
        lines.append(f"activation map {printable(diagnosis.heatmap)}")
    return plain("\n".join(lines))


def _limits(diagnosis: Diagnosis) -> str:
    return (
        f"Normal below {diagnosis.uncertain_from:.3f}, Pneumonia from "
        f"{diagnosis.uncertain_below:.3f}, uncertain between, threshold {diagnosis.threshold:.3f}"
    )


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


def write_csv(path: Path, results: Sequence[Diagnosis | Failure], model: str) -> None:
    """One row a file, in order; a file that could not be read has a code and a message only."""
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
