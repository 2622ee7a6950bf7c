"""A model folder and image files -> Diagnoses. A bad file is reported, the others go on."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrdiag.cores import n_cores
from cxrdiag.data.find import find_images, is_map
from cxrdiag.data.image import Picture, read_bytes, read_picture
from cxrdiag.data.kaggle import NORMAL, PNEUMONIA
from cxrdiag.errors import DataError, UsageError
from cxrdiag.evaluation.words import share
from cxrdiag.inference.abstain import UNLIKE, why_not
from cxrdiag.inference.backend import load_backend
from cxrdiag.inference.diagnosis import Diagnosis, Failure, in_words
from cxrdiag.inference.heatmap import SIDE, write_heatmap
from cxrdiag.inference.paths import (
    anonymous_heatmap_path,
    anonymous_name,
    expand,
    heatmap_paths,
)
from cxrdiag.model.answers import check_finite
from cxrdiag.model.info import DEFAULT_POINT
from cxrdiag.model.probability import probability

_BATCH = min(16 * n_cores(), 128)
"""Files in hand at once."""


@dataclass(frozen=True, slots=True)
class _Film:
    """One file that was read."""

    file: str
    """What it is called."""
    image_SS: NDArray[np.uint8]
    shown: Picture | None
    """To draw a map over, where one is wanted."""


class Predictor:
    """A loaded model, ready to diagnose files."""

    def __init__(
        self,
        model: Path,
        device: str = "auto",
        operating_point: str = DEFAULT_POINT,
        force: bool = False,
        backend: str = "auto",
    ) -> None:
        """Load the model folder `model`, to call films at one of its operating points.

        `device` and `backend` as of `load_backend`. With `force` it answers whatever a picture
        shows. Raises ModelError where the model cannot be used, UsageError for an operating point
        that it does not have, and for an unknown device or backend.
        """
        self.model = model
        self._force = force
        self._operating_point = operating_point
        self.classifier = load_backend(model, device, backend).at(operating_point)

    def diagnose(self, path: Path | str, heatmap: Path | str | None = None) -> Diagnosis:
        """Diagnose one file, and draw its activation map to the PNG `heatmap` if given.

        It abstains, and draws nothing, where the picture does not look like an upright frontal
        chest X-ray. Raises DataError where the file cannot be read, UsageError where something
        else than a map lies at `heatmap`, ModelError where the answer is no number, and OSError
        where the map cannot be written.
        """
        if heatmap is not None and os.path.lexists(heatmap) and not is_map(Path(heatmap)):
            raise UsageError(
                "something else than a map is there already",
                path=Path(heatmap),
                hint="give the map another name; nothing was changed",
                code="not_a_map",
            )
        film = self._decode(str(path), read_bytes(Path(path)), drawn=heatmap is not None)
        diagnosis, map_hw = self._diagnose([film], with_maps=heatmap is not None)[0]
        return diagnosis if heatmap is None else _drawn(diagnosis, film, map_hw, Path(heatmap))

    def diagnose_all(
        self,
        files: Sequence[Path | str] | Path | str,
        heatmap_dir: Path | str | None = None,
        *,
        anonymous: bool = False,
    ) -> Iterator[Diagnosis | Failure]:
        """Diagnose files in order, decoding on all cores; a bad one gives a Failure.

        Of a folder all images below it (`expand`); one without any is a Failure `no_images`.
        Where `anonymous`, files go by a hash of what is in them (`anonymous_name`). Files are read
        a batch at a time as the iterator comes to it, and maps drawn film by film: without a loop
        over it nothing is done. Of a map that cannot be written the Diagnosis tells why.
        The iterator raises as `diagnose` does where the model cannot be used.
        """
        paths = expand([Path(f) for f in ([files] if isinstance(files, str | Path) else files)])
        folder = None if heatmap_dir is None else Path(heatmap_dir)
        heatmaps = heatmap_paths(paths, None if anonymous else folder)
        return self._diagnose_in_turn(paths, heatmaps, folder, anonymous=anonymous)

    def _diagnose_in_turn(
        self,
        paths: Sequence[Path],
        heatmaps: Sequence[Path | None],
        folder: Path | None,
        *,
        anonymous: bool,
    ) -> Iterator[Diagnosis | Failure]:
        read = functools.partial(self._read, anonymous=anonymous, drawn=folder is not None)
        with ThreadPoolExecutor(n_cores()) as pool:
            for start in range(0, len(paths), _BATCH):
                films = list(pool.map(read, paths[start : start + _BATCH]))
                maps = heatmaps[start : start + _BATCH]
                if anonymous and folder is not None:
                    maps = [anonymous_heatmap_path(film.file, folder) for film in films]
                yield from self._diagnose_chunk(films, maps)

    def _diagnose_chunk(
        self, films: Sequence[_Film | Failure], heatmaps: Sequence[Path | None]
    ) -> Iterator[Diagnosis | Failure]:
        good = [film for film in films if isinstance(film, _Film)]
        diagnosed = iter(self._diagnose(good, with_maps=any(heatmaps)) if good else [])
        for film, heatmap in zip(films, heatmaps, strict=True):
            if isinstance(film, Failure):
                yield film
                continue
            diagnosis, map_hw = next(diagnosed)
            if heatmap is not None:
                try:
                    diagnosis = _drawn(diagnosis, film, map_hw, heatmap)
                except OSError as error:  # a full disk, a name too long
                    why = error.strerror or str(error)
                    diagnosis = dataclasses.replace(diagnosis, heatmap_error=why)
            yield diagnosis

    def _read(self, path: Path, *, anonymous: bool, drawn: bool) -> _Film | Failure:
        # Once, whatever is wanted of it: a pipe can be read no second time, and a file may be gone.
        name = "unreadable" if anonymous else str(path)
        try:
            if os.path.isdir(path):
                find_images(path)  # there are none, or it cannot be listed
                return Failure(name, "no_images", "no image in this folder")
            data = read_bytes(path)
            name = anonymous_name(data) if anonymous else name
            return self._decode(name, data, drawn=drawn)
        except DataError as error:
            message = "; ".join(filter(None, (error.message, error.hint)))
            return Failure(name, error.code, message)

    def _decode(self, name: str, data: bytes, *, drawn: bool) -> _Film:
        picture = read_picture(data, self.classifier.info.image_size, name)
        return _Film(name, picture.pixels_SS, read_picture(data, SIDE, name) if drawn else None)

    def _diagnose(
        self, films: Sequence[_Film], *, with_maps: bool
    ) -> list[tuple[Diagnosis, NDArray[np.float32] | None]]:
        """Of each film what is said of it, and its map (h, w) in logits where they are wanted."""
        info = self.classifier.info
        images_BSS = np.stack([film.image_SS for film in films])
        answers = self.classifier.answer(images_BSS, with_maps=with_maps)
        logits_B, detected = answers.logits_B, answers.detected
        check_finite(logits_B, detected.film_scores_B, detected.distances_B)
        probabilities_B = probability(logits_B, info.temperature)
        maps = [None] * len(films) if answers.maps_Bhw is None else answers.maps_Bhw
        diagnoses = []
        for i, (film, map_hw) in enumerate(zip(films, maps, strict=True)):
            is_film = bool(detected.film_scores_B[i] >= 0)
            diagnosis = self._judge(film.file, float(probabilities_B[i]), is_film)
            if not is_film:
                reason = why_not(self.classifier, film.image_SS)
                diagnosis = dataclasses.replace(diagnosis, reason=reason)
            elif detected.distances_B[i] > 1:
                diagnosis = dataclasses.replace(diagnosis, warning=UNLIKE)
            diagnoses.append((diagnosis, map_hw))
        return diagnoses

    def _judge(self, file: str, p: float, is_film: bool) -> Diagnosis:
        info, answers = self.classifier.info, is_film or self._force
        label = PNEUMONIA if p >= info.threshold else NORMAL
        point = info.point(self._operating_point)
        low, high = info.uncertain_range()
        return Diagnosis(
            file=file,
            label=label if answers else None,
            probability=p if answers else None,
            prevalence=info.prevalence,
            operating_point=self._operating_point,
            threshold=info.threshold,
            validation_sensitivity=point.sensitivity if is_film else None,
            validation_sensitivity_ci95=point.sensitivity_ci95 if is_film else None,
            validation_specificity=point.specificity if is_film else None,
            validation_specificity_ci95=point.specificity_ci95 if is_film else None,
            uncertain_from=low,
            uncertain_below=high,
            uncertain=answers and (not is_film or info.is_uncertain(p)),
            abstained=not answers,
            forced=answers and not is_film,
        )


def _drawn(
    diagnosis: Diagnosis, film: _Film, map_hw: NDArray[np.float32] | None, heatmap: Path
) -> Diagnosis:
    """The same, its map drawn to the PNG `heatmap`; there is none of what got no answer."""
    if map_hw is None or film.shown is None or diagnosis.abstained:
        return diagnosis
    said = f"probability {share(diagnosis.probability)}, threshold {share(diagnosis.threshold)}"
    write_heatmap(heatmap, film.shown, map_hw, f"{in_words(diagnosis)}: {said}")
    return dataclasses.replace(diagnosis, heatmap=str(heatmap))
