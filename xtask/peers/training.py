#!/usr/bin/env python3
"""Trains one of Ocelli's networks by Ocelli's recipe in PyTorch, from files to accuracy, as `ocelli train` does.

`cargo xtask training-peers` makes the environment and runs this; by hand:

    training.py lenet MNIST --epochs 20
    training.py resnet9 CIFAR --epochs 8 --precision bf16

MNIST is a folder with the four IDX files, CIFAR one with train.tar.xz and test.tar.xz that hold a folder of JPEG files for each
class. Images are read once and stay in memory as one tensor, and batches are cut from it: for images as small as these that is faster
than any DataLoader. Weights and images are channels-last, SGD is fused. After each epoch the test images are measured. Prints
one JSON object.
"""

import argparse
import gzip
import io
import json
import math
import pathlib
import random
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
import torchvision
from torch import nn

from peers import NETS


def mnist(folder):
    def idx(name, header):
        path = pathlib.Path(folder) / name
        raw = gzip.open(f"{path}.gz").read() if not path.exists() else path.read_bytes()
        return torch.from_numpy(numpy.frombuffer(raw, numpy.uint8, offset=header).copy())

    def split(name):
        return idx(f"{name}-images-idx3-ubyte", 16).view(-1, 1, 28, 28), idx(f"{name}-labels-idx1-ubyte", 8).long()

    return split("train"), split("t10k")


def cifar(folder, threads):
    def split(name):
        with tarfile.open(pathlib.Path(folder) / f"{name}.tar.xz") as archive:
            files = [(m.name, archive.extractfile(m).read()) for m in archive if m.name.endswith(".jpg")]
        classes = sorted({pathlib.PurePath(path).parent.name for path, _ in files})
        labels = torch.tensor([classes.index(pathlib.PurePath(path).parent.name) for path, _ in files])

        def decode(file):
            raw = torch.frombuffer(bytearray(file[1]), dtype=torch.uint8)
            return torchvision.io.decode_jpeg(raw, mode=torchvision.io.ImageReadMode.RGB)

        with ThreadPoolExecutor(threads) as pool:
            return torch.stack(list(pool.map(decode, files))), labels

    return split("train"), split("test")


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def resnet9(channels, _, classes):
    def conv(inputs, maps):
        conv = nn.Conv2d(inputs, maps, 3, padding=1, bias=False)
        nn.init.normal_(conv.weight, std=(9 * inputs) ** -0.5)
        nn.init.dirac_(conv.weight[: min(inputs, maps)])
        return conv

    def rectify(maps):
        return [nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]

    layers, inputs = [nn.Conv2d(channels, 32, 3, padding=1, bias=False), Bias(32), nn.ReLU(inplace=True)], 32
    for maps, depth in [(64, 1), (256, 1), (256, 2)]:
        layers += [conv(inputs, maps), nn.MaxPool2d(2), *rectify(maps)]
        layers.append(Residual(*(layer for _ in range(depth) for layer in [conv(maps, maps), *rectify(maps)])))
        inputs = maps
    head = nn.Linear(inputs, classes, bias=False)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head, Scale())


class Bias(nn.Module):
    def __init__(self, maps):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x):
        return x + self.bias


class Scale(nn.Module):
    def forward(self, x):
        return x * 0.125


def whiten(conv, images):
    """Makes the filters the directions in which patches of the images vary, and their negatives, and leaves them so."""
    inputs, height, width = conv.weight.shape[1:]
    patches = nn.functional.unfold(images[:: math.ceil(len(images) / 2048)].contiguous(), (height, width))
    patches = patches.permute(0, 2, 1).reshape(-1, inputs * height * width)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.flip(0).reshape(-1, inputs, height, width)
    both = torch.stack([filters, -filters], 1).flatten(0, 1)[: len(conv.weight)]
    conv.weight.data[: len(both)] = both
    conv.weight.requires_grad = False


def crop_flip(images, mirrored):
    """Shifts by up to an eighth of the side over zeros, and mirroring: other ones for each image, all in two steps."""
    count, _, height, width = images.shape
    by = height // 8
    padded = nn.functional.pad(images, (by,) * 4)
    rows = torch.randint(0, 2 * by + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(0, 2 * by + 1, (count, 1)) + torch.arange(width)
    columns[mirrored] = columns[mirrored].flip(1)
    each = torch.arange(count)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def erase(images, share):
    """Random erasing (Zhong et al. 2020): this share of images loses a rectangle of 2 to 33 % of it to the mean colour, 0 here."""
    height, width = images.shape[2:]
    for image in images:
        if random.random() >= share:
            continue
        for _ in range(10):
            area = height * width * random.uniform(0.02, 1 / 3)
            aspect = math.exp(random.uniform(math.log(0.3), math.log(3.3)))
            rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < rows <= height and 0 < columns <= width:
                top, left = random.randint(0, height - rows), random.randint(0, width - columns)
                image[:, top : top + rows, left : left + columns] = 0
                break


def cosine(t):
    return 0.5 + 0.5 * math.cos(math.pi * t)


def one_cycle(t):
    """Up from a tenth for a fifth of the time, and down to a thousandth."""
    if t < 0.2:
        return 0.1 + 0.9 * (0.5 - 0.5 * math.cos(math.pi * t / 0.2))
    return 1e-3 + (1 - 1e-3) * cosine((t - 0.2) / 0.8)


RECIPES = {
    "lenet": {"batch": 64, "rate": 0.03, "momentum": 0.9, "schedule": cosine},
    "resnet9": {
        "batch": 128,
        "rate": 0.2,
        "momentum": 0.85,
        "decay": 1.3e-3,
        "offset_rate": 64,
        "schedule": one_cycle,
        "smoothing": 0.2,
        "augment": crop_flip,
        "whiten": True,
        "sizes": [24, 32],
    },
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=RECIPES)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--erase", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    recipe = RECIPES[args.net]
    start = time.perf_counter()
    (images, labels), (test_images, test_labels) = mnist(args.data) if args.net == "lenet" else cifar(args.data, args.threads)
    images, test_images = images.float() / 255, test_images.float() / 255
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    layout = {"memory_format": torch.channels_last}
    images, test_images = [((x - mean) / std).contiguous(**layout) for x in (images, test_images)]
    sizes = [nn.functional.interpolate(images, s, mode="bilinear", antialias=True) for s in recipe.get("sizes", [])[:-1]]
    sizes = [x.contiguous(**layout) for x in [*sizes, images]]

    network = resnet9 if args.net == "resnet9" else NETS[args.net]
    net = network(images.shape[1], images[0].numel(), 10)
    net(test_images[:2])
    if recipe.get("whiten"):
        whiten(net[0], images)
    net.to(**layout)
    trained = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    weights = [p for _, p in trained if p.dim() > 1 and p.shape[1] > 1]
    offsets = [p for name, p in trained if name.endswith("bias")]
    scales = [p for _, p in trained if not any(p is q for q in weights + offsets)]
    groups = [
        {"params": weights, "factor": 1, "weight_decay": recipe.get("decay", 5e-4)},
        {"params": offsets, "factor": recipe.get("offset_rate", 1)},
        {"params": scales, "factor": 1},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.SGD(groups, lr=recipe["rate"], momentum=recipe["momentum"], nesterov=True, fused=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.get("smoothing", 0.0))
    mirrored_first = torch.rand(len(images)) < 0.5
    autocast = {"device_type": "cpu", "dtype": torch.bfloat16, "enabled": args.precision == "bf16"}

    batches = math.ceil(len(images) / recipe["batch"])
    step, history = 0, []
    for epoch in range(args.epochs):
        net.train()
        for batch in torch.randperm(len(images)).split(recipe["batch"]):
            done = step / (args.epochs * batches)
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * recipe["rate"] * recipe["schedule"](done)
            x = sizes[int(done * len(sizes))][batch]
            if recipe.get("augment"):
                x = recipe["augment"](x, mirrored_first[batch] ^ bool(epoch % 2))
            if args.erase > 0:
                erase(x, args.erase)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(**autocast):
                loss = loss_of(net(x.contiguous(**layout)), labels[batch])
            loss.backward()
            optimizer.step()
            step += 1
        net.eval()
        with torch.inference_mode():
            right = sum(
                (net(x).argmax(1) == y).sum().item() for x, y in zip(test_images.split(500), test_labels.split(500))
            )
        history.append({"epoch": epoch + 1, "seconds": time.perf_counter() - start, "top1": right / len(test_labels)})
    print(json.dumps({"top1": history[-1]["top1"], "history": history, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
