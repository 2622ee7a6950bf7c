"""A split comes in batches: every image once, each beside its own target, in a known order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrdiag.data.batches import Split, cut
from cxrdiag.data.phantom.dataset import write_coronahack
from cxrdiag.data.prepare import prepare
from cxrdiag.data.store import Store
from cxrdiag.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("batches")
    write_coronahack(folder / "raw", n_train=80, n_test=21, size=32)
    return prepare(folder / "raw", folder / "store", size=32)[0]


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_in_order_is_the_store_row_by_row(store: Store, name: str) -> None:
    split = Split(store, name, CPU)
    batches = list(split.in_order(8))
    images_NSS = torch.cat([images for images, _ in batches])
    targets_N = torch.cat([targets for _, targets in batches])
    mine = store.records["split"] == name
    assert len(split) == mine.sum() == len(images_NSS)
    assert images_NSS.dtype == torch.uint8
    np.testing.assert_array_equal(images_NSS.numpy(), store.images_NSS[mine.to_numpy()])
    assert targets_N.dtype == torch.float32
    assert targets_N.tolist() == (store.records["label"][mine] == "Pneumonia").tolist()


def test_every_image_is_beside_its_target_and_its_name(store: Store) -> None:
    split = Split(store, "test", CPU)
    known = {image.numpy().tobytes(): t for images, ts in split.in_order(50)
             for image, t in zip(images, ts.tolist(), strict=True)}  # fmt: skip
    assert len(known) == len(split) == 21  # no two pictures alike
    seen = [
        (image.numpy().tobytes(), target)
        for images, targets in map(split.batch, cut(torch.randperm(21), 4))
        for image, target in zip(images, targets.tolist(), strict=True)
    ]
    assert sorted(seen) == sorted(known.items())
    chosen = torch.tensor([5, 2])
    named = store.records.set_index("name").loc[split.names(chosen)]
    assert (named["label"] == "Pneumonia").tolist() == split.batch(chosen)[1].tolist()
    assert named.index.tolist() == store.records["name"][split.rows_N[[5, 2]]].tolist()


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 21), size=st.integers(1, 30))
def test_batches_are_few_and_of_nearly_one_length(n: int, size: int) -> None:
    order = torch.arange(20, 20 - n, -1)
    assert torch.equal(torch.cat(cut(order, size)), order)
    lengths = [len(chosen) for chosen in cut(order, size)]
    assert sum(lengths) == n
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(lengths) == -(-n // size)


def test_images_come_in_the_order_asked_for_even_twice(store: Store) -> None:
    split = Split(store, "val", CPU)
    chosen = torch.tensor([3, 0, 3])
    expected = np.stack([store.images_NSS[split.rows_N[i]] for i in (3, 0, 3)])
    images = split.images(chosen)
    np.testing.assert_array_equal(images.numpy(), expected)
    images.zero_()  # a copy: the store stays as it is
    np.testing.assert_array_equal(split.images(chosen).numpy(), expected)


def test_pixel_statistics_are_of_the_split_in_0_to_1(store: Store) -> None:
    split = Split(store, "train", CPU)
    pixels = store.images_NSS[split.rows_N] / 255.0
    assert split.pixel_statistics() == pytest.approx((pixels.mean(), pixels.std()), rel=1e-9)


def test_an_absent_split_is_refused(store: Store) -> None:
    with pytest.raises(DataError, match="no image in split 'holdout'"):
        Split(store, "holdout", CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_split_on_the_gpu_is_the_split_on_the_cpu(store: Store) -> None:
    gpu, cpu = (Split(store, "train", torch.device(d)) for d in ("cuda", "cpu"))
    for chosen in cut(torch.randperm(len(gpu)), 16):
        (x, y), (expected_x, expected_y) = gpu.batch(chosen), cpu.batch(chosen)
        assert x.device.type == y.device.type == "cuda"
        assert torch.equal(x.cpu(), expected_x)
        assert torch.equal(y.cpu(), expected_y)
