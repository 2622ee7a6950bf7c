"""cxrdiag: from a folder of chest X-rays to a pneumonia classifier, and one line for one X-ray.

>>> import cxrdiag
>>> model = cxrdiag.load("shipped")             # or a run's folder, or no name: the newest run
>>> model.diagnose("xray.jpeg").probability     # doctest: +SKIP
0.97

Of several files `model.diagnose_all` gives a cxrdiag.Diagnosis or cxrdiag.Failure each. Errors are
cxrdiag.CxrdiagError and its children. For research and education; not a medical device.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxrdiag.errors import CxrdiagError, DataError, ModelError, TrainingError, UsageError

if TYPE_CHECKING:
    from cxrdiag.inference.diagnosis import Diagnosis, Failure
    from cxrdiag.inference.predictor import Predictor

__all__ = [
    "CxrdiagError",
    "DataError",
    "Diagnosis",
    "Failure",
    "ModelError",
    "Predictor",
    "TrainingError",
    "UsageError",
    "load",
]
__version__ = "0.1.0"


def load(
    run: Path | str | None = None,
    device: str = "auto",
    *,
    operating_point: str = "balanced",
    force: bool = False,
    backend: str = "auto",
) -> Predictor:
    """Load a trained model: a run folder, or "shipped", the one that comes with the package.

    Without a name the newest run under `runs/` of the current folder, or where there is none, the
    shipped model. `device` is cpu, cuda, mps, or auto: the processor, unless `backend` is torch and
    there is a CUDA GPU. `operating_point` names the threshold from which a film is called
    Pneumonia, one of those in model.json: balanced, youden, sensitivity=0.95, specificity=0.95,
    ...; with `force` it answers even where it would abstain. `backend` is onnx, torch, or auto:
    onnx, but for a device other than the processor. Raises ModelError where the model cannot be
    used, UsageError for an unknown device, backend or operating point.
    """
    # Inside, so that importing cxrdiag costs nothing.
    from cxrdiag.inference.predictor import Predictor
    from cxrdiag.runs import find_model

    return Predictor(find_model(run), device, operating_point, force, backend)


def __getattr__(name: str) -> object:
    """What takes NumPy and more, when it is asked for: importing cxrdiag costs nothing."""
    if name in ("Diagnosis", "Failure", "Predictor"):
        from cxrdiag.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
