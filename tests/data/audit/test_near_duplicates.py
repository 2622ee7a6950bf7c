"""The perceptual hash and its pairs: against counting bit by bit, and on films saved again."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from PIL import Image

from cxrdiag.data.audit import near_duplicates
from cxrdiag.data.audit.near_duplicates import (
    MAX_DISTANCE,
    Pair,
    find_near_duplicates,
    perceptual_hash,
)
from cxrdiag.data.audit.thumbnails import look_at


def distance(a: np.ndarray, b: np.ndarray) -> int:
    return sum(int(x ^ y).bit_count() for x, y in zip(a.tolist(), b.tolist(), strict=True))


def of_ones(*counts: int) -> np.ndarray:
    """Hashes whose first `count` bits are set: they differ by the difference of their counts."""
    words = [[(1 << min(64, max(0, n - 64 * word))) - 1 for word in range(4)] for n in counts]
    return np.array(words, np.uint64)


@settings(deadline=None, max_examples=30)
@given(
    hashes=stnp.arrays(np.uint64, st.tuples(st.integers(0, 9), st.just(4))),
    tile=st.sampled_from([1, 2, 3, 1024]),
    data=st.data(),
)
def test_all_pairs_are_compared_once(hashes: np.ndarray, tile: int, data: st.DataObject) -> None:
    n = len(hashes)
    # The 256th bit is never set: a picture has 255.
    hashes = np.asarray(hashes & np.array([2**64 - 1] * 3 + [2**63 - 1], np.uint64), np.uint64)
    patients = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)), np.int64)
    files = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), np.int64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(near_duplicates, "_TILE", tile)
        found = find_near_duplicates(hashes, patients, files)
    different = [(i, j) for i, j in combinations(range(n), 2) if files[i] != files[j]]
    known = [(i, j) for i, j in different if patients[i] >= 0 and patients[j] >= 0]
    near = [Pair(distance(hashes[i], hashes[j]), i, j) for i, j in different]
    assert found.pairs == sorted(pair for pair in near if pair.distance <= MAX_DISTANCE)
    assert found.strangers == sum(patients[i] != patients[j] for i, j in known)


def test_strangers_and_own_pairs_are_told_apart() -> None:
    # Patients a, a, b, unknown; the last has the first one's very bytes.
    hashes = of_ones(0, 100, 20, 10, 0)
    found = find_near_duplicates(hashes, np.array([0, 0, 1, -1, 0]), np.array([0, 1, 2, 3, 0]))
    assert found.pairs == [
        Pair(10, 0, 3), Pair(10, 2, 3), Pair(10, 3, 4), Pair(20, 0, 2), Pair(20, 2, 4),
    ]  # fmt: skip
    assert (found.strangers, found.strangers_near) == (3, 2)
    assert (found.strangers_median, found.own_median) == (20, 100)


def test_nothing_is_claimed_of_pairs_that_are_not_there() -> None:
    found = find_near_duplicates(of_ones(0), np.array([0]), np.array([0]))
    assert (found.pairs, found.strangers_median, found.own_median) == ([], None, None)


def test_a_film_saved_again_is_near_and_another_film_is_not(films: list[Path]) -> None:
    images = [Image.open(film).convert("L").resize((256, 256)) for film in films]
    saved = []
    for image in images:
        buffer = io.BytesIO()
        image.resize((180, 180)).save(buffer, "JPEG", quality=40)
        saved.append(Image.open(buffer).resize((256, 256)))
    first, again = (
        look_at(np.stack([np.asarray(x) for x in group])).hashes_N4 for group in (images, saved)
    )
    distances = np.array([[distance(a, b) for b in again] for a in first])
    assert distances.diagonal().max() <= MAX_DISTANCE / 2
    assert distances[~np.eye(len(films), dtype=bool)].min() > MAX_DISTANCE


@pytest.mark.parametrize(("gain", "offset"), [(1, 30), (2, 0), (2, 17)])
def test_brightness_and_contrast_change_no_bit(gain: int, offset: int) -> None:
    noise = np.random.default_rng(0).integers(0, 100, (3, 64, 64)).astype(np.float32)
    changed = perceptual_hash(noise * gain + offset)
    assert perceptual_hash(noise).tolist() == changed.tolist()


def test_the_distances_of_many_films_are_told_by_those_of_some_whole_patients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    hashes = perceptual_hash(rng.random((600, 64, 64), np.float32))
    patients = np.repeat(np.arange(200), 3)
    hashes[::3] = hashes[1::3]  # two films of a patient are alike but for their bytes
    everyone = find_near_duplicates(hashes, patients, np.arange(600))
    assert (everyone.strangers, len(everyone.pairs)) == (600 * 597 // 2, 200)
    monkeypatch.setattr(near_duplicates, "_SAMPLED", 100)
    some = find_near_duplicates(hashes, patients, np.arange(600))
    assert some.pairs == everyone.pairs
    assert some.strangers == 102 * 99 // 2
    assert some.own_median == pytest.approx(everyone.own_median, abs=8)
    assert some.strangers_median == pytest.approx(everyone.strangers_median, abs=1)


def test_the_search_ends_where_all_films_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_MOST", 50)
    monkeypatch.setattr(near_duplicates, "_TILE", 10)
    found = find_near_duplicates(of_ones(*[0] * 40), np.full(40, -1), np.arange(40))
    assert (len(found.pairs), found.is_complete, found.strangers) == (50, False, 0)
