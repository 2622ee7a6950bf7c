"""Folders of films that a race needs: copies of real ones, made once, never committed."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path


def all_films(data: Path, target: Path) -> Path:
    """All films of CoronaHack in folders of split and class, as ImageFolder wants them."""

    def named() -> Iterator[tuple[Path, str]]:
        for record in _records(data):
            yield record.path, f"{record.split}/{record.label}/{record.path.name}"

    return _copied(named(), target)


def few_films(data: Path, target: Path, n: int) -> Path:
    """`n` training films of CoronaHack, half of each class, and ten of each to validate."""

    def named() -> Iterator[tuple[Path, str]]:
        records = [record for record in _records(data) if record.split == "train"]
        for label, name in (("Normal", "NORMAL"), ("Pneumonia", "PNEUMONIA")):
            # Not the first ones, so that there are many patients.
            chosen = [record for record in records if record.label == label][::3]
            for i, record in enumerate(chosen[: n // 2 + 10]):
                yield record.path, f"{'train' if i < n // 2 else 'val'}/{name}/{record.path.name}"

    return _copied(named(), target)


def repeated(films: Path, target: Path, n: int) -> Path:
    """`n` films: those of a folder, each as often as it takes."""

    def named() -> Iterator[tuple[Path, str]]:
        paths = itertools.cycle(sorted(films.rglob("*.jpeg")))
        for number, path in enumerate(itertools.islice(paths, n)):
            yield path, f"train/{path.parent.name}/{path.stem}-{number}.jpeg"

    return _copied(named(), target)


def _records(data: Path) -> list:
    # Here: what this process has in memory slows down the start of others.
    from cxrdiag.data.layouts import read_dataset

    return read_dataset(data)[0]


def _copied(named: Iterator[tuple[Path, str]], target: Path) -> Path:
    """Copies of films under these names; none are made where the folder is there."""
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        for film, name in named:
            copy = unfinished / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film, copy)
        unfinished.rename(target)
    return target
