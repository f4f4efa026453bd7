"""The Model tab: figures as recorded, nothing of another's file believed blindly, models brought and refused."""

import json
from types import SimpleNamespace

import pytest

from abn import Calibration, Explainer
from abn.faithfulness.figures import ANSWERS, MAPS
from abn.space.context import Asked, answering
from abn.space.locale import CATALOGUES
from abn.space.server.models import Models
from abn.space.server.serving import Served, Serving, metrics_of
from abn.space.tabs.model import ACCURACY, LETTERS, POINTING, about, measured, use

METRICS = {
    "dataset": "Imagenette",
    "pictures": 3925,
    "top1": 92.514,
    "loss": 0.65,
    "ece": 0.1312,
    "ece_calibrated": 0.0312,
    "per_class": {"tench": 96.25},
    "explanation": {"pictures": 500, "pointing": 0.885, "difference": 0.44, "grad-cam": {"difference": 0.49}},
    "confusion_matrix": [[9 if row == column else 1 for column in range(10)] for row in range(10)],
    "command": "python train/run.py",
}


@pytest.fixture(scope="module")
def explainer(bundled):
    return Explainer.from_pretrained(bundled, device="cpu")


def in_words(explainer, **changes) -> dict:
    return measured(Served("a model", explainer, metrics={**METRICS, **changes}))


def asked(models, **values) -> Asked:
    return Asked(values, "en", SimpleNamespace(models=models))


def test_the_three_large_figures_are_those_of_the_page(explainer):
    assert in_words(explainer)["large"] == [
        {"key": "top1", "value": "92.51 %", "pictures": 3925, "dataset": "Imagenette", "boxed": False},
        {"key": "ece_calibrated", "value": "0.0312", "pictures": 3925, "dataset": "Imagenette", "boxed": False},
        {"key": "pointing", "value": "0.885", "pictures": None, "dataset": "Imagenette", "boxed": True},
    ]


def test_the_bundled_networks_calibration_is_the_one_after_scaling(explainer, bundled):
    found = measured(Served("a model", explainer, metrics=metrics_of(bundled)))["large"]
    metrics = json.loads((bundled / "metrics.json").read_text())
    assert [one["value"] for one in found] == [
        f"{metrics['top1']:.2f} %",
        f"{metrics['ece_calibrated']:.4f}",
        f"{metrics['explanation']['pointing']:.3f}",
    ]
    assert metrics["ece_calibrated"] < metrics["ece"]


def test_without_a_temperature_the_page_shows_plain_softmax(bundled):
    plain = Explainer(*_parts(bundled), calibration=Calibration(), device="cpu")
    on = {"pictures": 3925, "dataset": "Imagenette", "boxed": False}
    assert in_words(plain)["large"][1] == {"key": "ece", "value": "0.1312", **on}


def _parts(bundled):
    explainer = Explainer.from_pretrained(bundled, device="cpu")
    return explainer.model, explainer.processor


def test_a_figure_that_is_not_what_the_page_shows_is_left_out(explainer):
    assert [one["key"] for one in in_words(explainer, ece_calibrated=None)["large"]] == ["top1", "pointing"]


def test_all_others_are_shown_as_recorded(explainer):
    found = in_words(explainer)
    assert found["answers"] == [
        ["top1", "92.51 %"],
        ["loss", "0.6500"],
        ["ece", "0.1312"],
        ["ece_calibrated", "0.0312"],
    ]
    assert found["maps"] == {
        "methods": ["attention", "grad-cam"],
        "rows": [["difference", "0.440", "0.490"], ["pointing", "0.885", None]],
    }
    assert found["classes"] == [["tench", "96.2 %"]]
    assert found["matrix"]["rows"] == METRICS["confusion_matrix"]
    assert found["matrix"]["labels"] == explainer.labels
    assert found["made"] == [["command", "python train/run.py"]]


def test_a_transformers_figures(explainer):
    figures = {"method": "rollout", "strokes": 0.25, "strokes_area": 0.125, "gradient-rollout": {"strokes": 0.375}}
    found = in_words(explainer, explanation=figures)
    assert found["maps"] == {
        "methods": ["rollout", "gradient-rollout"],
        "rows": [["strokes", "0.250", "0.375"], ["strokes_area", "0.125", None]],
    }
    on = {"pictures": None, "dataset": "Imagenette", "boxed": False}
    assert found["large"][2] == {"key": "strokes", "value": "0.250", **on}


def test_a_multitask_networks_accuracy(explainer):
    assert in_words(explainer, top1=None, accuracy=88.5)["large"][0]["key"] == "accuracy"


@pytest.mark.parametrize("metrics", [None, {}, {"top1": "high"}])
def test_without_metrics_there_is_nothing(explainer, metrics):
    found = measured(Served("a model", explainer, metrics=metrics))
    assert not any(found.values())


@pytest.mark.parametrize(
    "change",
    [
        {"top1": float("nan"), "top5": [1], "ece": True},
        {"top1": 1e300, "ece": -1e300},
        {"per_class": [1, 2], "explanation": "good"},
        {"per_class": {"x": "y"}, "explanation": {"pointing": None, "grad-cam": 3}},
        {"confusion_matrix": [[1, 2], [3]]},
        {"confusion_matrix": [["9"] * 10] * 10},
        {"confusion_matrix": [[1e300] * 10] * 10},
        {"command": {"a": 1}, "dataset": ["b"], "pictures": "many"},
        {"command": "x" * 10_000, "dataset": "y" * 10_000, "per_class": {"z" * 10_000: 1.0}},
        {"per_class": {str(number): 1.0 for number in range(100_000)}},
    ],
)
def test_strange_metrics_harm_nothing(explainer, change):
    found = in_words(explainer, **change)
    assert ["loss", "0.6500"] in found["answers"]
    assert len(json.dumps(found, allow_nan=False)) < 10_000
    for text in [one["dataset"] or "" for one in found["large"]] + [w for row in found["made"] for w in row]:
        assert isinstance(text, str)
        assert len(text) <= LETTERS


def test_metrics_are_read_from_beside_the_weights(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    assert metrics_of(tmp_path)["top1"] == 92.514
    assert metrics_of(tmp_path / "model.safetensors")["top1"] == 92.514
    (tmp_path / "metrics.json").write_text("[1, 2]")
    assert metrics_of(tmp_path) is None
    (tmp_path / "metrics.json").write_text("not json")
    assert metrics_of(tmp_path) is None
    assert metrics_of(tmp_path / "nowhere" / "x") is None


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
def test_every_large_figure_says_what_it_means(catalogue):
    for key in (*ACCURACY, *POINTING, "ece", "ece_calibrated"):
        assert catalogue[f"means_{key}"]
    assert {f"figure_{figure.key}" for figure in (*ANSWERS, *MAPS)} <= set(catalogue)


def test_what_the_tab_says_of_a_model_and_which_there_are(models_root):
    models = Models(Serving("compact"), models_root)
    found = about(asked(models, model="tiny-three"))
    assert found["name"] == "tiny-three"
    assert "ResNet-18 of width 8" in found["description"]
    assert found["large"] == []
    assert [name for name, _ in found["models"]] == models.listed()
    assert {"bundled compact network", "tiny-three", "transformer"} <= {name for name, _ in found["models"]}
    found = about(Asked({}, "ja", SimpleNamespace(models=models)))
    assert (found["name"], found["models"][0][1]) == ("同梱の小型ネットワーク",) * 2


def test_a_model_is_brought_and_how_far_it_is_is_said(monkeypatch):
    served = SimpleNamespace(name="someone/abn")

    class Slow:
        def of(self, name, report):
            assert name == "someone/abn"
            report(0.25)
            for _ in seen:
                pass
            return served

    seen = iter(lambda: bool(answers), True)  # until the first answer was taken
    answers = []
    for answer in use(asked(Slow(), name=" someone/abn ")):
        answers.append(answer)
    assert answers[0] == {"share": 0.25}
    assert answers[-1] == {"name": "someone/abn", "shown": "someone/abn"}


def test_a_model_that_is_there_is_there_at_once(models_root):
    models = Models(Serving("compact"), models_root)
    assert list(use(asked(models, name="compact"))) == [{"name": "compact", "shown": "bundled compact network"}]


@pytest.mark.parametrize(
    ("name", "language", "words"),
    [
        ("no such", "en", "no such cannot be used: it is neither in the list nor a Hub id (owner/name)"),
        ("no such", "ja", "no such は使えません: 一覧にも Hub の ID(owner/name)にも当てはまりません"),
        ("../../etc/passwd", "en", "../../etc/passwd cannot be used: it is neither in the list nor a Hub id"),
    ],
)
def test_a_model_that_cannot_be_had_is_named(models_root, name, language, words):
    models = Models(Serving("compact"), models_root)
    *_, answer = answering(use, SimpleNamespace(models=models))({"name": name, "language": language}, None)
    assert answer["error"].startswith(words)
    assert models.of("").name == "bundled compact network"
