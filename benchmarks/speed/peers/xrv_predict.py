"""What torchxrayvision's scripts process_image.py and process_batch.py do, with random weights.

    python xrv_predict.py FILE_OR_FOLDER OUT.csv

Its own reader and crop, DenseNet-121 that makes a film 224 pixels large itself, one file after the
other; the network is built without weights, because those are downloaded.
"""

import csv
import sys
from pathlib import Path

import torch
import torchxrayvision as xrv

where, out = Path(sys.argv[1]), Path(sys.argv[2])
paths = sorted(where.rglob("*.jpeg")) if where.is_dir() else [where]
crop = xrv.datasets.XRayCenterCrop()
model = xrv.models.DenseNet(num_classes=18).eval()
model.input_resolution = 224  # as of its weights
rows = []
with torch.no_grad():
    for path in paths:
        batch = torch.from_numpy(crop(xrv.utils.load_image(str(path)))).unsqueeze(0)
        rows.append([path, *model(batch).cpu().numpy()[0].tolist()])
with out.open("w", newline="") as file:
    csv.writer(file).writerows(rows)
