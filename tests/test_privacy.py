"""What a file says of a patient appears nowhere: not on the screen, in no file, in no message."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxrdiag.data.image import read_picture
from cxrdiag.data.phantom.dataset import IMAGES
from cxrdiag.errors import DataError
from tests.corpus.made import SCENE, dicom, saved

CANARY = "Zz9Canary"
TAGS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientAddress",
    "PatientComments", "PatientTelephoneNumbers", "PatientMotherBirthName", "OtherPatientNames",
    "OtherPatientIDs", "EthnicGroup", "Occupation", "AdditionalPatientHistory", "AccessionNumber",
    "StudyID", "StudyDescription", "SeriesDescription", "StudyDate", "StudyTime",
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "ProtocolName",
    "ImageComments", "DeviceSerialNumber", "Manufacturer", "RequestingPhysician",
)  # fmt: skip
assert len(TAGS) >= 30
SHOWN = ("Modality", "BodyPartExamined", "ViewPosition", "PhotometricInterpretation")
"""Tags that decide what becomes of a file: a canary in one of them must not come back either."""


def marked(**more: str) -> bytes:
    """With a canary as the value of every tag."""
    tags: dict[str, Any] = {tag: f"{CANARY}{i}" for i, tag in enumerate(TAGS)} | more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's: a date is no date
        return dicom(SCENE, **tags)


def files(folder: Path) -> None:
    whole = marked()
    slope = b"\x28\0\x53\x10DS\x02\x001 "
    sloped = marked(RescaleSlope="1")
    assert slope in sloped
    for name, data in {
        "good": whole,
        "cut": whole[:-500],
        "header": whole[:900],
        "slope": sloped.replace(slope, slope[:6] + b"\x0a\0" + f"{CANARY} ".encode()),
        **{tag: marked(**{tag: CANARY}) for tag in SHOWN},
    }.items():
        (folder / f"{name}.dcm").write_bytes(data)
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298, 0x9286):  # description, make, artist, ...
        exif[tag] = CANARY
    info = PngInfo()
    info.add_text("Comment", CANARY)
    film = Image.fromarray(SCENE)
    for name, data in (
        ("a.jpg", saved(film, "JPEG", exif=exif, comment=CANARY.encode())),
        ("a.png", saved(film, "PNG", exif=exif, pnginfo=info)),
        ("a.tif", saved(film, "TIFF", tiffinfo={270: CANARY, 315: CANARY})),
        ("a.webp", saved(film.convert("RGB"), "WEBP", exif=exif)),
    ):
        assert CANARY.encode() in data
        (folder / name).write_bytes(data)
        (folder / f"cut-{name}").write_bytes(data[:-40])


@pytest.mark.slow
def test_canaries_appear_nowhere(tmp_path: Path) -> None:
    films, out, temporary = (tmp_path / name for name in ("films", "out", "temporary"))
    for folder in (films, out, temporary):
        folder.mkdir()
    files(films)
    assert sum(CANARY.encode() in path.read_bytes() for path in films.iterdir()) > 10
    said = b""
    for how in (["--json"], ["--force", "--heatmap", out / "maps", "--csv", out / "answers.csv"]):
        done = subprocess.run(
            [sys.executable, "-W", "always", "-m", "cxrdiag", "predict", films, *how],
            capture_output=True, env={**os.environ, "TMPDIR": str(temporary)}, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        said += done.stdout + done.stderr
    assert b"good.dcm" in said
    assert CANARY.encode() not in said
    left = [path for folder in (out, temporary) for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".png", ".csv"}
    assert not [path for path in left if CANARY.encode() in path.read_bytes()]


def test_no_logger_tells_what_is_wrong_with_a_value(caplog: pytest.LogCaptureFixture) -> None:
    data = marked(BodyPartExamined=CANARY)
    caplog.clear()
    with caplog.at_level("DEBUG", "pydicom"), pytest.raises(DataError) as caught:
        read_picture(data, 8)
    assert CANARY not in caplog.text + str(caught.value)
    assert caught.value.__cause__ is None


def test_anonymous_names_are_hashes_and_nothing_of_a_path_is_shown(
    tmp_path: Path, cxrdiag_command
) -> None:
    folder = tmp_path / CANARY
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        picture = Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8))
        (folder / f"{CANARY}-{i}.png").write_bytes(saved(picture, "PNG"))
    (folder / f"{CANARY}-bad.dcm").write_bytes(b"no film")
    options = [
        "--anonymous",
        "--force",
        "--heatmap",
        tmp_path / "maps",
        "--csv",
        tmp_path / "a.csv",
    ]
    outcome = cxrdiag_command("predict", folder, *options)
    assert outcome.code == 3
    shown = outcome.out + outcome.err + (tmp_path / "a.csv").read_text()
    assert CANARY not in shown.replace(str(tmp_path), "")
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    contents = [(folder / f"{CANARY}-{i}.png").read_bytes() for i in range(2)]
    assert names == sorted(f"{sha256(data).hexdigest()[:16]}.png" for data in contents)
    assert all(name[:16] in shown for name in names)


@pytest.mark.slow
def test_neither_store_nor_report_holds_what_files_say_of_a_patient(
    phantoms: Path, trained_run: Path, tmp_path: Path, cxrdiag_command
) -> None:
    raw = Path(shutil.copytree(phantoms, tmp_path / "raw"))
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = CANARY
    films = sorted((raw / IMAGES).rglob("*.jpeg"))
    for i, path in enumerate(films):
        with Image.open(path) as film:
            pixels = np.array(film.convert("L"))
            film.save(path, "JPEG", exif=exif, comment=CANARY.encode())
        if i % 3 == 0:  # whatever it is called
            path.write_bytes(dicom(pixels, PatientName=CANARY, StudyDescription=CANARY))
    films[0].write_bytes(marked(Modality=CANARY))
    assert sum(CANARY.encode() in path.read_bytes() for path in films) == len(films)
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    store = tmp_path / "store"
    outcomes = [
        cxrdiag_command("prepare", "--kaggle-dir", raw, "--out", store, "--size", 64),
        cxrdiag_command("eval", "--data", store, "--run", run),
        cxrdiag_command("audit", "--data", store),
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0]
    assert "not_a_radiograph" in (store / "store.json").read_text()
    assert not [o for o in outcomes if CANARY in o.out + o.err]
    made = [p for folder in (store, run) for p in folder.rglob("*") if p.is_file()]
    assert {"report.html", "records.csv"} <= {path.name for path in made}
    assert not [path for path in made if CANARY.encode() in path.read_bytes()]
