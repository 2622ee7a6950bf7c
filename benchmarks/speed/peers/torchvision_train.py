"""The training a user would write: torchvision's ImageFolder, DataLoader, ResNet-18 and Adam.

    python torchvision_train.py DATA [--epochs 1] [--workers 2] [--until 0.93 --minutes 45]

DATA has a folder train of one folder a class. Prints a JSON line after each epoch. With --until it
stops at an accuracy on DATA's folder test, or after so many minutes.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--until", type=float)
parser.add_argument("--minutes", type=float, default=60)
args = parser.parse_args()

began = time.perf_counter()
torch.manual_seed(0)
to_tensor = [
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
]
augmented = transforms.Compose(
    [
        transforms.RandomResizedCrop(args.size, scale=(0.8, 1.0)),
        transforms.RandomHorizontalFlip(),
        *to_tensor,
    ]
)
train = ImageFolder(f"{args.data}/train", augmented)
loader = DataLoader(
    train, batch_size=args.batch, shuffle=True, num_workers=args.workers, drop_last=True
)
model = models.resnet18(num_classes=2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()


def test_accuracy() -> float:
    resized = transforms.Compose([transforms.Resize((args.size, args.size)), *to_tensor])
    test = DataLoader(ImageFolder(f"{args.data}/test", resized), 64, num_workers=args.workers)
    model.eval()
    with torch.no_grad():
        hits = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test)
    return hits / len(test.dataset)


for epoch in range(1, args.epochs + 1):
    model.train()
    started, n = time.perf_counter(), 0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        n += len(labels)
        if time.perf_counter() - began > 60 * args.minutes:
            break
    seconds = time.perf_counter() - started
    said = {"epoch": epoch, "images_per_s": n / seconds}
    if args.until:
        said["accuracy"] = test_accuracy()
        said["reached"] = said["accuracy"] >= args.until
    print(json.dumps(said), flush=True)
    if said.get("reached") or time.perf_counter() - began > 60 * args.minutes:
        break
