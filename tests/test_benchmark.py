"""The benchmark runs, and says what it measured."""

import io
import json

import pytest
import torch
from PIL import Image

from abn.benchmark import LARGE, main, photograph


@pytest.mark.slow
def test_the_benchmark_measures_every_stage(tiny_imagenette, tmp_path, capsys):
    arguments = ["--network", "compact", "--batch", "1", "2", "--repeats", "2", "--json", str(tmp_path / "found.json")]
    assert main([*arguments, "--imagenette-root", str(tiny_imagenette), "--pictures", "5"]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    for batch in (1, 2):
        part = found[f"compact, batch {batch}"]
        assert set(part["stages"]) == {"decode", "preprocess", "forward", "map", "overlay", "encode"}
        assert {"plain", "folded"} <= set(part["network"])
        assert all(value > 0 for each in part.values() for value in each.values())
    assert found["compact, methods"]["grad-cam"] < found["compact, methods"]["occlusion"]
    agreement = found["agreement"]
    assert 0 <= agreement["mean"] <= agreement["largest"] < 0.2
    assert agreement["same_label"] in (0.8, 1.0)
    photo = found["12 megapixels"]
    assert photo["ratio"] == max(photo["model"], photo["whole"]) / photo["decode"]
    words = capsys.readouterr().out
    assert f"a 12-megapixel JPEG, from its file to its overlay: {photo['ratio']:.2f} x the time of decoding it" in words
    assert "neither network nor coding" in words
    assert "(1.00x)" in words
    assert "of the labels are the same" in words


def test_without_the_pictures_it_measures_nothing(tmp_path, capsys):
    assert main(["--imagenette-root", str(tmp_path / "none"), "--json", str(tmp_path / "found.json")]) == 2
    assert capsys.readouterr().err.startswith(f"error: no Imagenette under {tmp_path / 'none'}")
    assert not (tmp_path / "found.json").exists()


@pytest.mark.slow
def test_a_photograph_of_12_megapixels(tmp_path, capsys):
    """From its file to its overlay within 2.5 times the time of decoding it. One thread, so that the ratio is that of
    work also where other processes take the cores."""
    threads = torch.get_num_threads()
    try:
        main(["--large", "--threads", "1", "--repeats", "20", "--json", str(tmp_path / "found.json")])
    finally:
        torch.set_num_threads(threads)
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"machine", "device", "12 megapixels"}
    assert found["12 megapixels"]["ratio"] <= 2.5
    assert "12-megapixel JPEG" in capsys.readouterr().out


def test_it_is_a_photograph_of_12_megapixels(tmp_path):
    with Image.open(io.BytesIO(photograph(size=LARGE))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (4000, 3000))
