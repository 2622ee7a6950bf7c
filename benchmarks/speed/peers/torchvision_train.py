"""The training a user would write: torchvision's ImageFolder, DataLoader, ResNet-18 and Adam.

    python torchvision_train.py DATA [--epochs 1] [--workers 2]

DATA has a folder train of one folder a class. Prints a JSON line after each epoch.
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
args = parser.parse_args()

torch.manual_seed(0)
augmented = transforms.Compose(
    [
        transforms.RandomResizedCrop(args.size, scale=(0.8, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)
train = ImageFolder(f"{args.data}/train", augmented)
loader = DataLoader(
    train, batch_size=args.batch, shuffle=True, num_workers=args.workers, drop_last=True
)
model = models.resnet18(num_classes=2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(1, args.epochs + 1):
    model.train()
    started, n = time.perf_counter(), 0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        n += len(labels)
    seconds = time.perf_counter() - started
    print(json.dumps({"epoch": epoch, "images_per_s": n / seconds}), flush=True)
