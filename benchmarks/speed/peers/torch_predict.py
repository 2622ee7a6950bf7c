"""The prediction a user would write: PIL, torchvision's transforms, ResNet-18 (random weights).

python torch_predict.py FOLDER OUT.csv [--size 224] [--batch 32]
"""

import argparse
import csv
from pathlib import Path

import torch
from PIL import Image
from torchvision import models, transforms

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--batch", type=int, default=32)
args = parser.parse_args()

normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
transform = transforms.Compose(
    [transforms.Resize((args.size, args.size)), transforms.ToTensor(), normalise]
)
model = models.resnet18(num_classes=2).eval()
paths = sorted(args.folder.rglob("*.jpeg"))
rows = []
with torch.no_grad():
    for start in range(0, len(paths), args.batch):
        some = paths[start : start + args.batch]
        batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in some])
        p = model(batch).softmax(dim=1)[:, 1]
        rows += zip(some, p.tolist(), strict=True)
with args.out.open("w", newline="") as file:
    csv.writer(file).writerows(rows)
