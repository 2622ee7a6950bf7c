"""The patient of an image is read from its name, or unknown."""

from __future__ import annotations

import pytest

from cxrdiag.data.kaggle import bare_normal_number, bare_person_number, patient_of


@pytest.mark.parametrize(
    ("name", "patient", "person", "normal"),
    [
        ("person90_bacteria_443.jpeg", "person90_bacteria", "person90", ""),
        ("person90_virus_169.jpeg", "person90_virus", "person90", ""),
        ("IM-0381-0001.jpeg", "IM-0381", "", "IM-0381"),
        ("IM-0381-0001-0002.jpeg", "IM-0381", "", "IM-0381"),
        ("NORMAL2-IM-0381-0001.jpeg", "NORMAL2-IM-0381", "", "IM-0381"),
        ("NORMAL-IM-0381-0001.jpeg", "", "", ""),
        ("aperson9_virus_1.jpeg", "", "", ""),
        ("person9.jpeg", "", "", ""),
        ("1-s2.0-S0929664620300449-gr2_lrg-a.jpg", "", "", ""),
        ("IM-0001-0001.dcm", "", "", ""),  # as a viewer exports whatever patient's first film
        ("IM-0001-0001", "", "", ""),
        ("IM-0001-0001.17", "", "", ""),
        ("person9_virus_1.DICOM", "person9_virus", "person9", ""),
    ],
)
def test_the_patient_is_read_from_the_name_or_unknown(
    name: str, patient: str, person: str, normal: str
) -> None:
    assert patient_of(name) == patient
    assert (bare_person_number(patient), bare_normal_number(patient)) == (person, normal)
