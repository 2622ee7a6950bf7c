"""What cannot be done faster: the bare steps of a task, without anything about them.

python floors.py predict FILE | decode FOLDER | train SIZE
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def predict(film: str) -> None:
    """Decode one film and run the shipped graph on it."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import numpy as np
    import onnxruntime
    from PIL import Image

    graph = Path(__file__).parents[2] / "src" / "cxrdiag" / "weights" / "model.onnx"
    session = onnxruntime.InferenceSession(str(graph))
    side = session.get_inputs()[0].shape[1]
    image = Image.open(film)
    image.draft("L", (side, side))
    images_1SS = np.asarray(image.convert("L").resize((side, side)))[None]
    session.run(None, {"images": images_1SS, "with_maps": np.array(False)})


def decode(folder: str) -> None:
    """Decode films at a reduced scale, on all cores, and keep none."""
    from PIL import Image

    def read(path: Path) -> None:
        with Image.open(path) as image:
            image.draft("L", (256, 256))
            image.load()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, sorted(Path(folder).rglob("*.jpeg"))))


def train(side: str) -> None:
    """Steps of the network on images that are there; says how many a second."""
    import torch

    from cxrdiag.model.device import autocast, to_device
    from cxrdiag.model.resnet import ResNet
    from cxrdiag.training.memory import kept_memory

    cpu, n_steps, batch = torch.device("cpu"), 12, 32
    network = to_device(ResNet(), cpu)
    x_B1RR = torch.randn(batch, 1, int(side), int(side))
    with kept_memory():
        for step in range(n_steps + 1):
            if step == 1:  # the first one chooses how to compute
                started = time.perf_counter()
            network.zero_grad()
            with autocast(cpu, "auto"):
                loss = network(x_B1RR).float().mean()
            loss.backward()
    rate = n_steps * batch / (time.perf_counter() - started)
    print(json.dumps({"images_per_s": rate}))


if __name__ == "__main__":
    {"predict": predict, "decode": decode, "train": train}[sys.argv[1]](sys.argv[2])
