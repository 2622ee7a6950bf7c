"""The training a user would write: torchvision's ImageFolder, DataLoader, ResNet-18 and Adam.

    python torchvision_train.py DATA --epochs 1 --max-images 640 [--workers 2] [--test]

DATA has folders train, val and test of one folder a class. Prints a JSON line after each epoch:
images, seconds of its training, seconds since the start of the process; with --test the accuracy
on the test folder, at threshold 0.5.
"""

import argparse
import json
import time

STARTED = time.perf_counter()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Subset  # noqa: E402
from torchvision import models, transforms  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--max-images", type=int)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--test", action="store_true")
args = parser.parse_args()

torch.manual_seed(args.seed)
normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
augmented = transforms.Compose(
    [
        transforms.RandomResizedCrop(args.size, scale=(0.8, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        normalise,
    ]
)
plain = transforms.Compose(
    [transforms.Resize((args.size, args.size)), transforms.ToTensor(), normalise]
)
train = ImageFolder(f"{args.data}/train", augmented)
if args.max_images:
    train = Subset(train, torch.randperm(len(train))[: args.max_images].tolist())
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
    now = time.perf_counter()
    said = {"epoch": epoch, "images": n, "seconds": now - started, "since_start": now - STARTED}
    said["images_per_s"] = n / said["seconds"]
    if args.test:
        model.eval()
        test = ImageFolder(f"{args.data}/test", plain)
        hits = 0
        with torch.no_grad():
            for images, labels in DataLoader(test, batch_size=64, num_workers=args.workers):
                hits += int((model(images).argmax(dim=1) == labels).sum())
        said["test_accuracy"] = hits / len(test)
    print(json.dumps(said), flush=True)
