"""Writes what torchvision's networks are made of: crates/ocelli/tests/torchvision/NET.txt, a line per parameter or running
statistic, in torchvision's order: name, sizes, and the standard deviation with which it starts.

Needs torch and torchvision.
"""

import pathlib

import torch
import torchvision

FOLDER = pathlib.Path(__file__).parents[2] / "crates/ocelli/tests/torchvision"
NETS = {"alexnet": "alexnet", "mobilenet-v2": "mobilenet_v2"}
NETS |= {f"resnet{layers}": f"resnet{layers}" for layers in (18, 34, 50)}
NETS |= {f"vgg{layers}": f"vgg{layers}" for layers in (11, 13, 16, 19)}
NETS |= {f"vgg{layers}-bn": f"vgg{layers}_bn" for layers in (11, 13, 16, 19)}

FOLDER.mkdir(exist_ok=True)
for ours, theirs in NETS.items():
    torch.manual_seed(1)
    net = getattr(torchvision.models, theirs)(num_classes=1000)
    lines = []
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        sizes = "x".join(str(size) for size in value.shape)
        lines.append(f"{name} {sizes} {value.double().std(correction=0).item():.4g}\n")
    (FOLDER / f"{ours}.txt").write_text("".join(lines))
