"""What torchxrayvision's scripts process_image.py and process_batch.py do, with random weights.

    python xrv_predict.py FILE_OR_FOLDER OUT.csv

Its own readers and transforms, DenseNet-121 at 224 pixels, one file after the other; the network is
built without weights, because those are downloaded.
"""

import csv
import sys
from pathlib import Path

import skimage.io
import torch
import torchvision
import torchxrayvision as xrv

where, out = Path(sys.argv[1]), Path(sys.argv[2])
paths = sorted(where.rglob("*.jpeg")) if where.is_dir() else [where]
transform = torchvision.transforms.Compose(
    [xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)]
)
model = xrv.models.DenseNet(num_classes=18).eval()
rows = []
with torch.no_grad():
    for path in paths:
        image = xrv.datasets.normalize(skimage.io.imread(path), 255)
        if image.ndim > 2:
            image = image[:, :, 0]
        batch = torch.from_numpy(transform(image[None])).unsqueeze(0)
        rows.append([path, *model(batch).cpu().numpy()[0].tolist()])
with out.open("w", newline="") as file:
    csv.writer(file).writerows(rows)
