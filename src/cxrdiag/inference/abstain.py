"""What is said of a picture that is no frontal chest X-ray, or one unlike those of training.

Shapes: S side of a decoded square.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxrdiag.inference.backend import Backend

LIKE = (
    "no sign that it is unlike the training films; that is no proof: some films of adults, or from "
    "other machines, show no such sign"
)
UNLIKE = (
    "it seems unlike the training films (perhaps an adult, another machine, a portable film or "
    "other framing: it cannot be told for sure), and how well such films are read was not measured"
)
NOT_A_FILM = "it does not look like an upright frontal chest X-ray"
_REMEDIES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "rotated by 180 degrees": lambda image_SS: image_SS[::-1, ::-1],
    "rotated by 90 degrees anticlockwise": np.rot90,
    "rotated by 90 degrees clockwise": lambda image_SS: np.rot90(image_SS, -1),
    "with black and white exchanged": lambda image_SS: 255 - image_SS,
}
_SURE = 1.0
"""Score from which a remedy is told: more than just passing."""


def why_not(classifier: Backend, image_SS: NDArray[np.uint8]) -> str:
    """The reason for which a decoded square is refused.

    Where it would look like a film after a turn, or with black and white exchanged, that is said.
    """
    if image_SS.min() == image_SS.max():
        return f"{NOT_A_FILM}: it is blank"
    mended = np.stack([mend(image_SS) for mend in _REMEDIES.values()])
    scores = classifier.answer(mended).detected.film_scores_B
    best = int(scores.argmax())
    if scores[best] < _SURE:
        return NOT_A_FILM
    return f"{NOT_A_FILM}; {list(_REMEDIES)[best]} it would look like one"
