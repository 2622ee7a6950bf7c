"""What Kaggle's data sets say of an image: its label, its split, and its patient by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from cxrdiag.data.find import DICOM_SUFFIXES, has_no_suffix_but_a_number

NORMAL, PNEUMONIA = "Normal", "Pneumonia"
SPLITS = ("train", "val", "test")
METADATA = "Chest_xray_Corona_Metadata.csv"

_PERSON = re.compile(r"(?P<number>person\d+)_(?P<kind>virus|bacteria)_")
_NORMAL_SCAN = re.compile(r"(?:NORMAL2-)?(?P<number>IM-\d+)-")


@dataclass(frozen=True, slots=True)
class Record:
    """One image file and what the data set says about it."""

    name: str
    """The file's name as the metadata lists it, or its path below the data set's folder."""
    path: Path
    label: str
    """`Normal` or `Pneumonia`."""
    split: str
    """`train`, `val` or `test`, as published."""
    patient: str
    """The cautious patient key, or "" where the name tells none: ids are never invented."""
    subtype: str
    """`bacterial`, `viral`, `COVID-19`, `SARS`, ...; "" for Normal."""


def patient_of(name: str) -> str:
    """The cautious patient key of a file name: number and kind, or "" when there is none.

    No IM-0001 of DICOM files: some viewers call the first series of whatever patient so.

    >>> patient_of("person90_bacteria_443.jpeg"), patient_of("NORMAL2-IM-0381-0001.jpeg")
    ('person90_bacteria', 'NORMAL2-IM-0381')
    """
    if match := _PERSON.match(name):
        return f"{match['number']}_{match['kind']}"
    path = PurePath(name)
    may_be_dicom = path.suffix.lower() in DICOM_SUFFIXES or has_no_suffix_but_a_number(path)
    if not may_be_dicom and (match := _NORMAL_SCAN.match(name)):
        return match[0][:-1]
    return ""


def series(patient: str) -> str:
    """The part of a patient key before its number: `IM` or `NORMAL2-IM`, `person`; "" for none.

    Films of one series were numbered together, and may have been taken together.
    """
    return re.split(r"\d+(?:_|$)", patient)[0].rstrip("-")


def bare_person_number(patient: str) -> str:
    """`person90` of `person90_virus` and of `person90_bacteria`; "" for other keys.

    Whether the published numbering restarts for each kind is not known for certain, so
    `prepare` counts the overlap of train and test under both readings.
    """
    match = _PERSON.match(patient + "_")
    return match["number"] if match else ""


def bare_normal_number(patient: str) -> str:
    """`IM-0381` of `IM-0381` and of `NORMAL2-IM-0381`; "" for other keys."""
    match = _NORMAL_SCAN.match(patient + "-")
    return match["number"] if match else ""
