"""Whatever file comes in is read, and read right, or refused with the code that is its own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_files

from cxrdiag.data.image import read_picture
from cxrdiag.errors import DataError
from tests.corpus import corpus
from tests.corpus.made import SCENE, Case, dicom, saved

SIDE = 16
CASES = corpus()
PLAIN = np.asarray(Image.fromarray(SCENE).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def test_there_are_enough_and_no_two_are_named_alike() -> None:
    assert len(CASES) > 450
    assert len({case.name for case in CASES}) == len(CASES)
    readme = Path(__file__).parents[2] / "README.md"
    assert f"tested with {len(CASES)} synthetic files" in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_is_read_or_refused(case: Case) -> None:
    if case.code is None:
        picture = read_picture(case.data, SIDE, case.name)
        np.testing.assert_allclose(
            picture.pixels_SS.astype(int), PLAIN.astype(int), atol=case.lossy
        )
    else:
        with pytest.raises(DataError) as caught:
            read_picture(case.data, SIDE, case.name)
        assert caught.value.code == case.code
        assert caught.value.path == case.name
        assert "\n" not in str(caught.value)


def test_predict_answers_a_folder_of_all_of_them(tmp_path: Path, cxrdiag_command) -> None:
    for case in CASES:
        (tmp_path / case.name).write_bytes(case.data)
    outcome = cxrdiag_command("predict", "--json", *sorted(tmp_path.iterdir()))
    document = json.loads(outcome.out)
    assert outcome.code == 3
    assert outcome.err == ""
    codes = Counter(error["code"] for error in document["errors"])
    assert codes == Counter(case.code for case in CASES if case.code)
    assert len(document["diagnoses"]) == sum(case.code is None for case in CASES)


def test_the_files_that_come_with_pydicom_pass_through_the_same_gate() -> None:
    files = [Path(name) for name in get_testdata_files()]
    codes: Counter[str] = Counter()
    for path in filter(Path.is_file, files):
        try:
            read_picture(path.read_bytes(), SIDE, path)
            codes["read"] += 1
        except DataError as error:
            codes[error.code] += 1
    assert sum(codes.values()) > 150
    assert codes["read"] > 25
    assert set(codes) == {
        "read", "not_a_radiograph", "not_a_chest", "no_picture", "several_pictures",
        "unreadable_dicom", "unsupported_pixels", "unsupported_format",
    }  # fmt: skip


def probability(data: bytes, path: Path, shipped) -> float:
    path.write_bytes(data)
    answer = shipped.diagnose(path).probability
    assert answer is not None
    return float(answer)


@pytest.fixture(scope="module")
def forced():
    import cxrdiag

    return cxrdiag.load("shipped", "cpu", force=True)


def film() -> NDArray[np.uint16]:
    """12 bits, of no gray level of 8."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.random((9, 8)).astype(np.float32))
    return (
        np.asarray(coarse.resize((300, 340), Image.Resampling.BICUBIC)).clip(0, 1) * 4095
    ).astype(np.uint16)


def test_white_at_0_and_black_at_0_give_one_probability(tmp_path: Path, forced) -> None:
    tags: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
    second = dicom(film(), **tags)
    first = dicom(4095 - film(), PhotometricInterpretation="MONOCHROME1", **tags)
    p1 = probability(first, tmp_path / "1.dcm", forced)
    assert p1 == pytest.approx(probability(second, tmp_path / "2.dcm", forced), abs=1e-6)


def test_a_dicom_and_the_png_of_what_it_shows_give_one_probability(tmp_path: Path, forced) -> None:
    data = dicom(film(), BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    shown = np.rint(film() * (255 / 4095)).astype(np.uint8)
    as_dicom = probability(data, tmp_path / "a.dcm", forced)
    as_png = probability(saved(Image.fromarray(shown), "PNG"), tmp_path / "a.png", forced)
    assert as_dicom == pytest.approx(as_png, abs=1e-3)
