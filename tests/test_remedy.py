"""The attention remedy: its loss, its targets, and that they move with their pictures."""

import json

import numpy as np
import pytest
import torch
from helpers import TINY, Weighing, coordinates, made_up_picture, run_here, tiny_model
from safetensors.torch import load_file
from torch.nn import functional as F

from abn import AbnImageProcessor, Explainer
from abn.methods import forward_parts
from abn.model.pictures import load_rgb
from abn.tuning import quick_arithmetic, tuned
from train import remedy
from train.augment import draw_crops, resize_crops
from train.dataset import PictureDataset
from train.recipes import RECIPES
from train.recipes.recipe import Remedy
from train.remedy import GRID, STRIDE, map_loss, mask_gradients, steeper, teacher_maps
from train.run import main
from train.trainer import checkpoints

CPU = torch.device("cpu")
PROCESSOR = AbnImageProcessor()


def test_the_loss_is_the_binary_cross_entropy():
    ours, target = torch.tensor([[[[0.9, 0.2]]]]), torch.tensor([[[[1.0, 0.5]]]])
    expected = (-np.log(0.9) - 0.5 * np.log(0.2) - 0.5 * np.log(0.8)) / 2
    assert map_loss(ours, target).item() == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(map_loss(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])))
    logits = [np.log(9), np.log(0.25)]
    places = [2 / 3, 1 / 3]
    log_sum = np.log(np.exp(logits).sum())
    peak = -sum(place * (logit - log_sum) for place, logit in zip(places, logits, strict=True))
    assert map_loss(ours, target, 0.5).item() == pytest.approx(expected + 0.5 * peak, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert map_loss(ours.bfloat16(), target).item() == pytest.approx(expected, rel=0.02)


@pytest.fixture
def pictures():
    stack = np.stack([np.asarray(made_up_picture(64, 64, seed)).transpose(2, 0, 1) for seed in range(3)])
    return PictureDataset(torch.from_numpy(stack), torch.tensor([1, 5, 7]), torch.ones(3))


ALONE = ["--outliers", "0", "--before-share", "0"]  # the remedy and nothing beside it


def maps_of(model, data, *, alone=False):
    """The teacher's maps, with crops of 48 pixels and gradients at 48; or of the crops alone."""
    with pytest.MonkeyPatch.context() as patch:
        if alone:
            patch.setattr(remedy, "mask_gradients", lambda model, pictures, *_: torch.ones(len(pictures), 3, 3))
        return teacher_maps(model, data, PROCESSOR, Remedy(teacher_size=48, teacher_gradient_size=48), CPU)


def evidence(model, pixels, labels):
    """relu(sum_c w_kc A_c) by hand."""
    with quick_arithmetic(CPU):
        features = forward_parts(model, pixels.contiguous(memory_format=torch.channels_last)).last_features.float()
    weights = model.model.perception_branch.fc.weight.detach()[labels]
    return torch.relu((features * weights[:, :, None, None]).sum(1))


def resized(maps, shape):
    return F.interpolate(maps[:, None], shape, mode="bilinear", align_corners=False)[:, 0]


def test_the_crops_of_a_mirror_image_count_as_much(pictures):
    model = tiny_model()
    maps = maps_of(model, pictures)
    assert maps.shape == (3, 1, GRID, GRID)
    assert 0 <= maps.min() <= maps.max() == 1
    flipped = PictureDataset(pictures.pictures.flip(-1), pictures.labels, pictures.aspects)
    one, other = (maps_of(model, data, alone=True) for data in (pictures, flipped))
    assert (one.flip(-1) - other).abs().max() < 0.05  # bfloat16


def test_the_targets_are_the_true_classs_cams_averaged_over_crops_where_they_lie(pictures):
    """Three crops a side, each three quarters of it: 48 of 64 pixels, 24 of 32 places."""
    model = tiny_model()
    pixels = pictures.pixel_values(slice(None), PROCESSOR, CPU)
    total, times = torch.zeros(3, GRID, GRID), torch.zeros(GRID, GRID)
    for top in (0, 1, 2):
        for left in (0, 1, 2):
            part = pixels[:, :, 8 * top : 8 * top + 48, 8 * left : 8 * left + 48]
            seen = resized(evidence(model, part, pictures.labels), (24, 24))
            seen += resized(evidence(model, part.flip(-1), pictures.labels), (24, 24)).flip(-1)
            total[:, 4 * top : 4 * top + 24, 4 * left : 4 * left + 24] += seen
            times[4 * top : 4 * top + 24, 4 * left : 4 * left + 24] += 1
    expected = total / times
    expected = expected / expected.amax((1, 2), keepdim=True).clamp(min=1e-9)
    assert (maps_of(model, pictures, alone=True)[:, 0].float() - expected).abs().max() < 2e-3  # float16


def test_mask_gradients_of_a_known_network():
    """A picture of one red that its blur does not change: only fading in from nothing counts."""
    worth = torch.zeros(4, 4)
    worth[1, 2], worth[3, 0] = 8.0, -4.0
    weights = worth.repeat_interleave(STRIDE, 0).repeat_interleave(STRIDE, 1)
    model = Weighing(weights / weights.numel())  # logit 0 is the mean of the weighed places
    pictures = torch.full((1, 3, 64, 64), 0.5)
    shown = torch.tensor([0.25, 0.75])  # with two levels
    share = torch.sigmoid(0.5 * shown * worth.mean())
    found = mask_gradients(model, pictures, torch.tensor([0]), 2)[0]
    # d p / d m is p (1 - p) times the picture times the worth under the mask's place, spread by its interpolation.
    one = torch.zeros(1, 1, 4, 4)
    for row, column in ((1, 2), (3, 0), (0, 0)):
        one.zero_()[0, 0, row, column] = 1
        under = F.interpolate(one, (64, 64), mode="bilinear", align_corners=False)[0, 0]
        expected = (share * (1 - share)).sum() * 0.5 * (under * weights).mean()
        assert found[row, column].item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-8)
    other = mask_gradients(model, pictures, torch.tensor([1]), 2)[0]
    torch.testing.assert_close(other, -found)  # what speaks for one of two classes speaks against the other


def test_mask_gradients_start_from_the_blurred_picture_too():
    """Of a picture with structure, at one level: half-way from its blur, and half-way from nothing."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(64, 64, generator=generator) / 500
    pictures = torch.rand(1, 3, 64, 64, generator=generator)
    found = mask_gradients(Weighing(weights), pictures, torch.tensor([0]), 1)[0]
    picture = pictures[0, 0]
    blur = F.avg_pool2d(F.pad(pictures, (15, 15, 15, 15), mode="replicate"), 31, stride=1)[0, 0]
    for row, column in ((0, 0), (1, 2), (3, 3)):
        one = torch.zeros(1, 1, 4, 4)
        one[0, 0, row, column] = 1
        under = F.interpolate(one, (64, 64), mode="bilinear", align_corners=False)[0, 0]
        expected = 0
        for start in (blur, torch.zeros_like(blur)):
            share = torch.sigmoid((weights * (start + picture) / 2).sum())
            expected += share * (1 - share) * (under * weights * (picture - start)).sum()
        assert found[row, column].item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-6)


def test_mask_gradients_sharpen_the_targets(pictures):
    model = tiny_model()
    cam, both = maps_of(model, pictures, alone=True), maps_of(model, pictures)
    pixels = pictures.pixel_values(slice(None), PROCESSOR, CPU)
    pixels = F.interpolate(pixels, (48, 48), mode="bilinear", align_corners=False, antialias=True)
    quick = tuned(Explainer(model, PROCESSOR, device="cpu")).model
    gradients = mask_gradients(quick, pixels, pictures.labels, 5)
    assert gradients.shape == (3, 3, 3)
    expected = cam[:, 0].float() * resized(gradients, (GRID, GRID)).clamp(min=0)
    expected = expected / expected.amax((1, 2), keepdim=True).clamp(min=1e-9)
    assert (both[:, 0].float() - expected).abs().max() < 0.01  # float16
    assert both[:, 0].amax((1, 2)).tolist() == [1, 1, 1]


def test_a_map_is_cropped_and_mirrored_with_its_picture():
    """The picture's own coordinates as its map: after the same crop they still agree."""
    picture = coordinates(64)[None].repeat(20, 1, 1, 1)
    torch.manual_seed(0)
    crops = draw_crops(torch.ones(20), area=(0.3, 1.0), aspect=(0.75, 1.33))
    fine = resize_crops(picture, crops, 48)
    coarse_map = F.avg_pool2d(picture[:, :1].float(), 2)
    moved = resize_crops(coarse_map, crops, 12)
    expected = F.avg_pool2d(fine[:, :1], 4)
    assert (moved - expected)[..., 1:-1, 1:-1].abs().max() < 6  # of 255


@pytest.mark.parametrize("head", "ABCDE")
def test_a_steeper_map_keeps_its_order(head):
    model = tiny_model(attention_head=head)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for norm in (module for name, module in model.named_modules() if name.endswith("map_norm")):
            for parameter in norm.parameters():
                parameter.normal_()
        before = model(pixel_values=pixels).attention_map
        model.load_state_dict(steeper(model.state_dict(), 1.4))
        after = model(pixel_values=pixels).attention_map
    torch.testing.assert_close(after, torch.sigmoid(1.4 * torch.logit(before)) if head != "E" else before)
    assert before.std() > 0.001


def test_without_class_training_it_needs_a_network(tiny_imagenette, tmp_path, capsys):
    arguments = ["--epochs", "0", "--imagenette-root", str(tiny_imagenette)]
    assert main([*arguments, "--checkpoint", str(tmp_path / "out"), *TINY]) == 2
    assert "a recipe without class training needs --initial" in capsys.readouterr().err


@pytest.mark.slow
def test_it_pulls_the_attention_map_to_the_teachers(tiny_imagenette, tmp_path):
    run_here(tiny_imagenette, tmp_path / "plain")
    more = ["--initial", str(tmp_path / "plain"), "--attention-weight", "5", *ALONE]
    more += ["--teacher-size", "48", "--teacher-gradient-size", "48"]
    tune = ["--epochs", "0", "--tune-epochs", "30", "--tune-size", "48", "--tune-lr", "0.02", "--peak-weight", "0.1"]
    run_here(tiny_imagenette, tmp_path / "mended", *more, *tune)
    folder = tiny_imagenette / "imagenette2-160" / "train"
    files = sorted(folder.glob("*/*"))[::4]
    labels = torch.arange(10)
    teacher, before, after = (
        Explainer.from_pretrained(tmp_path / name, device="cpu") for name in ("plain", "plain", "mended")
    )
    stack = np.stack([np.asarray(load_rgb(file).resize((64, 64))).transpose(2, 0, 1) for file in files])
    data = PictureDataset(torch.from_numpy(stack), labels, torch.ones(10))
    how = Remedy(teacher_size=48, teacher_gradient_size=48)
    target = F.interpolate(teacher_maps(teacher.model, data, teacher.processor, how, CPU).float(), (3, 3), mode="area")
    distances = []
    for explainer in (before, after):
        pixels = explainer.processor(files, return_tensors="pt")["pixel_values"]
        distances.append(map_loss(forward_parts(explainer.model, pixels).attention_map, target).item())
    assert distances[1] < 0.9 * distances[0]


@pytest.mark.slow
def test_a_run_of_rounds_ends_in_their_mean(tiny_imagenette, tmp_path):
    """With pictures of no class, and none of the weights before."""
    out = tmp_path / "out"
    run_here(tiny_imagenette, tmp_path / "start")
    more = ["--initial", str(tmp_path / "start"), "--epochs", "0", "--outliers", "0.5"]
    more += ["--before-share", "0"]
    run_here(tiny_imagenette, out, *more, "--tune-epochs", "1", "1", "--tune-size", "48", "--padding", "replicate")
    rounds = [load_file(out / "round-1.safetensors"), load_file(checkpoints(out)[-1] / "ema.safetensors")]
    saved = load_file(out / "model.safetensors")
    apart = 0
    for name, tensor in saved.items():
        if tensor.is_floating_point():
            mean = (rounds[0][name] + rounds[1][name]) / 2
            mean *= RECIPES["compact"].remedy.steepness if ".map_norm.weight" in name or ".map_norm.bias" in name else 1
            assert torch.allclose(tensor.float(), mean, rtol=2e-3, atol=1e-4)
            apart = max(apart, (rounds[0][name] - rounds[1][name]).abs().max().item())
    assert apart > 1e-3
    assert sorted(file.name for file in out.glob("teacher-maps-*")) == [f"teacher-maps-{i}.safetensors" for i in (1, 2)]
    assert json.loads((out / "config.json").read_text())["padding"] == "replicate"


def test_a_picture_too_small_for_the_teacher(tiny_imagenette, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--imagenette-root", str(tiny_imagenette), "--checkpoint", str(out), *TINY]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--teacher-gradient-size", "16"])
    assert ended.value.code == 2
    assert "--teacher-gradient-size: must be 32 or more; got 16" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (out / "run.json").exists()
