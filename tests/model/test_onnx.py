"""The graph answers as the network does, and stands on its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from cxrdiag.errors import ModelError
from cxrdiag.model import graph as graph_module
from cxrdiag.model.checkpoint import halved, load_model, save_model
from cxrdiag.model.detector import Detector
from cxrdiag.model.graph import build_graph, resize_matrix
from cxrdiag.model.info import DEFAULT_POINT, UNCERTAIN, ModelInfo, OperatingPoint
from cxrdiag.model.onnx import load_onnx
from cxrdiag.model.resnet import ResNet
from cxrdiag.model.weights import detector_shapes, read_weights

CPU = torch.device("cpu")
THREADS = Path("/proc/self/task")
POINT = OperatingPoint(
    threshold=0.4,
    sensitivity=0.9,
    sensitivity_ci95=(0.85, 0.99),
    specificity=0.9,
    specificity_ci95=(0.85, 0.95),
)
INFO = ModelInfo(
    arch="resnet18",
    width=8,
    image_size=80,
    resolution=64,
    mean=0.5,
    std=0.25,
    threshold=0.4,
    operating_points=dict.fromkeys((DEFAULT_POINT, *UNCERTAIN), POINT),
    cxrdiag_version="1.2.3",
)


def write(folder: Path, info: ModelInfo, *, half: bool = True) -> Path:
    """A model of random weights whose every part tells."""
    torch.manual_seed(0)
    network = ResNet(info.arch, width=info.width)
    for _ in range(3):  # statistics that are not those of a fresh network
        network(torch.randn(4, 1, info.resolution, info.resolution))
    for name, tensor in network.named_parameters():
        if "bn" in name or "downsample.1" in name:  # the last norm of a block starts at zero
            torch.nn.init.uniform_(tensor, 0.2, 1.0)
    shapes = detector_shapes(info.arch, info.width, directions=3)
    detector = Detector(**{name: torch.rand(shape) + 0.1 for name, shape in shapes.items()})
    weights = network.state_dict()
    save_model(folder, halved(weights) if half else weights, detector, info)
    return folder


def films(n: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((n, 1, 6, 6)))
    smooth = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    return np.asarray(smooth[:, 0].clamp(0, 1).mul(255).byte())


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    scale = np.abs(expected).max()
    assert 1e-3 < scale < np.inf
    np.testing.assert_allclose(found, expected, atol=2e-5 * scale)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(
    ("arch", "stored", "side"),
    [
        ("resnet18", 80, 64),
        ("resnet18", 96, 96),
        ("resnet18", 64, 72),
        ("resnet34", 64, 61),
        ("resnet50", 90, 64),
    ],
)
def test_it_answers_as_the_network_does(
    tmp_path: Path, arch: str, stored: int, side: int, mirror: bool
) -> None:
    info = replace(INFO, arch=arch, image_size=stored, resolution=side, mirror=mirror)
    write(tmp_path, info)
    images = films(3, stored)
    expected = load_model(tmp_path, CPU).answer(images, with_maps=True)
    found = load_onnx(tmp_path).answer(images, with_maps=True)
    close(found.logits_B, expected.logits_B)
    close(found.detected.film_scores_B, expected.detected.film_scores_B)
    close(found.detected.distances_B, expected.detected.distances_B)
    assert found.maps_Bhw is not None
    assert expected.maps_Bhw is not None
    close(found.maps_Bhw, expected.maps_Bhw)
    assert load_onnx(tmp_path).answer(images).maps_Bhw is None


@pytest.mark.parametrize(("old", "new"), [(256, 128), (256, 224), (64, 96), (100, 33), (7, 7)])
def test_resizing_is_torchs(old: int, new: int) -> None:
    x = torch.rand(1, 1, old, old, dtype=torch.float64)
    expected = F.interpolate(x, (new, new), mode="bilinear", antialias=True, align_corners=False)
    matrix = torch.from_numpy(resize_matrix(old, new))
    torch.testing.assert_close(matrix @ x[0, 0] @ matrix.T, expected[0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_many_pictures_go_in_parts_and_none_is_told_apart_from_alone(
    tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.model.onnx.n_cores", lambda: cores)
    classifier = load_onnx(write(tmp_path, INFO))
    assert classifier.threads == cores
    images = films(70, INFO.image_size)
    together = classifier.answer(images).logits_B
    assert len(together) == 70
    alone = np.concatenate([classifier.answer(images[i : i + 1]).logits_B for i in (0, 31, 32, 69)])
    np.testing.assert_allclose(together[[0, 31, 32, 69]], alone, rtol=1e-4, atol=1e-5)


def test_of_a_large_network_fewer_pictures_are_answered_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.model.onnx.n_cores", lambda: 6)
    monkeypatch.setattr("cxrdiag.model.onnx._MOST", INFO.width * INFO.resolution**2 * 2)
    classifier = load_onnx(write(tmp_path, INFO))
    assert classifier.threads == 2
    assert len(classifier.answer(films(3, INFO.image_size)).logits_B) == 3


@pytest.mark.skipif(not THREADS.is_dir(), reason="Linux alone lists them there")
@pytest.mark.parametrize(("at_once", "started"), [(9, 0), (2, 4), (1, 5)])
def test_with_those_that_call_it_a_session_has_a_thread_for_each_core(
    tmp_path: Path, at_once: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.model.onnx.n_cores", lambda: 6)
    monkeypatch.setattr("cxrdiag.model.onnx._MOST", INFO.width * INFO.resolution**2 * at_once)
    write(tmp_path, INFO)
    before = len(list(THREADS.iterdir()))
    classifier = load_onnx(tmp_path)
    assert len(list(THREADS.iterdir())) - before == started
    assert classifier.threads + started == 6


def test_few_pictures_are_shared_among_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrdiag.model.onnx.n_cores", lambda: 3)
    classifier = load_onnx(write(tmp_path, INFO))
    sizes: list[int] = []

    class Counted:
        def run(self, outputs: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            sizes.append(len(feeds["images"]))
            answers: list[np.ndarray] = classifier.session.run(outputs, feeds)
            return answers

    counted = replace(classifier, session=Counted())
    for n, expected in (
        (0, [0]),
        (1, [1]),
        (3, [1, 1, 1]),
        (4, [2, 2]),
        (11, [4, 4, 3]),
        (14, [4, 4, 4, 2]),
    ):
        counted.answer(films(n, INFO.image_size))
        assert sorted(sizes, reverse=True) == expected
        sizes.clear()


def test_the_file_stands_on_its_own(tmp_path: Path) -> None:
    info, weights = read_weights(write(tmp_path, INFO))
    graph = build_graph(weights, info)
    onnx.checker.check_model(graph, full_check=True)
    data = graph.SerializeToString()
    session = onnxruntime.InferenceSession(data)
    told = json.loads(session.get_modelmeta().custom_metadata_map["cxrdiag"])
    assert told["operating_points"]["balanced"]["threshold"] == 0.4
    assert "Not a medical device" in told["notice"]
    assert "Not a medical device" in session.get_modelmeta().description
    assert [tensor.name for tensor in session.get_outputs()] == [
        "logits", "film_scores", "distances", "maps",
    ]  # fmt: skip
    # Half precision holds these kernels to the bit, and takes half the room.
    write(tmp_path, INFO, half=False)
    assert len(data) < 0.6 * len(build_graph(read_weights(tmp_path)[1], info).SerializeToString())


def test_kernels_that_half_precision_does_not_hold_stay_whole(tmp_path: Path) -> None:
    write(tmp_path, INFO, half=False)
    images = films(2, INFO.image_size)
    close(load_onnx(tmp_path).answer(images).logits_B, load_model(tmp_path, CPU).logits(images))


def test_what_onnx_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_LARGEST", 1000)
    with pytest.raises(ModelError, match="2 GB") as raised:
        load_onnx(write(tmp_path, INFO))
    assert raised.value.code == "too_large_for_onnx"
