"""Writes what Pillow and torchvision make of one small picture: crates/ocelli-data/tests/golden/pictures.json.

Needs torch, torchvision and pillow. The picture is written too, so that nothing else need agree on it.
"""

import json
import pathlib

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

FILE = pathlib.Path(__file__).parents[2] / "crates/ocelli-data/tests/golden/pictures.json"
HEIGHT, WIDTH = 13, 17

# A photograph's mixture: slopes, an edge, and noise.
noise = torch.randint(0, 60, (HEIGHT, WIDTH, 3), generator=torch.Generator().manual_seed(1))
y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
slopes = torch.stack([8 * x + 20, 9 * y + 4 * x, 150 - 6 * y], dim=-1)
pixels = (slopes + noise + 50 * ((x + y > 14)[..., None])).clamp(5, 250).to(torch.uint8)
picture = Image.fromarray(pixels.numpy())

# Boxes are left, top, right and bottom; sizes are width and height.
RESIZES = [
    [[0, 0, WIDTH, HEIGHT], [7, 5]],
    [[0, 0, WIDTH, HEIGHT], [22, 16]],
    [[0, 0, WIDTH, HEIGHT], [17, 6]],
    [[2, 3, 15, 11], [13, 8]],
    [[2, 3, 15, 11], [16, 16]],
    [[1.5, 0.25, 16.75, 12.5], [6, 6]],
    [[4.3, 2.1, 10.9, 9.7], [14, 14]],
]
resized = [
    {"box": box, "size": size, "pixels": list(picture.resize(size, Image.Resampling.BILINEAR, box=box).tobytes())}
    for box, size in RESIZES
]

channels = pixels.permute(2, 0, 1)
TONES = {
    "brightness 0.4": lambda p: F.adjust_brightness(p, 0.4),
    "brightness 1.7": lambda p: F.adjust_brightness(p, 1.7),
    "colour 0.2": lambda p: F.adjust_saturation(p, 0.2),
    "colour 1.8": lambda p: F.adjust_saturation(p, 1.8),
    "contrast 0.3": lambda p: F.adjust_contrast(p, 0.3),
    "contrast 1.9": lambda p: F.adjust_contrast(p, 1.9),
    "sharpness 0.1": lambda p: F.adjust_sharpness(p, 0.1),
    "sharpness 1.9": lambda p: F.adjust_sharpness(p, 1.9),
    "posterize 3": lambda p: F.posterize(p, 3),
    "solarize 100": lambda p: F.solarize(p, 100),
    "autocontrast": F.autocontrast,
    "equalize": F.equalize,
}
tones = {name: change(channels).permute(1, 2, 0).flatten().tolist() for name, change in TONES.items()}

FILE.parent.mkdir(exist_ok=True)
whole = {
    "height": HEIGHT, "width": WIDTH, "pixels": pixels.flatten().tolist(), "resized": resized, "tones": tones,
}  # fmt: skip
FILE.write_text(json.dumps(whole, separators=(",", ":")) + "\n")
