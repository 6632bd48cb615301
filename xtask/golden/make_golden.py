#!/usr/bin/env python3
"""Writes the golden tensors of ocelli-core: small cases that PyTorch has computed.

Needs Python 3.10 or later and PyTorch on the CPU, any recent version; no GPU, no data:

    python3 -m venv golden && golden/bin/pip install torch
    golden/bin/python xtask/golden/make_golden.py            # writes crates/ocelli-core/tests/golden/*.json
    golden/bin/python xtask/golden/make_golden.py --check    # compares with what stands there, writes nothing

The Rust side is crates/ocelli-core/tests/golden.rs. The files are frozen: they are made again only when a case is
added or changed, never because an op disagrees with them.

A case is a chain of layers, described as Ocelli's network files describe them, and built here as an nn.Sequential,
so that parameters have PyTorch's own names ("0.weight"), shapes and order. Images are N×C×H×W. Everything is
computed in float64. What goes in (inputs, parameters, upstream gradients) is a multiple of 1/64, which float32 holds
exactly, so that one file serves both precisions. Each case draws its numbers from a seed made of its own name: adding
one leaves the others as they are. A draw that comes near a kink (ReLU near 0, a near tie under max pooling) is
thrown away, so that rounding can never pick another branch.
"""

import argparse
import json
import math
import platform
import random
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).resolve().parents[2] / "crates" / "ocelli-core" / "tests" / "golden"

# How far a draw keeps from every kink. Far above the rounding of float32, far below what would bias a case.
MARGIN = 1e-4

# Significant digits of what comes out: the test compares to 1e-9.
DIGITS = 12


# The cases, one list per file.


def op(name, layer, shape, mode="train", batch=2):
    """A case of one layer, whose upstream gradient is given."""
    return {"case": name, "mode": mode, "layers": [layer], "shape": [batch, *shape], "criterion": None}


def conv(channels, kernel, **settings):
    return {"op": "conv2d", "channels": channels, "kernel": kernel, **settings}


CONV2D = [
    op("padded", conv(3, [3, 3], padding=[1, 1]), [2, 5, 6]),
    op("strided with rows left over", conv(3, [3, 3], stride=[2, 2], padding=[1, 1]), [2, 6, 7]),
    op("stride larger than the kernel", conv(3, [2, 2], stride=[3, 3]), [2, 7, 8]),
    op("dilated", conv(2, [3, 3], padding=[2, 2], dilation=[2, 2]), [3, 5, 6]),
    op("every setting different along rows and columns",
       conv(3, [3, 2], stride=[1, 2], padding=[2, 1], dilation=[2, 3]), [2, 6, 7]),
    op("two groups", conv(6, [3, 3], padding=[1, 1], groups=2), [4, 4, 3]),
    op("depthwise", conv(5, [3, 3], padding=[1, 1], groups=5), [5, 5, 4]),
    op("depthwise with two filters per channel", conv(6, [3, 3], stride=[2, 2], groups=3), [3, 7, 5]),
    op("a row kernel", conv(3, [1, 5], padding=[0, 2]), [2, 4, 6]),
    op("a column kernel", conv(3, [4, 1], stride=[2, 1]), [2, 8, 3]),
    op("one by one without bias", conv(5, [1, 1], bias=False), [7, 3, 4]),
    op("one by one with stride", conv(4, [1, 1], stride=[2, 2]), [3, 5, 6]),
    op("kernel as large as the image", conv(6, [5, 4]), [2, 5, 4]),
    op("padding as wide as the kernel", conv(2, [2, 2], padding=[2, 2]), [2, 3, 3]),
    op("more channels than a vector register holds", conv(19, [2, 3], padding=[0, 1]), [2, 3, 3], batch=1),
    op("many input channels", conv(2, [2, 2]), [18, 2, 4], batch=1),
]


def pool(kind, kernel, stride, **settings):
    return {"op": kind, "kernel": kernel, "stride": stride, **settings}


def max_pool(kernel, stride, **settings):
    return pool("max_pool2d", kernel, stride, **settings)


def avg_pool(kernel, stride, **settings):
    return pool("avg_pool2d", kernel, stride, **settings)


MAX_POOL2D = [
    op("side by side", max_pool([2, 2], [2, 2]), [3, 6, 4]),
    op("overlapping", max_pool([3, 3], [2, 2]), [2, 7, 7]),
    op("overlapping and padded", max_pool([3, 3], [1, 1], padding=[1, 1]), [2, 5, 4]),
    op("ceil mode", max_pool([3, 3], [2, 2], ceil_mode=True), [2, 6, 8]),
    op("ceil mode and padded", max_pool([3, 2], [2, 2], padding=[1, 1], ceil_mode=True), [2, 6, 5]),
    op("ceil mode drops a window that would start in the padding",
       max_pool([2, 2], [3, 3], padding=[1, 1], ceil_mode=True), [2, 5, 5]),
    op("gaps between windows", max_pool([2, 1], [3, 2]), [2, 8, 5]),
]

AVG_POOL2D = [
    op("side by side", avg_pool([2, 2], [2, 2]), [3, 6, 4]),
    op("overlapping", avg_pool([3, 3], [2, 2]), [2, 7, 7]),
    op("padding counted", avg_pool([3, 3], [2, 2], padding=[1, 1], count_padding=True), [2, 5, 6]),
    op("padding not counted", avg_pool([3, 3], [2, 2], padding=[1, 1], count_padding=False), [2, 5, 6]),
    op("ceil mode", avg_pool([3, 3], [2, 2], ceil_mode=True, count_padding=False), [2, 6, 8]),
    op("ceil mode, padding counted",
       avg_pool([3, 3], [2, 2], padding=[1, 1], ceil_mode=True, count_padding=True), [2, 6, 4]),
    op("ceil mode, padding not counted",
       avg_pool([3, 3], [2, 2], padding=[1, 1], ceil_mode=True, count_padding=False), [2, 6, 4]),
    op("ceil mode drops a window that would start in the padding",
       avg_pool([2, 2], [3, 3], padding=[1, 1], ceil_mode=True, count_padding=True), [2, 5, 5]),
    op("rows and columns differ",
       avg_pool([2, 4], [1, 3], padding=[1, 2], count_padding=True), [2, 4, 7]),
]


def adaptive(size):
    return {"op": "adaptive_avg_pool2d", "size": size}


ADAPTIVE_AVG_POOL2D = [
    op("to one pixel", adaptive([1, 1]), [3, 4, 5]),
    op("global", {"op": "global_avg_pool"}, [2, 3, 4]),
    op("even", adaptive([2, 3]), [2, 4, 6]),
    op("uneven: windows overlap", adaptive([3, 4]), [2, 5, 7]),
    op("larger than the image: pixels repeat", adaptive([4, 5]), [2, 3, 2]),
]


def response(size, alpha, beta, k):
    return {"op": "local_response_norm", "size": size, "alpha": alpha, "beta": beta, "k": k}


LOCAL_RESPONSE_NORM = [
    op("as in AlexNet, with a larger alpha", response(5, 0.5, 0.75, 2.0), [8, 2, 3]),
    op("as in AlexNet", response(5, 1e-4, 0.75, 2.0), [6, 2, 2]),
    op("window wider than the channels", response(7, 0.25, 0.5, 1.0), [3, 2, 3]),
    op("even window", response(4, 0.5, 1.0, 1.0), [6, 2, 2]),
    op("window of one", response(1, 1.0, 0.75, 1.0), [3, 2, 2]),
]


def norm(momentum=0.1, epsilon=1e-5):
    return {"op": "batch_norm", "momentum": momentum, "epsilon": epsilon}


BATCH_NORM = [
    op("images, training", norm(), [3, 3, 4], batch=3),
    op("images, training, other momentum and epsilon", norm(0.25, 0.01), [2, 3, 3], batch=4),
    op("vectors, training", norm(), [5], batch=6),
    op("images, evaluation", norm(), [3, 3, 4], mode="evaluate"),
    op("vectors, evaluation", norm(0.1, 0.001), [5], mode="evaluate", batch=3),
]

LINEAR = [
    op("with bias", {"op": "linear", "features": 5}, [7], batch=3),
    op("without bias", {"op": "linear", "features": 4, "bias": False}, [6], batch=2),
    op("wide", {"op": "linear", "features": 17}, [19], batch=1),
    op("one output", {"op": "linear", "features": 1}, [9], batch=5),
]

PRELU = [
    op("one slope per channel", {"op": "prelu", "shared": False}, [4, 3, 3]),
    op("one slope for all", {"op": "prelu", "shared": True}, [4, 3, 3]),
    op("one slope per channel of a vector", {"op": "prelu", "shared": False}, [6], batch=4),
]

ACTIVATIONS = [
    op("sigmoid", {"op": "sigmoid"}, [7]),
    op("tanh", {"op": "tanh"}, [7]),
    op("relu", {"op": "relu"}, [2, 3, 3]),
    op("leaky relu", {"op": "leaky_relu", "slope": 0.125}, [2, 3, 3]),
    op("relu6", {"op": "relu6"}, [12]),
]


def loss(name, criterion, reduction, width, batch, targets="classes"):
    """A case of a loss, on the outputs of a linear layer."""
    criterion = {"loss": criterion, "reduction": reduction, "targets": targets}
    layers = [{"op": "linear", "features": width, "bias": False}]
    return {"case": name, "mode": "train", "layers": layers, "shape": [batch, 3], "criterion": criterion}


def entropy(label_smoothing=0.0):
    return {"kind": "cross_entropy", "label_smoothing": label_smoothing}


LOSSES = [
    loss("cross-entropy, mean", entropy(), "mean", 5, 4),
    loss("cross-entropy, sum", entropy(), "sum", 5, 4),
    loss("cross-entropy with label smoothing, mean", entropy(0.1), "mean", 6, 4),
    loss("cross-entropy with label smoothing, sum", entropy(0.25), "sum", 6, 4),
    loss("cross-entropy of class probabilities", entropy(), "mean", 4, 3, "probabilities"),
    loss("cross-entropy of class probabilities with label smoothing", entropy(0.1), "mean", 4, 3, "probabilities"),
    loss("binary logistic, sum", {"kind": "binary_logistic"}, "sum", 3, 4, "probabilities"),
    loss("squared error, mean", {"kind": "squared_error"}, "mean", 3, 4, "values"),
]

NETWORKS = [
    {
        "case": "flatten takes images in the order of channels, rows, columns",
        "mode": "train",
        "layers": [{"op": "flatten"}, {"op": "linear", "features": 3}],
        "shape": [2, 3, 2, 4],
        "criterion": None,
    },
    {
        "case": "a small classifier",
        "mode": "train",
        "layers": [
            conv(4, [3, 3], padding=[1, 1], bias=False),
            norm(),
            max_pool([3, 3], [2, 2], padding=[1, 1]),
            {"op": "relu"},
            conv(6, [3, 3], stride=[2, 2], padding=[1, 1], groups=2),
            {"op": "prelu", "shared": False},
            avg_pool([2, 2], [1, 1]),
            {"op": "flatten"},
            {"op": "linear", "features": 5},
        ],
        "shape": [3, 3, 7, 8],
        "criterion": {"loss": entropy(0.1), "reduction": "mean", "targets": "classes"},
    },
]

FILES = {
    "conv2d": CONV2D,
    "max_pool2d": MAX_POOL2D,
    "avg_pool2d": AVG_POOL2D,
    "adaptive_avg_pool2d": ADAPTIVE_AVG_POOL2D,
    "local_response_norm": LOCAL_RESPONSE_NORM,
    "batch_norm": BATCH_NORM,
    "linear": LINEAR,
    "prelu": PRELU,
    "activations": ACTIVATIONS,
    "losses": LOSSES,
    "networks": NETWORKS,
}


# From Ocelli's description of a layer to PyTorch's module.


def module(layer, shape):
    """The module that computes `layer` on inputs of `shape`, which is N×C×H×W or N×n."""
    given = dict(layer)
    kind = given.pop("op")
    channels = shape[1]
    match kind:
        case "conv2d":
            return nn.Conv2d(channels, given.pop("channels"), given.pop("kernel"), **given)
        case "max_pool2d":
            return nn.MaxPool2d(given.pop("kernel"), **given)
        case "avg_pool2d":
            counted = given.pop("count_padding", True)
            return nn.AvgPool2d(given.pop("kernel"), count_include_pad=counted, **given)
        case "adaptive_avg_pool2d":
            return nn.AdaptiveAvgPool2d(given.pop("size"))
        case "global_avg_pool":
            return nn.AdaptiveAvgPool2d(1)
        case "local_response_norm":
            return nn.LocalResponseNorm(**given)
        case "batch_norm":
            norm_of = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
            return norm_of(channels, eps=given["epsilon"], momentum=given["momentum"])
        case "linear":
            return nn.Linear(channels, given["features"], bias=given.get("bias", True))
        case "prelu":
            return nn.PReLU(1 if given["shared"] else channels)
        case "leaky_relu":
            return nn.LeakyReLU(given["slope"])
        case _:
            plain = {"flatten": nn.Flatten, "relu": nn.ReLU, "relu6": nn.ReLU6, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
            return plain[kind]()


def network(layers, shape):
    """The layers one after the other."""
    x, modules = torch.zeros(shape, dtype=torch.float64), []
    for layer in layers:
        modules.append(module(layer, x.shape).double())
        x = modules[-1](x)
    return nn.Sequential(*modules)


def cost(criterion, outputs, targets):
    """E of a batch: Ocelli's losses add up over the outputs of a sample, then reduce over the samples."""
    kind, reduction = criterion["loss"]["kind"], criterion["reduction"]
    if kind == "cross_entropy":
        smoothing = criterion["loss"]["label_smoothing"]
        return functional.cross_entropy(outputs, targets, reduction=reduction, label_smoothing=smoothing)
    functions = {
        "binary_logistic": functional.binary_cross_entropy_with_logits,
        "squared_error": functional.mse_loss,
    }
    total = functions[kind](outputs, targets, reduction="sum")
    return total / len(outputs) if reduction == "mean" else total


# Numbers to put in.


def draw(numbers, shape, low=-2.0, high=2.0):
    """Multiples of 1/64 between `low` and `high`, never 0, without repetition as far as they go."""
    steps = [step for step in range(round(low * 64), round(high * 64) + 1) if step != 0]
    count = math.prod(shape)
    drawn = []
    while len(drawn) < count:
        drawn += numbers.sample(steps, min(len(steps), count - len(drawn)))
    return torch.tensor(drawn, dtype=torch.float64).reshape(tuple(shape)) / 64


def fill(numbers, net):
    """Sets every parameter and running statistic; scales and variances stay positive."""
    for name, child in net.named_children():
        for key, value in child.state_dict().items():
            if key == "num_batches_tracked":
                continue
            positive = isinstance(child, nn.modules.batchnorm._BatchNorm) and key in ("weight", "running_var")
            with torch.no_grad():
                value.copy_(draw(numbers, value.shape, *((0.5, 2.0) if positive else (-1.0, 1.0))))


def draw_targets(numbers, kind, shape):
    match kind:
        case "classes":
            return torch.tensor([numbers.randrange(shape[1]) for _ in range(shape[0])])
        case "probabilities":
            # Each row adds up to exactly 1 in steps of 1/64, so that all of it is exact in float32.
            rows = []
            for _ in range(shape[0]):
                cuts = sorted(numbers.sample(range(1, 64), shape[1] - 1))
                rows.append([b - a for a, b in zip([0, *cuts], [*cuts, 64])])
            return torch.tensor(rows, dtype=torch.float64) / 64
        case "values":
            return draw(numbers, shape)


def near_a_kink(net, x):
    """Whether some value lies so near a kink that rounding might take the other side of it."""
    for child in net:
        if isinstance(child, (nn.ReLU, nn.PReLU, nn.LeakyReLU)):
            gaps = x.abs()
        elif isinstance(child, nn.ReLU6):
            gaps = torch.minimum(x.abs(), (x - 6).abs())
        elif isinstance(child, nn.MaxPool2d):
            gaps = x.flatten(2).sort().values.diff()
        else:
            gaps = torch.ones(1)
        if gaps.min() < MARGIN:
            return True
        x = child(x)
    return False


# One case, one file.


def solve(file, case):
    """The case with its numbers and what PyTorch makes of them."""
    for attempt in range(1000):
        numbers = random.Random(f"{file}/{case['case']}/{attempt}")
        net = network(case["layers"], case["shape"])
        fill(numbers, net)
        x = draw(numbers, case["shape"], *((-8.0, 8.0) if case["layers"] == [{"op": "relu6"}] else (-2.0, 2.0)))
        net.eval()
        if case["mode"] == "train":
            net.train()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        if near_a_kink(net, x):
            continue
        net.load_state_dict(before)
        return differentiate(case, numbers, net, x)
    raise RuntimeError(f"{file}: no draw of '{case['case']}' keeps away from kinks")


def differentiate(case, numbers, net, x):
    """Forward and backward."""
    params = {key: tensor(value) for key, value in net.state_dict().items() if "num_batches" not in key}
    x.requires_grad_()
    y = net(x)
    y.retain_grad()
    solved = {"case": case["case"], "mode": case["mode"], "layers": case["layers"], "criterion": None}
    if case["criterion"] is None:
        upstream = draw(numbers, y.shape, -1.0, 1.0)
        y.backward(upstream)
    else:
        criterion = dict(case["criterion"])
        targets = draw_targets(numbers, criterion.pop("targets"), y.shape)
        e = cost(criterion, y, targets)
        e.backward()
        kind = "values" if targets.is_floating_point() else "classes"
        solved["criterion"] = {**criterion, "targets": {kind: rounded(targets)}, "cost": short(e.item())}
    statistics = {key: tensor(value) for key, value in net.state_dict().items() if "running" in key}
    return solved | {
        "input": tensor(x),
        "params": params,
        "output": tensor(y),
        "output_gradient": tensor(y.grad),
        "input_gradient": tensor(x.grad),
        "param_gradients": {key: tensor(value.grad) for key, value in net.named_parameters()},
        "statistics_after": statistics if case["mode"] == "train" else {},
    }


def tensor(values):
    return {"shape": list(values.shape), "data": rounded(values)}


def rounded(values):
    """The numbers row by row, in as many digits as the test looks at."""
    return [short(value) for value in values.flatten().tolist()]


def short(value):
    """A number as JSON shows it in fewest characters."""
    value = float(f"{value:.{DIGITS}g}")
    return int(value) if value.is_integer() else value


def text(file, cases):
    """JSON with one line per entry of a case, so that a change shows as the lines it touches."""
    made = {
        "by": "xtask/golden/make_golden.py",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "precision": "float64",
    }
    entries = []
    for case in cases:
        lines = []
        for key, value in solve(file, case).items():
            short_form = json.dumps(value, separators=(",", ":"))
            lines.append(f'      "{key}": {short_form}')
        entries.append("    {\n" + ",\n".join(lines) + "\n    }")
    return f'{{\n  "made": {json.dumps(made)},\n  "cases": [\n' + ",\n".join(entries) + "\n  ]\n}\n"


def differences(found, wanted, place=""):
    """Where two trees of JSON differ by more than the last digits; "made" does not count."""
    if isinstance(wanted, dict) and isinstance(found, dict) and found.keys() == wanted.keys():
        return [d for key in wanted if key != "made" for d in differences(found[key], wanted[key], f"{place}/{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        return [d for i, pair in enumerate(zip(found, wanted)) for d in differences(*pair, f"{place}/{i}")]
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (found, wanted))
    same = math.isclose(found, wanted, rel_tol=1e-10, abs_tol=1e-11) if numbers else found == wanted
    return [] if same else [f"{place}: {str(found)[:40]} stands there, {str(wanted)[:40]} was computed"]


def main():
    parser = argparse.ArgumentParser(description="Writes the golden tensors of ocelli-core.")
    parser.add_argument("--check", action="store_true", help="compare with the files there are, write nothing")
    check = parser.parse_args().check
    wrong = []
    for file, cases in FILES.items():
        path, made = FOLDER / f"{file}.json", text(file, cases)
        if not check:
            path.write_text(made)
        elif not path.exists():
            wrong.append(f"{path.name} is missing")
        else:
            wrong += differences(json.loads(path.read_text()), json.loads(made), path.name)
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
