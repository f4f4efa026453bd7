"""Temperature scaling and the energy score, on cases whose answer is known."""

import json
import math

import pytest
import torch
from helpers import made_up_picture, tiny_model

from abn import AbnImageProcessor, Explainer
from abn.calibration import CALIBRATION_NAME, Calibration, energy_score, fit_temperature, map_strength
from abn.calibration.run import calibrated, main
from abn.errors import AbnError


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_it_finds_the_temperature_the_labels_were_drawn_with(true_temperature):
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(20000, 10, generator=generator)
    labels = torch.multinomial(torch.softmax(logits / true_temperature, 1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_the_energy_score_is_log_sum_exp():
    assert energy_score(torch.zeros(1, 10)).item() == pytest.approx(2.302585)
    assert energy_score(torch.tensor([[1000.0, 0.0]])).item() == pytest.approx(1000.0)


def test_fit_puts_the_threshold_at_the_percentile():
    logits = torch.zeros(101, 2)
    logits[:, 0] = torch.arange(101.0)
    calibration = Calibration.fit(logits, None, torch.zeros(101, dtype=torch.long), percentile=5)
    assert calibration.energy_threshold == pytest.approx(energy_score(torch.tensor([[5.0, 0.0]])).item(), abs=1e-6)
    assert calibration.pictures == 101
    assert calibration.is_unfamiliar(4.0)
    assert not calibration.is_unfamiliar(6.0)


def test_each_branch_has_its_own_temperature():
    """Of logits that are right three times in four, the margin is to be log 3."""
    labels = torch.tensor([0, 0, 0, 1] * 25)
    logits = torch.tensor([[2 * math.log(3), 0.0]]).repeat(100, 1)
    calibration = Calibration.fit(logits, logits / 4, labels)
    assert calibration.temperature == pytest.approx(2, rel=1e-3)
    assert calibration.attention_temperature == pytest.approx(0.5, rel=1e-3)
    assert (calibration.percentile, calibration.pictures) == (5, 100)
    both = math.log(10) + math.log(1 + 9**0.25)  # of the logits as they are, not cooled
    assert calibration.energy_threshold == pytest.approx(both)


def test_the_score_is_of_the_branches_that_the_file_names():
    logits, own = torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0, 3.0]])
    one, other = math.log(math.e + math.e**2), math.log(math.exp(-1) + math.e**3)
    assert Calibration().score(logits, own).item() == pytest.approx(one)
    assert Calibration(branches="both").score(logits, own).item() == pytest.approx(one + other)
    assert Calibration(branches="both").score(logits, None).item() == pytest.approx(one)


def test_a_maps_strength_is_the_logarithm_of_its_root_mean_square():
    maps = torch.tensor([[[[0.3, 0.4], [0.0, 0.0]]], [[[0.5, 0.5], [0.5, 0.5]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    assert map_strength(maps).tolist() == pytest.approx([math.log(0.25), math.log(0.5), math.log(1e-4)])
    wider = maps.repeat(1, 1, 2, 3)  # of more places
    assert map_strength(wider).tolist() == pytest.approx(map_strength(maps).tolist())


def test_the_maps_strength_is_added_by_its_weight():
    logits, own = torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0, 3.0]])
    plain = Calibration(branches="both").score(logits, own).item()
    faint, strong = torch.full((1, 1, 3, 5), 0.1), torch.full((1, 1, 4, 4), 0.5)
    weighed = Calibration(branches="both", map_weight=2.5)
    assert weighed.score(logits, own, faint).item() == pytest.approx(plain + 2.5 * math.log(0.1))
    assert weighed.score(logits, own, strong).item() == pytest.approx(plain + 2.5 * math.log(0.5))
    assert Calibration(branches="both").score(logits, own, faint).item() == pytest.approx(plain)
    assert weighed.score(logits, None, faint).item() == pytest.approx(energy_score(logits).item())  # no branches
    with pytest.raises(ValueError, match="attention maps"):  # its threshold would be of another score
        weighed.score(logits, own)


def test_energies_and_maps_are_weighed_alike():
    """By their standard deviations: here 20 for the energies, to a hundredth, and 1 for the maps."""
    sure, strong = torch.tensor([10.0, 50.0, 10.0, 50.0]), torch.tensor([-1.0, -1.0, -3.0, -3.0])
    logits = torch.stack([sure, torch.zeros(4)], 1)
    fitted = Calibration.fit(logits, torch.zeros(4, 2), torch.zeros(4, dtype=torch.long), 50, strong)
    assert fitted.map_weight == pytest.approx(20, rel=1e-3)
    assert fitted.energies[0] == pytest.approx(10 + math.log(2) - 3 * 20, abs=0.05)
    assert fitted.energies[-1] == pytest.approx(50 + math.log(2) - 1 * 20, abs=0.05)
    assert fitted.energy_threshold == pytest.approx((-10 + -10) / 2 + math.log(2), abs=0.05)


def test_maps_that_are_all_alike_have_no_weight():
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(8, dtype=torch.long)
    without = Calibration.fit(logits, logits, labels)
    assert Calibration.fit(logits, logits, labels, strengths=torch.full((8,), -2.0)) == without
    assert Calibration.fit(logits, logits, labels, strengths=-2 + 0.01 * labels.new_tensor([0, 1] * 4)) == without
    assert without.map_weight == 0


def test_familiarity_is_the_share_of_the_pictures_that_score_lower():
    logits = torch.zeros(201, 2)
    logits[:, 0] = torch.linspace(10, 30, 201)  # the smaller logit adds less than 1e-4
    fitted = Calibration.fit(logits, None, torch.zeros(201, dtype=torch.long))
    found = [fitted.familiarity(score) for score in (9, 10.5, 11, 15, 29, 31)]
    assert found == pytest.approx([0, 0.025, 0.05, 0.25, 0.95, 1], abs=1e-3)
    assert fitted.familiarity(fitted.energy_threshold) == pytest.approx(0.05, abs=1e-4)
    assert Calibration(energy_threshold=3.0).familiarity(2.0) is None


def test_a_file_of_before_is_read_as_it_was(tmp_path):
    """The five entries that files had while the score was the perception branch's alone."""
    old = {"temperature": 0.63, "attention_temperature": 0.64, "energy_threshold": 3.0, "percentile": 5.0}
    (tmp_path / CALIBRATION_NAME).write_text(json.dumps({**old, "pictures": 378}))
    found = Calibration.load(tmp_path)
    logits, own = torch.tensor([[2.0, 1.0]]), torch.tensor([[9.0, 9.0]])
    assert found.score(logits, own).item() == pytest.approx(math.log(math.e**2 + math.e))
    assert found.is_unfamiliar(2.9)
    assert not found.is_unfamiliar(3.1)
    assert found.familiarity(2.9) is None


def test_the_default_changes_nothing(tmp_path):
    assert Calibration.load(tmp_path) == Calibration()
    assert Calibration().temperature == 1
    assert not Calibration().is_unfamiliar(-1e9)


def test_saved_and_loaded(tmp_path):
    calibration = Calibration(0.7, 0.6, 2.5, 5.0, 378, "both", (1.5, 2.5, 4.0), 1.75)
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"temperatur": 1}', '{"temperature": 0}', '{"branches": "all"}', '{"energies": [2, 1]}']
)
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / CALIBRATION_NAME).write_text(content)
    with pytest.raises(ValueError, match=r"calibration\.json"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("temperature", "1.5", "temperatures must be numbers above 0"),
        ("attention_temperature", [1], "temperatures must be numbers above 0"),
        ("attention_temperature", -1, "temperatures must be numbers above 0"),
        ("temperature", True, "temperatures must be numbers above 0"),
        ("temperature", float("inf"), "temperatures must be numbers above 0"),
        ("energy_threshold", "low", "energy_threshold must be a number; got 'low'"),
        ("percentile", [5], "percentile must be a number; got [5]"),
        ("pictures", "many", "pictures must be a number; got 'many'"),
        ("map_weight", "all", "map_weight must be a number; got 'all'"),
    ],
)
def test_a_field_that_is_no_number_is_named_in_one_line(tmp_path, field, value, words):
    (tmp_path / CALIBRATION_NAME).write_text(json.dumps({field: value}))
    with pytest.raises(AbnError) as raised:
        Calibration.load(tmp_path)
    assert str(raised.value) == f"calibration.json: {words}"


@pytest.fixture
def class_folders(tmp_path):
    """Three pictures of each of two classes that `tiny_model` knows, wide and tall."""
    for number in (3, 7):
        folder = tmp_path / "data" / f"class {number}"
        folder.mkdir(parents=True)
        for i in range(3):
            made_up_picture(96 + 32 * i, 72, seed=10 * number + i).save(folder / f"{i}.png")
    return tmp_path / "data"


def test_the_command_calibrates_any_checkpoint(tiny_folder, class_folders, capsys):
    """On the pictures as the page sees them, each under the class that its folder names."""
    assert main(["--checkpoint", str(tiny_folder), "--data", str(class_folders), "--percentile", "20"]) == 0
    found, explainer = Calibration.load(tiny_folder), Explainer.from_pretrained(tiny_folder, device="cpu")
    files = sorted(class_folders.rglob("*.png"))
    pictures = [explainer.read(file, "whole") for file in files]
    passed = [explainer.forward([picture], "whole").parts for picture in pictures]
    logits, own = (torch.cat([getattr(p, name) for p in passed]) for name in ("logits", "attention_logits"))
    labels = torch.tensor([3, 3, 3, 7, 7, 7])
    maps = torch.cat([map_strength(p.attention_map) for p in passed])
    expected = Calibration.fit(logits, own, labels, 20, maps)
    assert found.map_weight == pytest.approx(expected.map_weight, rel=1e-3) != 0
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-4)
    assert found.energy_threshold == pytest.approx(expected.energy_threshold, abs=1e-5)
    assert (found.branches, found.percentile, found.pictures) == ("both", 20, 6)
    scores = [explanation.energy for explanation in explainer([*map(str, files)], view="whole")]
    weighed = Calibration(branches="both").score(logits, own) + expected.map_weight * maps
    assert scores == pytest.approx(weighed.tolist(), abs=1e-3)
    assert [e.unfamiliar for e in explainer([*map(str, files)], view="whole")].count(True) == 1  # a fifth of six
    assert f"{found.energy_threshold:.3f}" in capsys.readouterr().out


def test_how_well_others_are_told_apart(tiny_folder, class_folders, tmp_path, capsys):
    """Against every pair of a picture that calibrates and one that does not; percentiles make it a little coarser."""
    others = tmp_path / "others" / "below"
    others.mkdir(parents=True)
    for seed in range(8):
        made_up_picture(80 + 8 * seed, 60, seed=100 + seed).save(others / f"{seed}.png")
    (others / "notes.txt").write_text("no picture")
    asked = ["--checkpoint", str(tiny_folder), "--data", str(class_folders), "--percentile", "40"]
    assert main([*asked, "--others", str(tmp_path / "others")]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    explainer = Explainer.from_pretrained(tiny_folder, device="cpu")
    inside, outside = (
        [one.energy for one in explainer(sorted(folder.rglob("*.png")), view="whole")]
        for folder in (class_folders, tmp_path / "others")
    )
    below = sum(score < explainer.calibration.energy_threshold for score in outside)
    assert 0 < below < 8
    assert said.startswith(f"of 8 others {100 * below / 8:.1f} % do; AUROC ")
    pairs = sum((one < two) + (one == two) / 2 for one in outside for two in inside) / 48
    assert float(said.rsplit(" ", 1)[1]) == pytest.approx(pairs, abs=0.15)
    assert main([*asked, "--others", str(tmp_path / "nothing")]) == 2
    assert "--others" in capsys.readouterr().err


def test_a_file_and_another_folder(tiny_folder, class_folders, tmp_path):
    file = tiny_folder / "model.safetensors"
    assert main(["--checkpoint", str(file), "--data", str(class_folders)]) == 0
    assert main(["--checkpoint", str(file), "--data", str(class_folders), "--out", str(tmp_path / "other")]) == 0
    assert Calibration.load(tmp_path / "other") == Calibration.load(tiny_folder) != Calibration()


@pytest.mark.parametrize(
    ("checkpoint", "data", "words"),
    [
        ("someone/abn", "data", "--out"),
        ("tiny", "nowhere", "nowhere"),
        ("tiny", "strange", "strange class"),
    ],
)
def test_what_cannot_be_calibrated_is_one_line(
    tiny_folder, class_folders, tmp_path, monkeypatch, capsys, checkpoint, data, words
):
    (tmp_path / "strange" / "strange class").mkdir(parents=True)
    made_up_picture().save(tmp_path / "strange" / "strange class" / "1.png")
    monkeypatch.chdir(tmp_path)
    assert main(["--checkpoint", checkpoint, "--data", data]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error
    assert not (tiny_folder / CALIBRATION_NAME).exists()


def test_nothing_to_calibrate_on():
    processor = AbnImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    with pytest.raises(ValueError, match="no pictures"):
        calibrated(Explainer(tiny_model(), processor, device="cpu"), [])
