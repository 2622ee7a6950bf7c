"""The model card of a model (Mitchell et al. 2019, arXiv 1810.03993), from its JSON alone."""

from __future__ import annotations

from typing import Any

from cxrdiag.model.classifier import NOTICE, ModelInfo

_METRICS = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "ECE",
}
_TEXT = """\
# Model card

{notice}

## The model

{arch} of width {width} on gray squares of {resolution} pixels, trained from scratch by the recipe
`{recipe}`, seed {seed}, with cxrdiag {version}; the weights are those of epoch {epoch}. The sigmoid
of its one logit is the probability of pneumonia, and from {threshold:.3f} on a
film is called Pneumonia.

## What it is for

Research and education: a baseline to compare with, a start for training on one's own data
(`cxrdiag train --init shipped`), an example of what such a model can and cannot do.

**Not for** diagnosis or care of anyone; adults; COVID-19; lateral films, or anything but frontal
chest X-rays; finding what a pneumonia is caused by; films of other diseases, which it was never
shown and calls what they resemble more.

## Data

The CoronaHack collection in its official split. Nearly all films are of children aged one to five,
from one hospital in Guangzhou (Kermany et al. 2018, doi 10.17632/rscbjbr9sj, CC BY 4.0); 70 films
of the train split are from the COVID-19 image data collection (arXiv 2003.11597), most of adults. A
tenth of the train split, by patient and under fixed acquisition shifts, chose epoch and threshold.
The test split chose nothing of this network; what was learned from earlier looks at it, before
there was this recipe, is told in benchmarks/README.md, and each look in benchmarks/test_ledger.csv.

## Results

On the {n} films of the official test split, {n_normal} Normal and {n_pneumonia} Pneumonia, by this
one network, one pass and no ensemble:

{overall}

Intervals are Wilson's for proportions, and a bootstrap over patients for the rest.
Of {n_normal} normal films {false_positives} are called Pneumonia; of {n_pneumonia} films of
pneumonia {false_negatives} are missed.

{subtypes}

COVID-19: n = 0 in the test split, so there is no claim about it.

## Limits

- **Children, one hospital.** How well it reads adults, other hospitals or other machines was not
  measured.
- **A shift of style.** The films of the test split are framed and exposed otherwise than those of
  the train split, and the model reads them less well than it reads its validation split. Expect
  the same, or worse, of films from elsewhere: evaluate it on yours (`cxrdiag eval --run shipped`).
- **Patients.** Patient numbers restart, or do not, for each kind of film: this is not known for
  certain. By the number with its kind no patient is in both train and test.
- **Prevalence.** Five films in eight of the test split show a pneumonia. Where it is rarer, most of
  the films that are called Pneumonia will be normal ones.
- **Labels** are physicians' readings of the films, not a laboratory's findings.
"""


def model_card(info: ModelInfo, metrics: dict[str, Any]) -> str:
    """Markdown; `metrics` is what `evaluate` returned for the test split."""
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
        n=metrics["n"],
        n_normal=metrics["n_normal"],
        n_pneumonia=metrics["n_pneumonia"],
        false_positives=metrics["false_positives"],
        false_negatives=metrics["false_negatives"],
        overall=_table("", _METRICS, metrics),
        subtypes=_subtypes(metrics),
    )


def _table(what: str, names: dict[str, str], metrics: dict[str, Any]) -> str:
    lines = [f"| {what} | | 95 % interval |", "|---|---|---|"]
    for name, shown in names.items():
        interval = metrics.get(f"{name}_ci95")
        span = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-"
        lines.append(f"| {shown} | {metrics[name]:.3f} | {span} |")
    return "\n".join(lines)


def _subtypes(metrics: dict[str, Any]) -> str:
    kinds = [key.removesuffix("_sensitivity") for key in metrics if key.endswith("_sensitivity")]
    names = {}
    for kind in kinds:
        n = metrics[f"{kind}_n"]
        names[f"{kind}_sensitivity"] = f"sensitivity, {kind} (n = {n})"
        names[f"{kind}_auroc"] = f"AUROC, {kind} against all normal films"
    return _table("by subtype", names, metrics)
