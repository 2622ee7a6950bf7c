"""The card of the shipped model (Mitchell et al. 2019, arXiv 1810.03993).

Its numbers are those of model.json and metrics.json; its text is written for the recipe `best`,
trained on CoronaHack.
"""

from __future__ import annotations

import textwrap
from typing import Any

from cxrdiag.evaluation.elsewhere import FRONTAL_UNREMARKED, LATERAL_REFUSED
from cxrdiag.evaluation.words import NAMES, interval, share
from cxrdiag.model.info import NOTICE, ModelInfo
from cxrdiag.model.probability import at_prevalence

_ONE = "One pass gives one logit."
_TWO = "Its logit is the mean of two passes, of a film and of its mirror image."
_TEXT = """\
# Model card

{notice}

## The model

{arch} of width {width} on gray squares of {resolution} pixels, trained from scratch by the recipe
`{recipe}`, seed {seed}, with cxrdiag {version}; the weights are those of epoch {epoch}, in half
precision. {answer}
The logit, divided by a temperature of {temperature:.3f} and put through the sigmoid, gives the
probability of pneumonia where {prevalence_known:.0%} of all films show one; from {threshold:.3f} on
a film is called Pneumonia. model.json has other operating points. A detector beside the network
refuses what does not look like an upright frontal chest X-ray, and warns of some films that are
unlike the training films.

## What it is for

Research and education: a baseline to compare with, a start for training on one's own data
(`cxrdiag train --init shipped`), an example of what such a model can and cannot do.

**Not for** diagnosis or care of anyone; adults; COVID-19; lateral films, or anything but frontal
chest X-rays; finding the cause of a pneumonia; films of other diseases, most of
which it was never shown: it has only two labels.

## Data

The CoronaHack collection in its official split. Nearly all films are of children aged one to five,
from one hospital in Guangzhou (Kermany et al. 2018, doi 10.17632/rscbjbr9sj, CC BY 4.0); 70 films
of the train split are from the COVID-19 image data collection (arXiv 2003.11597), most of adults.
The films of Kermany et al., in both splits, came from a copy reduced to 224 x 224 pixels, JPEG of
quality 75. A hundred train films were also read at native size, and were called the same
(tests/real/test_real_data.py). Epoch, temperature and thresholds were chosen on a tenth of the
train split, drawn by patient, under fixed acquisition shifts. The detector learned from the train
films and from pictures made from them or drawn. None of these were chosen on the test split. The
recipe and the rule for the threshold came after other networks had been evaluated on it, and are
not independent of those looks: benchmarks/test_ledger.csv in the repository lists them, and
benchmarks/README.md tells of them.

## Results

On the {n} films of the official test split, {n_normal} Normal and {n_pneumonia} Pneumonia, by this
one network:

{overall}

Intervals are Wilson's for proportions, a bootstrap over patients for the rest.
Of {n_normal} normal films {false_positives} are called Pneumonia; of {n_pneumonia} films of
pneumonia {false_negatives} are missed. For {uncertain_n} films the answer is "uncertain"; of those
{if_uncertain} are right, of the others {if_certain}. {refused} of the {n} are refused.

{subtypes}

{series}COVID-19: n = 0 in the test split, so there is no claim about it.

## Limits

- **Calibration.** The temperature was fitted on shifted validation films. On the test films,
  weighted as if {prevalence_known:.0%} showed a pneumonia, the ECE is {ece:.3f}, without
  temperature {ece_without:.3f}. Where pneumonia is rarer, it is also rarer among films given the
  same probability: 0.9 comes to {nine_tenths:.2f} where 5% of films show one.
- **Refusing.** What a detector lets pass need not be a chest film. Films of another origin than the
  training films may get no warning: a model of the recipe `default`, trained without 69 of them,
  answered {frontal.k} of the {frontal.n} frontal ones without a warning; of the lateral ones it
  refused {lateral.k} of {lateral.n} (benchmarks/README.md).
- **Children, one hospital.** How well it reads adults, other hospitals or other machines was not
  measured.
- **A shift of style.** The films of the test split are framed and exposed differently from those of
  the train split; networks that read films like their training films almost without error have read
  the test films less well. Expect that, or worse, on films from elsewhere: evaluate the model on
  yours (`cxrdiag eval --run shipped`).
- **Patients.** Whether patient numbers restart for each kind of film is not known for certain.
  Counted by number and kind, no patient is in both train and test.
- **Prevalence.** Of the test split {prevalence:.0%} show a pneumonia. Where it is rarer, more of
  the films that are called Pneumonia are normal ones: below {even:.0%}, most of them.
- **Labels** are physicians' readings of the films, not a laboratory's findings.

## Licence

The weights are under the Apache License 2.0, as the code. The films of Kermany et al. are under
CC BY 4.0; those of the COVID-19 image data collection each under its own licence, for research.
"""


def shipped_card(info: ModelInfo, metrics: dict[str, Any]) -> str:
    """Markdown; `metrics` is what `evaluate` returned for the test split, else ValueError."""
    if metrics["split"] != "test":
        raise ValueError("a card tells of the test split")
    false_alarms = 1 - metrics["specificity"]
    return _TEXT.format(
        notice=NOTICE,
        arch=info.arch,
        width=info.width,
        resolution=info.resolution,
        recipe=info.recipe,
        seed=info.seed,
        version=info.cxrdiag_version,
        epoch=info.epoch,
        threshold=info.threshold,
        temperature=info.temperature,
        prevalence_known=info.prevalence,
        uncertain_n=metrics["uncertain_n"],
        if_uncertain=_or_none(metrics["accuracy_if_uncertain"]),
        if_certain=_or_none(metrics["accuracy_if_certain"]),
        refused=round(metrics["refused"] * metrics["n"]),
        frontal=FRONTAL_UNREMARKED,
        lateral=LATERAL_REFUSED,
        ece=metrics["ece_reweighted"],
        ece_without=metrics["ece_reweighted_without_temperature"],
        nine_tenths=at_prevalence(0.9, info.prevalence, 0.05),
        answer=_TWO if info.mirror else _ONE,
        prevalence=metrics["n_pneumonia"] / metrics["n"],
        even=false_alarms / (false_alarms + metrics["sensitivity"]),
        n=metrics["n"],
        n_normal=metrics["n_normal"],
        n_pneumonia=metrics["n_pneumonia"],
        false_positives=metrics["false_positives"],
        false_negatives=metrics["false_negatives"],
        overall=_table("", [_row(shown, metrics, name) for name, shown in NAMES.items()]),
        subtypes=_subtypes(metrics),
        series=_series(metrics),
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else share(value)


def _table(what: str, rows: list[str]) -> str:
    return "\n".join([f"| {what} | | 95 % interval |", "|---|---|---|", *rows])


def _row(shown: str, metrics: dict[str, Any], name: str) -> str:
    return f"| {shown} | {share(metrics[name])} | {interval(metrics, name)} |"


def _series(metrics: dict[str, Any]) -> str:
    told = [
        "{} {:.3f} ({:.3f} to {:.3f}, n = {})".format(
            name, found["specificity"], *found["specificity_ci95"], found["n"]
        )
        for name, found in metrics["specificity_by_series"].items()
    ]
    if not told:
        return ""
    said = f"Specificity by series of normal films, as their file names tell: {'; '.join(told)}."
    return f"{textwrap.fill(said, 100)}\n\n"


def _subtypes(metrics: dict[str, Any]) -> str:
    rows = []
    for kind, found in metrics["subtypes"].items():
        if found["n"]:  # of none nothing is claimed
            rows.append(_row(f"sensitivity, {kind} (n = {found['n']})", found, "sensitivity"))
            rows.append(_row(f"AUROC, {kind} against all normal films", found, "auroc"))
    return _table("by subtype", rows)
