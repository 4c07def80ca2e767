#!/usr/bin/python3
"""Trains a small network on image folders, straight from the mount, and saves a checkpoint there.

Usage: quickstart_train.py IMAGES CHECKPOINT [--epochs N] [--workers N]
Part of deploy/quickstart; knows nothing of Penstock: it opens files.
"""

import argparse
import os
import time

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

SIDE = 64


def load_rgb(path):
    """Stamps are cut-outs: what is transparent becomes white."""
    with open(path, "rb") as file:
        image = Image.open(file).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def network(classes):
    def block(channels_in, channels_out):
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1),
                             nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(block(3, 16), block(16, 32), block(32, 64), nn.AdaptiveAvgPool2d(4),
                         nn.Flatten(), nn.Linear(64 * 16, classes))


def train_epoch(model, loader, optimizer):
    """Mean loss, share of right answers, samples."""
    loss_sum = right = count = 0
    for images, labels in loader:
        optimizer.zero_grad()
        scores = model(images)
        loss = nn.functional.cross_entropy(scores, labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
        right += (scores.argmax(1) == labels).sum().item()
        count += len(labels)
    return loss_sum / count, right / count, count


def save_checkpoint(path, model, optimizer, epoch):
    """By rename, so that a reader sees the old one or the new one, never a part."""
    with open(path + ".new", "wb") as file:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "epoch": epoch}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def check_checkpoint(path, model):
    loaded = torch.load(path)["model"]
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, loaded[name]):
            raise SystemExit(f"the checkpoint differs from what was saved, in {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("checkpoint")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    pictures = ImageFolder(arguments.images, loader=load_rgb, transform=transforms.Compose([
        transforms.Resize((SIDE, SIDE)), transforms.RandomHorizontalFlip(), transforms.ToTensor()]))
    print(f"{len(pictures)} images in {len(pictures.classes)} classes")
    loader = DataLoader(pictures, batch_size=32, shuffle=True, num_workers=arguments.workers,
                        persistent_workers=arguments.workers > 0)
    model = network(len(pictures.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for epoch in range(1, arguments.epochs + 1):
        started = time.perf_counter()
        loss, right, count = train_epoch(model, loader, optimizer)
        seconds = time.perf_counter() - started
        print(f"epoch {epoch}: loss {loss:.3f}, {right:.0%} right, {count / seconds:.0f} samples/s",
              flush=True)
        save_checkpoint(arguments.checkpoint, model, optimizer, epoch)
    check_checkpoint(arguments.checkpoint, model)
    print(f"checkpoint saved and read back: {arguments.checkpoint} "
          f"({os.path.getsize(arguments.checkpoint)} bytes)")


if __name__ == "__main__":
    main()
