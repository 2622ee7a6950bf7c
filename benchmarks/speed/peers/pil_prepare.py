"""The preparation a user would write: open, convert, resize, one file after the other.

python pil_prepare.py FOLDER OUT.npy [--size 256] [--processes 1]
"""

import argparse
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--size", type=int, default=256)
parser.add_argument("--processes", type=int, default=1)
args = parser.parse_args()


def read(path: Path) -> np.ndarray:
    """One file as a gray square."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((args.size, args.size), Image.BILINEAR))


if __name__ == "__main__":
    paths = sorted(args.folder.rglob("*.jpeg"))
    if args.processes > 1:
        with Pool(args.processes) as pool:
            images = pool.map(read, paths, chunksize=8)
    else:
        images = [read(path) for path in paths]
    np.save(args.out, np.stack(images))
