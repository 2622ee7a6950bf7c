"""Which backend computes, and that predict imports no torch for a film."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrdiag.errors import ModelError, UsageError
from cxrdiag.inference.backend import load_backend
from cxrdiag.model.classifier import Classifier
from cxrdiag.model.onnx import OnnxClassifier


@pytest.mark.parametrize(
    ("device", "backend", "kind"),
    [
        ("auto", "auto", OnnxClassifier),
        ("cpu", "onnx", OnnxClassifier),
        ("auto", "torch", Classifier),
        ("cpu", "torch", Classifier),
    ],
)
def test_onnx_unless_torch_is_named(
    trained_run: Path, device: str, backend: str, kind: type
) -> None:
    assert isinstance(load_backend(trained_run, device, backend), kind)


@pytest.mark.parametrize(
    ("device", "backend", "code"),
    [
        ("auto", "tensorrt", "unknown_backend"),
        ("cuda", "onnx", "no_device"),
        ("tpu", "auto", "unknown_device"),
        ("tpu", "torch", "unknown_device"),
    ],
)
def test_what_does_not_go_together(trained_run: Path, device: str, backend: str, code: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_backend(trained_run, device, backend)
    assert raised.value.code == code


def test_a_film_is_diagnosed_without_torch(phantoms: Path, tmp_path: Path) -> None:
    film = min(phantoms.rglob("test/*.jpeg"))
    code = (
        "import sys\nfrom cxrdiag.cli.app import main\n"
        f"sys.argv = ['cxrdiag', 'predict', {str(film)!r}, '--heatmap', 'maps']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'pandas', 'sklearn', 'scipy', 'matplotlib', 'pydicom'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_without_onnx_runtime_there_is_a_way(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "cxrdiag.model.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError) as raised:
        load_backend(trained_run)
    assert raised.value.code == "no_onnx"
    assert "--backend torch" in str(raised.value.hint)


def test_nothing_is_reported_to_anybody(phantoms: Path, tmp_path: Path) -> None:
    film = min(phantoms.rglob("test/*.jpeg"))
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "cxrdiag", "predict", str(film)],
        cwd=tmp_path,
        env={**environment, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "temporary").iterdir()) == []
