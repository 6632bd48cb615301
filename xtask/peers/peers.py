#!/usr/bin/env python3
"""Measures one network in PyTorch and ONNX Runtime, as `ocelli bench net` measures it in Ocelli.

`cargo xtask peers` makes the environment and runs this; by hand:

    peers.py resnet18 --input 3x128x128 --classes 100 --batch 32 --phases train --choose
    peers.py resnet18 --input 3x128x128 --classes 100 --batch 32 --train channels_last --latency onnxruntime

With --choose it tries every way of running each phase for a moment, and prints images per second of each, null where a way
does not work. With --memory it takes five steps of training: `peak_memory_bytes` is the most that the process had resident,
`imported_bytes` what it had before there was a network. Otherwise it measures each phase that a way is given for. All print
one JSON object.

A step of training is forward, cross-entropy, backward, and fused SGD with momentum 0.9 and weight decay 5e-4, on the same
random images and labels again and again. The learning rate is so small that the weights stay what they are.

With --precision bf16, forward passes run under autocast: what it lists runs in bf16, weights and optimiser stay f32. In
inference there are also ways ("cast") with weights and images of bf16 throughout. ONNX Runtime has no bf16 on CPUs.
"""

import argparse
import gc
import io
import json
import math
import sys
import time
import warnings

import torch
import torchvision
from torch import nn

RATE = 1e-7

# A timed repeat takes at least so many seconds, as in Ocelli.
SHORTEST = 1e-3

TRAIN = ["eager", "channels_last", "compile"]
INFER = ["eager", "channels_last", "jit", "jit_channels_last", "compile", "onnxruntime"]
CAST = ["cast", "cast_channels_last"]
PHASES = {"train": TRAIN, "infer": INFER, "latency": INFER}


def ways(args, phase):
    """The ways of running a phase in a precision."""
    if args.precision == "f32":
        return PHASES[phase]
    others = [] if phase == "train" else CAST
    return [way for way in PHASES[phase] if way != "onnxruntime"] + others


def precision(args, way=""):
    """The context of forward passes. What it casts is cast once, but where a trace is to keep it."""
    autocast = args.precision == "bf16" and not way.startswith("cast")
    cache = not way.startswith("jit")
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast, cache_enabled=cache)


def mlp(_, pixels, classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, classes)
    )


def lenet(channels, _, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.LazyLinear(120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, classes),
    )  # fmt: skip


def cifar4(channels, _, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(), nn.LazyLinear(classes),
    )  # fmt: skip


def from_torchvision(name):
    return lambda _channels, _pixels, classes: getattr(torchvision.models, name)(num_classes=classes)


NETS = {
    "mlp": mlp,
    "lenet": lenet,
    "cifar4": cifar4,
    "alexnet": from_torchvision("alexnet"),
    "resnet18": from_torchvision("resnet18"),
    "vgg11": from_torchvision("vgg11"),
    "mobilenet-v2": from_torchvision("mobilenet_v2"),
}


def network(args):
    """The network, with all of its parameters made."""
    torch.manual_seed(0)
    net = NETS[args.net](args.input[0], math.prod(args.input), args.classes)
    with torch.no_grad():
        net.eval()(torch.zeros(1, *args.input))
    return net


def in_layout(way, *tensors_or_modules):
    layout = torch.channels_last if way.endswith("channels_last") else torch.contiguous_format
    return [each.to(memory_format=layout) for each in tensors_or_modules]


def training(args, way):
    """A step of training."""
    net, images = in_layout(way, network(args).train(), torch.randn(args.batch, *args.input))
    labels = torch.randint(0, args.classes, (args.batch,))
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4, fused=True)
    model = torch.compile(net) if way == "compile" else net
    cross_entropy = nn.functional.cross_entropy

    def step():
        optimizer.zero_grad(set_to_none=True)
        with precision(args):
            cost = cross_entropy(model(images), labels)
        cost.backward()
        optimizer.step()

    return step


def inference(args, way, batch):
    """A forward pass in evaluation mode."""
    net, images = in_layout(way, network(args).eval(), torch.randn(batch, *args.input))
    if way == "onnxruntime":
        return in_onnxruntime(args, net, images)
    if way.startswith("cast"):
        net, images = net.to(torch.bfloat16), images.to(torch.bfloat16)
    with torch.inference_mode(), precision(args, way):
        if way.startswith("jit"):
            net = torch.jit.freeze(torch.jit.trace(net, images))
        elif way == "compile":
            net = torch.compile(net)

    def run():
        with torch.inference_mode(), precision(args, way):
            net(images)

    return run


def in_onnxruntime(args, net, images):
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(net, (images,), file, input_names=["image"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {"image": images.numpy()}
    return lambda: session.run(None, feed)


def prepare(args, phase, way):
    if phase == "train":
        return training(args, way)
    return inference(args, way, args.batch if phase == "infer" else 1)


def measure(work, seconds):
    """The median time of a run after two that warm up, and how many repeats there were; at least three."""

    def timed(times):
        start = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - start) / times

    timed(1)
    times = max(1, math.ceil(SHORTEST / max(timed(1), 1e-9)))
    repeats = []
    start = time.perf_counter()
    while len(repeats) < 3 or (time.perf_counter() - start < seconds and len(repeats) < 10_000):
        repeats.append(timed(times))
    repeats.sort()
    middle = len(repeats) // 2
    median = repeats[middle] if len(repeats) % 2 else (repeats[middle - 1] + repeats[middle]) / 2
    return median, len(repeats)


def peak_memory_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def images(args, phase):
    return 1 if phase == "latency" else args.batch


def choose(args):
    """Images per second of each way of running each phase; null where it does not work here.

    Ways that are not far behind get a second chance: whatever else ran in a way's moment must not decide.
    """
    found = {}
    for phase in args.phases:
        works = {way: attempt(args, phase, way) for way in ways(args, phase) if way not in args.without}
        quickest = {way: measure(work, args.seconds)[0] for way, work in works.items() if work}
        for way, seconds in quickest.items():
            if seconds < 2 * min(quickest.values()):
                quickest[way] = min(seconds, measure(works[way], args.seconds)[0])
        found[phase] = {way: images(args, phase) / quickest[way] if way in quickest else None for way in works}
        torch._dynamo.reset()
    return found


def attempt(args, phase, way):
    """The work of a phase, done once; None where a peer cannot do it in this way."""
    try:
        work = prepare(args, phase, way)
        work()
        return work
    except Exception as error:  # whatever a peer raises
        print(f"{args.net}: {phase} by {way} does not work: {error!r:.300}", file=sys.stderr)
        return None


def measured(args):
    found = {}
    for phase in PHASES:
        way = getattr(args, phase)
        if way is None:
            continue
        seconds, repeats = measure(prepare(args, phase, way), args.seconds)
        found[phase] = {"way": way, "seconds": seconds, "images_per_second": images(args, phase) / seconds,
                        "repeats": repeats}  # fmt: skip
        gc.collect()
    found["parameters"] = sum(p.numel() for p in network(args).parameters())
    return found


def memory(args):
    """What some steps of training take in all, and what was taken before there was a network."""
    imported = peak_memory_bytes()
    step = prepare(args, "train", args.train)
    for _ in range(5):
        step()
    return {"peak_memory_bytes": peak_memory_bytes(), "imported_bytes": imported}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--input", type=lambda text: [int(size) for size in text.split("x")], required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=list(PHASES))
    parser.add_argument("--without", type=lambda text: text.split(","), default=[])
    parser.add_argument("--train", choices=TRAIN)
    parser.add_argument("--infer", choices=INFER + CAST)
    parser.add_argument("--latency", choices=INFER + CAST)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    gc.disable()
    result = (memory if args.memory else choose if args.choose else measured)(args)
    result["versions"] = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
