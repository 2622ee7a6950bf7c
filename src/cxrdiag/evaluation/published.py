"""What others report for the data of Kermany et al., and on which split of it.

Only numbers on the official test split compare with those of a run there: a new random split tests
on films framed and exposed as those of training, often of the same children.
"""

from __future__ import annotations

from dataclasses import dataclass

OFFICIAL = (624, 234)
"""Films of the official test split, and how many of them are normal."""


@dataclass(frozen=True)
class Published:
    """One report; None for what it does not tell."""

    who: str
    where: str
    split: str
    """The official one, another, or one that was tuned on too; as far as is known."""
    accuracy: float
    auroc: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None


_CELL = "doi 10.1016/j.cell.2018.02.010"
_MEDMNIST = "doi 10.1038/s41597-022-01721-8"
PUBLISHED = (
    Published("Kermany et al. 2018", _CELL, "official split", 0.928, 0.968, 0.932, 0.901),
    Published("PneumoniaMNIST, ResNet-18", _MEDMNIST, "official split", 0.864, 0.956),
    Published("PneumoniaMNIST, ResNet-50", _MEDMNIST, "official split", 0.884, 0.962),
    Published("PneumoniaMNIST, AutoKeras", _MEDMNIST, "official split", 0.878, 0.947),
    Published("PneumoniaMNIST, Google AutoML Vision", _MEDMNIST, "official split", 0.946, 0.991),
    # Its validation accuracy of 0.875 is fourteen of the sixteen films of the official one.
    Published("Trivedi and Gupta 2021", "doi 10.1007/s11042-021-11807-x", "official split", 0.942),
    # Five folds of all films, normal and not.
    Published(
        "Kundu et al. 2021", "doi 10.1371/journal.pone.0256630", "re-split", 0.988, None, 0.988
    ),
    # 523 films out of the official train split.
    Published("Roy Choudhury 2026", "arXiv 2601.00837", "re-split", 0.994, 0.999, 0.995),
    # Two parts, 3,722 films to train and 2,134 to validate: what it reports is of the latter.
    Published("Stephen et al. 2019", "doi 10.1155/2019/4180949", "re-split, tuned on test", 0.937),
    Published("Hashmi et al. 2020", "PMC7345724", "not known to us", 0.984, 0.998),
)
"""How often any of them looked at the test films is not known."""
