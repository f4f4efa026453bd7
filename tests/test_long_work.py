"""A comparison's hundreds of forward passes: how many, on whose time, and what is said where they are too many."""

import gradio as gr
import numpy as np
import pytest
import torch
from asking import asked
from helpers import made_up_picture, tiny_model

from abn import AbnImageProcessor, Explainer, stopping
from abn.comparison import CURVE_PASSES, Comparison
from abn.methods import METHODS, Parts, forward_parts, occlusion, score_cam
from abn.space.server import budgets, lending, limits
from abn.space.server.long_work import CURVES, MAP, estimated, long_work
from abn.space.server.serving import Served, answer
from abn.space.server.zero_gpu import LONGEST, PICTURE, loan_for
from abn.space.tabs.compare import compare, noted


class Counted(torch.nn.Module):
    """A network that counts the pictures it is given."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config, self.seen = model.model, model.config, 0
        self._whole = [model]

    def forward(self, pixel_values):
        self.seen += len(pixel_values)
        return self._whole[0](pixel_values=pixel_values)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", ["score-cam", "occlusion"])
def test_the_passes_said_are_the_passes_made(name, pixels):
    model = Counted(tiny_model())
    parts, method, target = forward_parts(model, pixels), METHODS[name], torch.tensor([3])
    method.compute(model, pixels, parts, target)
    assert model.seen == method.passes(pixels, parts)
    for limit in (model.seen - 1, 40):
        model.seen = 0
        compute, made = method.within(pixels, parts, limit)
        compute(model, pixels, parts, target)
        assert model.seen == made <= limit
        assert made > limit // 2
    assert method.within(pixels, parts, 10_000)[1] == method.passes(pixels, parts)
    assert method.within(pixels, parts, 5) is None


def test_the_curves_passes_said_are_the_passes_made():
    explainer = Explainer(tiny_model(), AbnImageProcessor(), device="cpu")
    comparison = Comparison(explainer, made_up_picture(), "class 3")
    found = comparison("grad-cam")
    explainer.model = Counted(explainer.model)
    comparison.curves(found)
    assert explainer.model.seen == CURVE_PASSES


def test_fewer_masks_are_those_of_the_channels_that_vary_most(pixels):
    model, target = tiny_model(), torch.tensor([3])
    parts = forward_parts(model, pixels)
    features = parts.last_features
    spread = [channel.var().item() for channel in features[0]]
    chosen = sorted(sorted(range(len(spread)), key=lambda one: -spread[one])[:20])
    alone = Parts(parts.logits, None, parts.attention_map, last_features=features[:, chosen])
    few = score_cam(model, pixels, parts, target, most=20)
    assert torch.allclose(few, score_cam(model, pixels, alone, target), atol=1e-6)
    assert not torch.allclose(few, score_cam(model, pixels, parts, target), atol=1e-3)


def test_fewer_squares_are_larger_ones(pixels):
    model, target = tiny_model(), torch.tensor([3])
    parts = forward_parts(model, pixels)
    assert occlusion(model, pixels, parts, target).shape == (1, 11, 16)  # patches of 6 pixels
    assert occlusion(model, pixels, parts, target, cells=4).shape == (1, 4, 6)  # of 16


@pytest.fixture
def refused(monkeypatch):
    """A model whose GPU is not lent; gives (Served, the loans asked for)."""
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    lent, on_cpu = (Explainer(tiny_model(), processor, device="cpu") for _ in range(2))
    asked = []

    def refuse(work, given, seconds):
        asked.append(seconds)
        raise gr.Error("Space app has reached its GPU limit.", title="ZeroGPU quota exceeded")

    monkeypatch.setattr(lending, "_lent", lent)
    monkeypatch.setattr(lending, "_on_gpu", refuse)
    monkeypatch.setattr(lending, "_each_on_gpu", refuse)
    return Served("lent", lent, on_cpu), asked


MOST = ", and a request may compute for 20 s here; choose fewer methods"
STEPS = [(MAP, "score-cam"), (MAP, "occlusion"), (CURVES, "score-cam"), (CURVES, "grad-cam")]


def results(served, seconds_a_pass):
    comparison = Comparison(served.lasting, made_up_picture(64, 64), "class 3")
    comparison.seconds_a_pass = seconds_a_pass
    found = {"grad-cam": comparison("grad-cam")}
    return comparison, list(long_work(served, comparison, made_up_picture(64, 64), STEPS, found))


def test_what_the_cpu_manages_in_time_is_done_whole(refused):
    comparison, done = results(refused[0], 0.001)
    assert [one.step for one in done] == STEPS
    assert {one.unlent for one in done} == {"quota"}
    for one, method in zip(done, ("score-cam", "occlusion"), strict=False):
        assert one.result.passes is None
        assert np.array_equal(one.result.grid, comparison(method).grid)
    assert done[3].result == comparison.curves(comparison("grad-cam"))
    assert refused[1] == [loan_for(0.001 * (64 + 144 + 2 * CURVE_PASSES))]  # 64 channels, 12 x 12 squares


def test_what_it_does_not_is_done_with_fewer_masks(refused):
    comparison, done = results(refused[0], 19.7 / 60)
    assert done[0].result.passes == 60  # of 64
    assert done[1].result.passes == 49  # patches of 11 pixels: 7 x 7 squares
    assert done[2].result is not None
    words = [note for one in done for note in noted(one, comparison, "en")]
    assert "Score-CAM with 60 of its 64 masks, as many as can be computed in time" in words
    assert words[0] == "answered on the CPU: today's GPU time is used up"


def test_what_tells_nothing_in_time_is_left_out_and_said_so(refused):
    comparison, done = results(refused[0], 19.7 / 12)
    assert [one.result for one in done] == [None] * 4
    assert done[1].seconds == pytest.approx(144 * 19.7 / 12)
    words = [note for one in done for note in noted(one, comparison, "en") if not note.startswith("answered")]
    assert words == [
        "Score-CAM left out: it would take about 105 s" + MOST,
        "Occlusion left out: it would take about 236 s" + MOST,
        "the curves of Grad-CAM left out: it would take about 67 s" + MOST,
    ]
    assert "Grad-CAM の曲線 は省略" in noted(done[3], comparison, "ja")[1]


def test_where_no_gpu_is_lent_a_request_has_its_seconds_too(refused):
    """All steps together, and what the request had computed before."""
    served = Served("own", refused[0].lasting)
    _, done = results(served, 0.001)
    assert all(one.result is not None and not one.unlent for one in done)
    assert refused[1] == []
    with budgets.spending("192.0.2.1") as meter:
        meter.more = limits.SECONDS_A_REQUEST - 0.001
        _, done = results(served, 0.1)
    assert [one.result for one in done] == [None] * 4


def test_work_that_nobody_waits_for_stops(refused):
    served, asked = Served("own", refused[0].lasting), []

    def left():
        asked.append(1)
        return len(asked) > 3

    with stopping.when(left), pytest.raises(stopping.Stopped):
        results(served, 0.001)


@pytest.mark.parametrize("method", ["score-cam", "occlusion"])
def test_a_method_of_many_passes_stops_within(method, pixels):
    model, asked = Counted(tiny_model()), []
    parts = forward_parts(model, pixels)
    with stopping.when(lambda: asked.append(1) or len(asked) > 2), pytest.raises(stopping.Stopped):
        METHODS[method].compute(model, pixels, parts, torch.tensor([3]))
    assert 0 < model.seen <= 16


def test_curves_stop_within():
    explainer = Explainer(tiny_model(), AbnImageProcessor(), device="cpu")
    comparison = Comparison(explainer, made_up_picture(), "class 3")
    found, asked = comparison("grad-cam"), []
    explainer.model = Counted(explainer.model)
    with stopping.when(lambda: asked.append(1) or len(asked) > 2), pytest.raises(stopping.Stopped):
        comparison.curves(found)
    assert explainer.model.seen <= 16


def test_the_page_ends_in_what_was_answered_where(refused, tmp_path):
    made_up_picture(64, 64).save(tmp_path / "picture.png")
    question = asked(refused[0], tmp_path / "picture.png", methods=["grad-cam", "score-cam"], curves=True)
    *_, last = compare(question)
    assert last == {"done": True, "notes": ["answered on the CPU: today's GPU time is used up"]}


def test_the_page_says_on_its_card_what_was_left_out(refused, tmp_path, monkeypatch):
    made_up_picture(64, 64).save(tmp_path / "picture.png")
    slow = property(lambda self: 19.7 / 12, lambda self, value: None)
    monkeypatch.setattr(Comparison, "seconds_a_pass", slow, raising=False)
    answers = list(compare(asked(refused[0], tmp_path / "picture.png", methods=["grad-cam", "occlusion"], curves=True)))
    left = {(one["method"], one["left"]): one["why"] for one in answers if "left" in one}
    assert list(left) == [("occlusion", "map"), ("grad-cam", "curves"), ("occlusion", "curves")]
    assert left["occlusion", "map"].startswith("Occlusion left out: it would take about 236 s")
    assert [one["method"] for one in answers if "map" in one] == ["grad-cam"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (gr.Error("You have exceeded your free ZeroGPU quota.", title="ZeroGPU quota exceeded"), "quota"),
        (gr.Error("No GPU was available after 60s. Try", title="ZeroGPU quota exceeded"), "none_free"),
        (gr.Error("No GPU was available", title="ZeroGPU client error"), "none_free"),
        (gr.Error("GPU task aborted", title="ZeroGPU worker error"), "failed"),
        (gr.Error("The requested GPU duration (900s) is larger", title="ZeroGPU illegal duration"), "failed"),
        (RuntimeError("ZeroGPU API /schedule error: 500"), "failed"),
    ],
)
def test_why_the_cpu_answered(error, why, refused, monkeypatch):
    def refuse(work, given, seconds):
        raise error

    monkeypatch.setattr(lending, "_on_gpu", refuse)
    answered = answer(refused[0], made_up_picture(64, 64), "whole")
    assert answered.unlent == why
    expected = refused[0].lasting(made_up_picture(64, 64), view="whole")
    assert answered.explanation.probabilities == expected.probabilities


def test_who_left_is_not_answered(refused, monkeypatch):
    def leave(work, given, seconds):
        raise RuntimeError("Connection closed by visitor while queueing")

    monkeypatch.setattr(lending, "_on_gpu", leave)
    with pytest.raises(lending.Left):
        answer(refused[0], made_up_picture(64, 64), "whole")


def test_a_loans_length():
    assert loan_for(0) == PICTURE
    assert loan_for(430) == 22  # Score-CAM of ResNet-152: 2,048 passes of 0.21 s
    assert loan_for(1e6) == LONGEST


def test_the_estimate_is_of_this_picture(refused):
    comparison = Comparison(refused[0].lasting, made_up_picture(64, 64))
    comparison.seconds_a_pass = 0.5
    assert estimated(comparison, (MAP, "score-cam")) == 32
    assert estimated(comparison, (CURVES, "attention")) == 0.5 * CURVE_PASSES
    assert estimated(comparison, (MAP, "attention")) == 0
