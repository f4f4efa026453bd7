"""The benchmark runs, and says what it measured."""

import json

from abn.benchmark import main


def test_the_benchmark_measures_every_stage(tiny_imagenette, tmp_path, capsys):
    arguments = ["--network", "compact", "--batch", "1", "2", "--repeats", "2", "--json", str(tmp_path / "found.json")]
    main([*arguments, "--imagenette-root", str(tiny_imagenette), "--pictures", "5"])
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
    words = capsys.readouterr().out
    assert "neither network nor coding" in words
    assert "(1.00x)" in words
    assert "of the labels are the same" in words
