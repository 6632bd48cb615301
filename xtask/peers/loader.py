#!/usr/bin/env python3
"""Measures how fast torchvision reads and varies the pictures of a folder, as `ocelli bench data` measures it in Ocelli.

`cargo xtask loader-peers` makes the environment and runs this; by hand:

    loader.py FOLDER --size 128 --choose
    loader.py FOLDER --size 128 --threads 2 --way pil

Every way reads JPEG files of an ImageFolder, takes a random resized crop (area 0.08 to 1), mirrors half of them, and normalises
to f32, in shuffled batches of 64. `pil` is Pillow with torchvision's classic transforms; `v2` decodes and resizes tensors of
bytes with torchvision's newer ones. With 1 thread the caller's does everything; with more a DataLoader has as many worker
processes. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import io, transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]


def pil(folder, size):
    def load(path):
        with open(path, "rb") as file:
            return Image.open(file).convert("RGB")

    transform = transforms.Compose([
        transforms.RandomResizedCrop(size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])  # fmt: skip
    return ImageFolder(folder, transform, loader=load)


def tensors(folder, size):
    def load(path):
        return io.decode_jpeg(io.read_file(path), mode=io.ImageReadMode.RGB)

    transform = v2.Compose([
        v2.RandomResizedCrop(size, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ])  # fmt: skip
    return ImageFolder(folder, transform, loader=load)


WAYS = {"pil": pil, "v2": tensors}


def measure(args, way, threads, seconds):
    """Images per second: the median over repeats of four batches, as in Ocelli."""
    dataset = WAYS[way](args.folder, args.size)
    workers = 0 if threads == 1 else threads
    options = {"persistent_workers": True, "prefetch_factor": 4} if workers else {}
    loader = DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True, num_workers=workers, **options)
    batches = iter(loader)

    def repeat():
        nonlocal batches
        start = time.perf_counter()
        for _ in range(4):
            batch = next(batches, None)
            if batch is None:
                batches = iter(loader)
                next(batches)
        return time.perf_counter() - start

    for _ in range(max(workers, 1)):
        repeat()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        times.append(repeat())
    return 4 * 64 / statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--way", choices=WAYS, default="pil")
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": Image.__version__}
    if args.choose:
        rates = {way: measure(args, way, 1, args.seconds) for way in WAYS}
        print(json.dumps({"rates": rates, "versions": versions}))
        return
    rate = measure(args, args.way, args.threads, args.seconds)
    print(json.dumps({"images_per_second": rate, "versions": versions}))


if __name__ == "__main__":
    main()
