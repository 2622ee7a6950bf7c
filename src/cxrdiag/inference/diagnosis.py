"""What is said of one file."""

from __future__ import annotations

from dataclasses import dataclass

from cxrdiag.model.info import NOTICE


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the model says of one X-ray."""

    file: str
    label: str | None
    """`Normal` or `Pneumonia`; None when abstained."""
    probability: float | None
    """Of pneumonia, 0 to 1; None when abstained."""
    prevalence: float
    """Share of pneumonia among films for which the probability holds."""
    operating_point: str
    threshold: float
    """That of the operating point: the label is Pneumonia from this probability on."""
    validation_sensitivity: float | None
    validation_sensitivity_ci95: tuple[float, float] | None
    validation_specificity: float | None
    validation_specificity_ci95: tuple[float, float] | None
    """Those of the operating point, on the shifted validation films that chose it, with their 95 %
    intervals; None where the picture is taken for no such film, refused or forced."""
    uncertain_from: float
    uncertain_below: float
    """Between these probabilities films of both kinds are found."""
    uncertain: bool
    """Whether the probability lies there, or the answer is forced."""
    abstained: bool = False
    forced: bool = False
    """Whether it answered only because it was told to, and would have abstained."""
    reason: str | None = None
    """Why it abstained, or would have."""
    warning: str | None = None
    """What makes a film's answer less to be trusted; that there is none means little."""
    heatmap: str | None = None
    """The picture of the activation map, where one was asked for."""
    heatmap_error: str | None = None
    """Why there is none, where it could not be written."""
    notice: str = NOTICE


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that could not be read."""

    file: str
    code: str
    message: str


def in_words(diagnosis: Diagnosis) -> str:
    """The answer and how much it is one: `Normal`, `uncertain, Pneumonia if anything`, ..."""
    if diagnosis.abstained:
        return "no answer"
    answer = str(diagnosis.label)
    if diagnosis.uncertain:
        answer = f"uncertain, {answer} if anything"
    return f"{answer} (forced)" if diagnosis.forced else answer
