"""Where the time of an explanation goes, and what tuning gains: ratios within one run.

python -m abn.benchmark                      # the bundled network and a ResNet-152 of random weights
python -m abn.benchmark --batch 1 --json benchmark.json
python -m abn.benchmark --large              # only what a photograph of 12 megapixels takes
python -m abn.benchmark --imagenette-root data   # also how far tuning moves the answers to 1,000 validation pictures
"""

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from . import imagenette
from .commands import carried_out, program
from .data_urls import png_url
from .explanation import BATCH, Explainer
from .faithfulness.run import spread
from .methods import METHODS
from .model.configuration_abn import AbnConfig
from .model.image_processing_abn import VIEWS, AbnImageProcessor
from .model.modeling_abn import AbnForImageClassification
from .model.pictures import load_rgb
from .overlay import overlay
from .tuning import has_bfloat16, tuned

PICTURE = (500, 375)  # pixels: what an ImageNet photograph has
LARGE = (4000, 3000)  # 12 megapixels, as telephones take them


def timed(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of one call: the median, after one call that does not count."""
    work()
    spans = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spans.append(1000 * (time.perf_counter() - began))
    return statistics.median(spans)


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """As `timed`, for several; a call of each in turn, so that a noisy machine is as noisy for all."""
    spans = {name: [] for name in works}
    for round_ in range(repeats + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_:
                spans[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in spans.items()}


def photograph(seed: int = 0, size: tuple[int, int] = PICTURE) -> bytes:
    """A JPEG with a photograph's size, (width, height), and about its detail."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    picture = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=90)
    return out.getvalue()


def stages(explainer: Explainer, folder: Path, batch: int, repeats: int) -> dict[str, float]:
    """Milliseconds a picture of each stage of an explanation, at the network's own view."""
    files = []
    for place in range(batch):
        files.append(folder / f"{place}.jpg")
        files[-1].write_bytes(photograph(place))
    pictures = [load_rgb(file) for file in files]
    pixels = explainer.processor(pictures, return_tensors="pt")["pixel_values"]
    sizes = [(picture.height, picture.width) for picture in pictures]
    explanations = explainer(pictures)
    views = [explanation.view.shape[:2] for explanation in explanations]
    with torch.inference_mode():
        maps = explainer.model(pixel_values=pixels.to(explainer.device)).attention_map.cpu()

    def forward():
        with torch.inference_mode():
            explainer.model(pixel_values=pixels.to(explainer.device, memory_format=torch.channels_last))

    found = {
        "decode": timed(lambda: [load_rgb(file) for file in files], repeats),
        "preprocess": timed(lambda: explainer.processor(pictures, return_tensors="pt"), repeats),
        "forward": timed(forward, repeats),
        "map": timed(lambda: explainer.processor.post_process_attention(maps, sizes, "model", views), repeats),
        "overlay": timed(lambda: [overlay(e.view, e.heatmap) for e in explanations], repeats),
        "encode": timed(lambda: [(png_url(e.view), png_url(e.colours())) for e in explanations], repeats),
    }
    return {name: value / batch for name, value in found.items()}


def forwards(explainer: Explainer, batch: int, repeats: int) -> dict[str, float]:
    """Milliseconds a picture of the network alone: plain float32 in eager mode, and tuned."""
    side = explainer.processor.crop_size["height"]
    pixels = torch.randn(batch, 3, side, side, device=explainer.device)
    plain = AbnForImageClassification(explainer.model.config).to(explainer.device).eval()
    plain.load_state_dict(explainer.model.state_dict())
    ways = {"plain": plain, "folded": tuned(explainer, half=False).model}
    if has_bfloat16(explainer.device):
        ways["tuned"] = tuned(explainer).model

    def run(name, model):
        def work():
            if name == "plain":
                with torch.no_grad():
                    return model(pixel_values=pixels)
            with torch.inference_mode():
                return model(pixel_values=pixels.contiguous(memory_format=torch.channels_last))

        return work

    found = in_turn({name: run(name, model) for name, model in ways.items()}, repeats)
    return {name: value / batch for name, value in found.items()}


def methods(explainer: Explainer, repeats: int, slow: bool) -> dict[str, float]:
    """Milliseconds of each method beyond the forward pass, on one picture; slow: also those of many forwards."""
    picture = load_rgb(Image.open(io.BytesIO(photograph())))
    passed = explainer.forward([picture], "model")
    return {
        name: timed(
            lambda method=method: method.compute(explainer.model, passed.pixels, passed.parts, passed.targets),
            repeats if method.quick else 3,
        )
        for name, method in METHODS.items()
        if slow or method.quick
    }


def large(explainer: Explainer, folder: Path, repeats: int) -> dict[str, float]:
    """Milliseconds of a 12-megapixel JPEG from its file to its overlay, in both views, and of decoding it at full size;
    and the slower view's ratio to that."""
    file = folder / "large.jpg"
    file.write_bytes(photograph(size=LARGE))

    def decode() -> None:
        with Image.open(file) as opened:
            opened.load()

    works: dict[str, Callable[[], object]] = {"decode": decode}
    for view in VIEWS:
        works[view] = lambda view=view: explainer(file, view=view).overlay()
    found = in_turn(works, repeats)
    return found | {"ratio": max(found[view] for view in VIEWS) / found["decode"]}


def per_pixel(repeats: int) -> tuple[float, float]:
    """Milliseconds of ours and of converting a picture pixel by pixel in Python, as the reference does it."""
    picture, processor = load_rgb(Image.open(io.BytesIO(photograph()))), AbnImageProcessor()

    def slow():
        small = picture.resize((341, 256), Image.Resampling.BILINEAR).crop((58, 16, 282, 240))
        pixels = list(small.getdata())  # ty: ignore[invalid-argument-type]  # Pillow annotates its own C type
        values = torch.tensor(pixels, dtype=torch.float32).view(224, 224, 3).permute(2, 0, 1) / 255
        return (values - 0.45) / 0.225

    found = in_turn({"ours": lambda: processor(picture, return_tensors="pt"), "pixels": slow}, repeats)
    return found["ours"], found["pixels"]


def agreement(explainer: Explainer, quicker: Explainer, files: Sequence[str | Path]) -> dict[str, float]:
    """How far a quicker copy's answers are from the network's own: mean and largest difference of a probability, and
    the share of pictures whose label is the same."""
    differences, same = [], 0
    for start in tqdm(range(0, len(files), BATCH), "tuned against plain", mininterval=1):
        pictures = [load_rgb(file) for file in files[start : start + BATCH]]
        for before, after in zip(explainer(pictures), quicker(pictures), strict=True):
            differences += [abs(before.probabilities[name] - after.probabilities[name]) for name in explainer.labels]
            same += before.label == after.label
    return {"mean": float(np.mean(differences)), "largest": max(differences), "same_label": same / len(files)}


def resnet152() -> Explainer:
    torch.manual_seed(0)
    model = AbnForImageClassification(AbnConfig(arch="resnet152", attention_head="A", num_labels=10))
    return Explainer(model, AbnImageProcessor())


def measure(batches: list[int], repeats: int, names: list[str], only_large: bool = False) -> dict:

    explainers = {"compact": lambda: Explainer.from_pretrained("compact"), "resnet152": resnet152}
    found = {"machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"}
    found["device"] = str(Explainer.from_pretrained("compact").device)
    with tempfile.TemporaryDirectory() as folder:
        found["12 megapixels"] = large(Explainer.from_pretrained("compact"), Path(folder), max(3, repeats // 2))
        for name in () if only_large else names:
            explainer = explainers[name]()
            for batch in batches:
                few = max(3, repeats // (8 if name == "resnet152" else 1))
                found[f"{name}, batch {batch}"] = {
                    "stages": stages(explainer, Path(folder), batch, few),
                    "network": forwards(explainer, batch, few),
                }
            found[f"{name}, methods"] = methods(explainer, max(3, repeats // 4), slow=name == "compact")
    if not only_large:
        found["preprocess, pixel by pixel"] = dict(zip(("ours", "pixels"), per_pixel(repeats), strict=True))
    return found


def table(found: dict) -> str:
    lines = [f"{found['machine']}, {found['device']}; milliseconds a picture", ""]
    for name, part in found.items():
        if not isinstance(part, dict) or name == "agreement":
            continue
        if "stages" not in part:
            lines += [f"{name}: " + "  ".join(f"{key} {value:.2f}" for key, value in part.items()), ""]
            continue
        spans, network = part["stages"], part["network"]
        own = spans["preprocess"] + spans["map"] + spans["overlay"]
        lines.append(f"{name}: " + "  ".join(f"{key} {value:.2f}" for key, value in spans.items()))
        lines.append(f"  neither network nor coding: {own / sum(spans.values()):.1%}")
        gains = "  ".join(f"{key} {value:.2f} ({network['plain'] / value:.2f}x)" for key, value in network.items())
        lines += [f"  network: {gains}", ""]
    if "agreement" in found:
        lines.append(
            "tuned against plain: probabilities differ by {mean:.4f} in the mean and {largest:.3f} at most; "
            "{same_label:.1%} of the labels are the same".format(**found["agreement"])
        )
    if "12 megapixels" in found:
        ratio = found["12 megapixels"]["ratio"]
        lines.append(f"a 12-megapixel JPEG, from its file to its overlay: {ratio:.2f} x the time of decoding it")
    if "preprocess, pixel by pixel" in found:
        ours, pixels = found["preprocess, pixel by pixel"].values()
        lines.append(f"preprocessing against pixel by pixel in Python: {pixels / ours:.1f}x")
    return "\n".join(lines)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog=program("abn.benchmark"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--network", nargs="+", choices=("compact", "resnet152"), default=["compact", "resnet152"])
    parser.add_argument("--large", action="store_true", help="only what a photograph of 12 megapixels takes")
    parser.add_argument("--threads", type=int, help="of PyTorch; default: all cores")
    parser.add_argument(
        "--imagenette-root",
        type=os.path.expanduser,
        help="measure on its validation pictures how far tuning moves the answers",
    )
    parser.add_argument("--pictures", type=int, default=1000, help="how many of them, spread evenly")
    parser.add_argument("--json", type=_path, help="write the figures here")
    args = parser.parse_args(argv)
    return carried_out(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Raises: ValueError, OSError: a network or the pictures cannot be had, or the figures not be written; says why."""
    if args.threads:
        torch.set_num_threads(args.threads)
    data = imagenette.load(args.imagenette_root, "val").report() if args.imagenette_root else None
    found = measure(args.batch, args.repeats, args.network, args.large)
    if data is not None:
        samples = spread(data.samples, args.pictures)
        explainer = Explainer.from_pretrained("compact")
        found["agreement"] = agreement(explainer, tuned(explainer), [path for path, _ in samples])
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    raise SystemExit(main())
