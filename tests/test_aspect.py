"""What aspect costs: the same pictures squashed and stretched, counted by hand."""

import pytest
from helpers import made_up_picture, tiny_model
from PIL import Image

from abn import AbnImageProcessor, Explainer
from train.aspect import cost_of_aspect, stretched


def test_the_shorter_side_keeps_its_length():
    shapes = {aspect: stretched(Image.new("RGB", (500, 375)), aspect).size for aspect in ((1, 1), (4, 3), (3, 4))}
    assert shapes == {(1, 1): (375, 375), (4, 3): (500, 375), (3, 4): (375, 500)}
    assert stretched(Image.new("RGB", (224, 224)), (4, 3)).size == (299, 224)


def test_each_aspect_is_counted_at_each_view(tmp_path):
    """Labels that the centre crops of squares are answered with, but for one; what the others lose, one by one."""
    processor = AbnImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    explainer = Explainer(tiny_model(), processor, device="cpu")
    pictures = [made_up_picture(64, 64, seed=seed) for seed in range(35)]  # more than are read at once
    answers = [explainer.labels.index(explainer(picture, view="model").label) for picture in pictures]
    order = [*range(1, 10), 0]  # the data count the classes otherwise
    samples = []
    for i, (picture, answer) in enumerate(zip(pictures, answers, strict=True)):
        picture.save(tmp_path / f"{i}.png")
        samples.append((str(tmp_path / f"{i}.png"), order.index(answer)))
    samples[0] = (samples[0][0], (samples[0][1] + 1) % 10)
    found = cost_of_aspect(explainer, samples, order)
    for view in ("model", "whole"):
        top1 = {}
        for name, size in {"1:1": (64, 64), "4:3": (85, 64), "3:4": (64, 85)}.items():
            shapes = [picture.resize(size, Image.Resampling.BICUBIC) for picture in pictures]
            said = [explainer.labels.index(one.label) for one in explainer(shapes, view=view)]
            right = sum(order[label] == answer for (_, label), answer in zip(samples, said, strict=True))
            top1[name] = 100 * right / 35
        assert found["aspect"][view] == pytest.approx(top1)
        if view == "model":
            assert top1["1:1"] == pytest.approx(100 * 34 / 35)
        lost = found["aspect_cost" if view == "model" else "aspect_cost_whole"]
        assert lost == pytest.approx(top1["1:1"] - (top1["4:3"] + top1["3:4"]) / 2)
    assert found["aspect_cost"] != found["aspect_cost_whole"]
    assert found["aspect"]["pictures"] == 35


def test_a_network_that_knows_more_answers_among_the_datas_classes(tmp_path):
    processor = AbnImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    explainer = Explainer(tiny_model(), processor, device="cpu")
    made_up_picture(64, 64, seed=3).save(tmp_path / "one.png")
    best = explainer.labels.index(explainer(tmp_path / "one.png", view="model").label)
    other = (best + 1) % 10
    assert cost_of_aspect(explainer, [(str(tmp_path / "one.png"), 0)], [other])["aspect"]["model"]["1:1"] == 100
    assert cost_of_aspect(explainer, [(str(tmp_path / "one.png"), 0)], [other, best])["aspect"]["model"]["1:1"] == 0
