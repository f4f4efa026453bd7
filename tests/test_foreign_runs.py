"""The authors' command lines, run: on small data and, where the line leaves it open, with a small network."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from celeba_stand_in import label, write_celeba
from helpers import made_up_picture, reference_written, run_here, tiny_model
from PIL import Image

from abn import Explainer, imagenette
from abn.classes import CELEBA, CIFAR100
from abn.visualize import task_file
from train.run import main

README = "-a resnet --dataset cifar100 --depth 8 --epochs 2 --schedule 1 --gamma 0.1 --wd 1e-4"


@pytest.fixture(scope="module")
def cifar100(tmp_path_factory):
    """CIFAR-100 as `cifar_source` keeps it: two training pictures and a validation picture a class."""
    root = tmp_path_factory.mktemp("cifar")
    for split, count in (("train", 2), ("val", 1)):
        for place, name in enumerate(CIFAR100):
            folder = root / "cifar100-pictures" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                made_up_picture(32, 32, seed=3 * place + number).save(folder / f"{number}.png")
    return root


def right_answers(checkpoint, root) -> float:
    explainer = Explainer.from_pretrained(checkpoint, device="cpu")
    pictures = [root / "cifar100-pictures" / "val" / name / "0.png" for name in CIFAR100]
    found = explainer([str(picture) for picture in pictures])
    return sum(e.label == name for e, name in zip(found, CIFAR100, strict=True))


@pytest.mark.slow
def test_the_readme_trains_on_cifar_and_evaluates_it(cifar100, tmp_path, capsys):
    out = tmp_path / "checkpoints" / "cifar100" / "resnet-8"
    line = [*README.split(), "--checkpoint", str(out), "--gpu-id", "0,1", "--imagenette-root", str(cifar100)]
    assert main([*line, "--explain", "0"]) == 0
    told = capsys.readouterr().err
    assert "note: no CUDA device is here: --gpu-id 0,1 is the CPU, in one process" in told
    run = json.loads((out / "run.json").read_text())["fixed"]
    assert (run["arch"], run["epochs"], run["schedule"], run["weight_decay"]) == ("resnet8-cifar", 2, [1], 1e-4)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["network"].startswith("resnet8-cifar")
    assert main([*line, "--evaluate", "--resume", str(out / "model_best.pth.tar"), "--explain", "0"]) == 0
    captured = capsys.readouterr()
    assert f"there is no {out / 'model_best.pth.tar'}; {out} is evaluated" in captured.err
    assert f"top-1 {right_answers(out, cifar100):.2f} %" in captured.out


def authors_file(file):
    """What save_checkpoint of cifar.py leaves of models/cifar/resnet.py under DataParallel."""
    own = {"norm": "bn_att", "conv": "att_conv", "norm2": "bn_att2", "class_conv": "att_conv2"}
    own |= {"map_conv": "att_conv3", "map_norm": "bn_att3"}
    tensors = {}
    labels = dict(enumerate(CIFAR100))
    for name, tensor in (
        tiny_model(arch="resnet8-cifar", width=64, attention_head="A", id2label=labels).state_dict().items()
    ):
        _, part, rest = name.split(".", 2)
        first, tail = rest.split(".", 1)
        if first == "stage":
            rest = {"attention_branch": "att_layer3.", "perception_branch": "layer3."}[part] + tail
        elif part == "attention_branch":
            rest = f"{own[first]}.{tail}"
        tensors[f"module.{rest}"] = tensor
    state = {"epoch": 300, "state_dict": tensors, "acc": 77.5, "best_acc": 77.9, "optimizer": {"state": {}}}
    torch.save(state, file)
    return file


def test_the_readme_evaluates_the_authors_file(cifar100, tmp_path, capsys):
    file = authors_file(tmp_path / "model_best.pth.tar")
    line = [*README.split(), "--checkpoint", "elsewhere", "--gpu-id", "0", "--imagenette-root", str(cifar100)]
    line += ["--evaluate", "--resume", str(file), "--explain", "0"]
    assert main(line) == 0
    assert f"top-1 {right_answers(file, cifar100):.2f} %" in capsys.readouterr().out
    assert main([*line, "--depth", "14"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == f"error: --arch resnet14-cifar contradicts {file}, which is a resnet8-cifar; leave it out"
    file.unlink()
    assert main(line) == 2
    assert f"error: there is no checkpoint at {file}" in capsys.readouterr().err


def test_the_attention_of_classes_is_written_too(cifar100, tmp_path, capsys):
    file = authors_file(tmp_path / "model_best.pth.tar")
    line = [*README.split(), "--imagenette-root", str(cifar100), "--evaluate", "--resume", str(file), "--explain", "0"]
    assert main([*line, "-s", str(tmp_path / "maps"), "--split", "test"]) == 0  # CIFAR's validation is its test split
    written = sorted((tmp_path / "maps" / "test").iterdir())
    assert [path.name for path in written] == [
        f"{i:06d}_{kind}.png" for i in range(100) for kind in ("attention", "input")
    ]
    explanation = Explainer.from_pretrained(file, device="cpu")(
        cifar100 / "cifar100-pictures/val" / CIFAR100[7] / "0.png"
    )
    assert np.array_equal(np.asarray(Image.open(written[14])), explanation.overlay())
    assert np.array_equal(np.asarray(Image.open(written[15])), explanation.view)
    assert main([*line, "-s", "--attention-type", "neg"]) == 2
    assert "only a multi-task network's maps have a sign" in capsys.readouterr().err


SMALL = ["--width", "8", "--sizes", "32", "--test-size", "32", "--resize", "32", "--num_workers", "1"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """(CelebA's root, a run of train_celeba.py's line without residual attention)."""
    root = tmp_path_factory.mktemp("faces")
    write_celeba(root)
    line = f"--data_root {root} --model mtabn_v1_resnet18 --logdir {root / 'logs'} --epochs 2 --lr_steps 1 --gpu_id 0"
    assert main([*line.split(), *SMALL, "--batch_size", "4"]) == 0
    return root, root / "logs"


def test_multitask_training_without_residual_attention(faces):
    root, logs = faces
    config = json.loads((logs / "config.json").read_text())
    assert (config["residual_attention"], config["multitask"], config["arch"]) == (False, "v1", "resnet18")
    run = json.loads((logs / "run.json").read_text())["fixed"]
    assert (run["seed"], run["train_batch"], run["lr"], run["schedule"]) == (1701, 4, 0.01, [1])
    without = Explainer.from_pretrained(logs, device="cpu")
    with_it = Explainer.from_pretrained(logs, device="cpu", residual_attention=True)
    picture = root / "celeba/img_align_celeba/000001.jpg"
    assert without.model.model.perception_branch.residual is False
    assert without(picture).probabilities != with_it(picture).probabilities


def accuracy(explainer, root, places) -> float:
    found = explainer([root / f"celeba/img_align_celeba/{place + 1:06d}.jpg" for place in places])
    right = [
        (e.probabilities[task] > 0.5) == answer
        for e, place in zip(found, places, strict=True)
        for task, answer in zip(CELEBA, label(place), strict=True)
    ]
    return 100 * sum(right) / len(right)


def test_eval_celeba_measures_the_test_split_and_writes_every_task_s_map(faces, tmp_path, capsys):
    root, logs = faces
    line = f"--data_root {root} --logdir {logs} --no_eval_train --no_eval_val --save_attention --attention_type pos"
    assert main([*line.split(), "--resume", "checkpoint-final.pt", "--gpu_id", "0", "--num_workers", "1"]) == 0
    explainer = Explainer.from_pretrained(logs, device="cpu")
    printed = capsys.readouterr().out
    assert "test split:" in printed
    assert f"mean accuracy {accuracy(explainer, root, (6, 7, 8)):.2f} % of 40 tasks" in printed
    assert "(3 pictures;" in printed
    folder = logs / "attention-test"
    assert len(list(folder.iterdir())) == 3 * 41
    picture = root / "celeba/img_align_celeba/000008.jpg"  # the second of the test split
    for task in ("smiling", "5 o'clock shadow", "young"):
        overlay = np.asarray(Image.open(folder / f"000001_{task_file(task)}"))
        assert np.array_equal(overlay, explainer(picture, target=task).overlay())
    assert np.array_equal(np.asarray(Image.open(folder / "000001_input.png")), explainer(picture).view)
    shutil.rmtree(folder)
    both = (
        line.replace("--no_eval_val", "").replace("pos", "both").replace("--save_attention", f"-s {tmp_path / 'maps'}")
    )
    assert main(both.split()) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+) split:$", printed, re.M) == ["val", "test"]
    assert f"mean accuracy {accuracy(explainer, root, (4, 5)):.2f} % of 40 tasks" in printed
    overlay = np.asarray(Image.open(tmp_path / "maps" / "test" / "000001_smiling.png"))
    assert np.array_equal(overlay, explainer(picture, target="smiling", method="attention-both").overlay())


def test_the_first_release_evaluates_with_s(faces, tmp_path, capsys):
    """CelebA as its site and the first release lay it out; main.py's line, with -s and without."""
    _, logs = faces
    write_celeba(tmp_path / "CelebA", "first release")
    line = f"-a resnet18 --data {tmp_path / 'CelebA'} --epochs 10 --schedule 5 7 --gamma 0.1 -c {logs} --gpu-id 0,1"
    line += f" --test-batch 20 -e --resume {logs / 'model_best.pth.tar'}"
    assert main(line.split()) == 0
    assert not (logs / "attention-test").exists()
    assert main([*line.split(), "-s"]) == 0
    assert len(list((logs / "attention-test").glob("*_smiling.png"))) == 3
    shutil.rmtree(logs / "attention-test")
    assert capsys.readouterr().out.count("(3 pictures;") == 2


def test_residual_attention_off_in_a_network_of_classes(tiny_imagenette, tmp_path):
    run_here(tiny_imagenette, tmp_path / "out", "--no-residual-attention", "--max-steps", "1")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["residual_attention"] is False
    assert Explainer.from_pretrained(tmp_path / "out").model.model.perception_branch.residual is False


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["-s"], "--save-attention goes with --evaluate"),
        (["--split", "test"], "--split goes with --evaluate"),
        (["--evaluate", "--split", "all"], "invalid choice: 'all'"),
        (["--initial", "compact", "--no-residual"], "--initial and --residual-attention contradict each other"),
    ],
)
def test_what_goes_with_nothing_else(line, words, capsys):
    with pytest.raises(SystemExit):
        main(line)
    assert words in capsys.readouterr().err


def test_a_data_set_without_a_test_split_says_so(tiny_imagenette, capsys):
    line = ["--evaluate", "--checkpoint", "compact", "--imagenette-root", str(tiny_imagenette), "--split", "test"]
    assert main([*line, "--gpu-id", "cpu"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == "error: Imagenette has no test split"


def test_the_reference_evaluates_what_its_own_training_left(tiny_imagenette, tmp_path, capsys):
    """`train.py --evaluate --checkpoint checkpoint --gpu-id 0`, on a folder with the names that its training wrote."""
    folder = reference_written(tmp_path / "checkpoint", tiny_model(attention_head="A", width=64))
    line = f"--evaluate --checkpoint {folder} --gpu-id 0 --data-root {tiny_imagenette} --explain 0"
    assert main(line.split()) == 0
    explainer = Explainer.from_pretrained(folder, device="cpu")
    samples = imagenette.load(tiny_imagenette, "val").samples
    right = sum(explainer(path).label == imagenette.CLASSES[label] for path, label in samples)
    assert f"top-1 {100 * right / len(samples):.2f} %" in capsys.readouterr().out
