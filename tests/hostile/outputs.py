"""Places where no store can be, or where it is another's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.hostile.place import Case, NotHereError, Place

NO_STORE = "not_a_store"
FILE = "file_error"


def outputs() -> Iterator[Case]:
    def at(place: Place, path: str) -> None:
        place.out = place.root / path

    def case(name: str, path: str, code: str = "", says: str = "") -> Case:
        return Case(name=f"output: {name}", make=partial(at, path=path), code=code, says=says)

    yield case("in the data set's folder", "data set/stores/a")
    yield case("the data set's folder", "data set", NO_STORE, "more than a store")
    yield case("the folder above", ".", NO_STORE, "more than a store")
    yield case("the metadata", "data set/Chest_xray_Corona_Metadata.csv", NO_STORE)
    yield case("below a file", "outside/secret.jpeg/store", FILE, "irectory")
    yield case("a name too long", "stores/" + "a" * 300, FILE, "name too long")
    yield case("a name as long as can be", "stores/" + "a" * 255, FILE, "name too long")
    yield case("many folders that are not there", "stores/a/b/c/d")
    yield case("a name of commands", "stores/=cmd() $(id)")
    yield case("a device", "/dev/null", NO_STORE)
    yield case("a device that is full", "/dev/full", NO_STORE)
    yield case("in the kernel's files", "/proc/cxrdiag", FILE, "/proc/cxrdiag")
    yield case("in the kernel's other files", "/sys/cxrdiag", FILE, "/sys/cxrdiag")

    def linked(place: Place, target: str, folder: bool = False) -> None:
        path = place.root / target
        if folder:
            path.mkdir()
        place.out.symlink_to(path)

    yield Case(
        name="output: a link to an empty folder",
        make=partial(linked, target="elsewhere", folder=True),
        holds=lambda p: p.out.is_symlink() and (p.root / "elsewhere/store.json").is_file(),
    )
    yield Case(
        name="output: a link to nothing", make=partial(linked, target="elsewhere"),
        holds=lambda p: p.out.is_symlink() and (p.root / "elsewhere/store.json").is_file(),
    )  # fmt: skip
    yield Case(
        name="output: a link to the data set", make=partial(linked, target="data set"),
        code=NO_STORE, says="more than a store",
    )  # fmt: skip
    yield Case(
        name="output: a link to itself", make=lambda p: p.out.symlink_to(p.out), code=FILE,
        says="link",
    )  # fmt: skip

    def holds(place: Place, name: str) -> None:
        place.out.mkdir()
        (place.out / name).write_text("somebody's")

    for name in ("notes.txt", "store.json"):
        yield Case(
            name=f"output: a folder with {name}", make=partial(holds, name=name), code=NO_STORE,
            says=name,
        )  # fmt: skip


def disks() -> Iterator[Case]:
    def limited(place: Place, n: int) -> None:
        place.max_bytes = n

    for n in (100, 40_000):
        yield Case(
            name=f"output: files of at most {n} bytes", make=partial(limited, n=n), code=FILE,
            says="File too large",
        )  # fmt: skip

    def mounted(place: Place, *options: str) -> None:
        folder = place.root / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHereError("no disk can be mounted") from error
        place.undo.append(lambda: subprocess.run(["umount", str(folder)], check=True))
        place.out = Path(folder, "store")

    yield Case(
        name="output: a full disk", make=lambda p: mounted(p, "-o", "size=40k"), code=FILE,
        says="No space left", heavy=True,
    )  # fmt: skip
    yield Case(
        name="output: a disk with room for no file",
        make=lambda p: mounted(p, "-o", "nr_inodes=2"), code=FILE, says="No space left", heavy=True,
    )  # fmt: skip
    yield Case(
        name="output: a read-only disk", make=lambda p: mounted(p, "-o", "ro"), code=FILE,
        says="Read-only", heavy=True,
    )  # fmt: skip
