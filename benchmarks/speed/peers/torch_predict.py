"""The prediction a user would write: PIL, torchvision's transforms, ResNet-18 (random weights).

python torch_predict.py FOLDER OUT.csv [--size 224] [--batch 32] [--workers 2]
"""

import argparse
import csv
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--workers", type=int, default=2)
args = parser.parse_args()


class Films(Dataset):
    """Decoded films."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        self.transform = transforms.Compose(
            [transforms.Resize((args.size, args.size)), transforms.ToTensor(), normalise]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[i]).convert("RGB"))


if __name__ == "__main__":
    model = models.resnet18(num_classes=2).eval()
    films = Films(sorted(args.folder.rglob("*.jpeg")))
    said = []
    with torch.no_grad():
        for batch in DataLoader(films, batch_size=args.batch, num_workers=args.workers):
            said += model(batch).softmax(dim=1)[:, 1].tolist()
    with args.out.open("w", newline="") as file:
        csv.writer(file).writerows(zip(films.paths, said, strict=True))
