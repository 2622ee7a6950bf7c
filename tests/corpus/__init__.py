"""Files of every kind that may come in, and what is to become of each: made here, never stored.

A case is a name, the bytes, and the error code, or None where the file shows SCENE.
"""

from __future__ import annotations

import warnings

from tests.corpus.films import (
    dicom_colours,
    dicom_crowded,
    dicom_depths,
    dicom_malformed,
    dicom_syntaxes,
    dicom_tags,
    dicom_windows,
)
from tests.corpus.made import Case
from tests.corpus.pictures import damaged, pictures, too_large, turned


def corpus() -> list[Case]:
    """All of them, in a fixed order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is wrong with them
        return [
            *pictures(),
            *turned(),
            *damaged(),
            *too_large(),
            *dicom_syntaxes(),
            *dicom_depths(),
            *dicom_windows(),
            *dicom_colours(),
            *dicom_tags(),
            *dicom_malformed(),
            *dicom_crowded(),
        ]
