"""Every command line in the READMEs and scripts of the reference and of ABN's authors: what it means here.

The lines are copied from github.com/yukiharada1228/attention-branch-network (README.md, all its versions),
github.com/machine-perception-robotics-group/attention_branch_network (README.md, TRAINING.md) and
github.com/machine-perception-robotics-group/ABN_CelebA_PyTorch (script_local/*.sh; v0.1: README.md).
"""

import itertools
import json
import os
import re
import shlex

import pytest

from train.foreign import Refused, translate
from train.networks import configuration
from train.recipes import recipe_of
from train.run import main, parse

GPUS = "--gpu-id 0,1"
# TRAINING.md: the same lines for CIFAR-10 (the default of cifar.py) and for CIFAR-100.
RESNET = "-a resnet {} --depth {} --epochs 164 --schedule 81 122 --gamma 0.1 --wd 1e-4 --checkpoint out"
RESNEXT = "-a resnext {} --depth 29 --cardinality {} --widen-factor 4 -c out --schedule 150 225 --wd 5e-4 --gamma 0.1"
WRN = "-a wrn {} --depth 28 --depth 28 --widen-factor 10 --drop 0.3 --epochs 200 --schedule 60 120 160"
WRN += " --wd 5e-4 --gamma 0.2 --checkpoint out"
DENSENET = (
    "-a densenet {} --depth {} --growthRate {} --train-batch 64 --epochs 300 --schedule 150 225 --wd 1e-4 --gamma 0.1"
)
README = (
    "-a resnet --dataset cifar100 --depth 110 --epochs 300 --schedule 150 225 --gamma 0.1 --wd 1e-4 "
    "--checkpoint checkpoints/cifar100/resnet-110 --gpu-id 0,1"
)


def network(arch, head, epochs, schedule, gamma, weight_decay, batch, dropout):
    return {
        "arch": arch,
        "attention_head": head,
        "epochs": epochs,
        "schedule": schedule,
        "gamma": gamma,
        "weight_decay": weight_decay,
        "train_batch": batch,
        "dropout": dropout,
        "lr": 0.1,
        "momentum": 0.9,
        "pad": 4,
        "sizes": (32,),
        "test_batch": 100,
        "holdout": 0.0,
    }


CIFAR_LINES = [
    (RESNET, (110,), network("resnet110-cifar", "A", 164, (81, 122), 0.1, 1e-4, 128, 0)),
    (RESNET, (1202,), network("resnet1202-cifar", "A", 164, (81, 122), 0.1, 1e-4, 128, 0)),
    (RESNEXT, (8,), network("resnext29-8x64-cifar", "D", 300, (150, 225), 0.1, 5e-4, 128, 0)),
    (RESNEXT, (16,), network("resnext29-16x64-cifar", "D", 300, (150, 225), 0.1, 5e-4, 128, 0)),
    (WRN, (), network("wrn28-10-cifar", "A", 200, (60, 120, 160), 0.2, 5e-4, 128, 0.3)),
    (DENSENET, (100, 12), network("densenet100-12-cifar", "A", 300, (150, 225), 0.1, 1e-4, 64, 0)),
    (DENSENET, (190, 40), network("densenet190-40-cifar", "A", 300, (150, 225), 0.1, 1e-4, 64, 0)),
]


def meant(line):
    args = parse(shlex.split(line))
    return args, recipe_of(args)


def holds(recipe, **fields):
    assert {name: recipe.values()[name] for name in fields} == fields


@pytest.mark.parametrize("dataset", ["", "--dataset cifar100", "-d cifar100"])
@pytest.mark.parametrize(("form", "numbers", "fields"), CIFAR_LINES)
def test_training_md_for_cifar(form, numbers, fields, dataset):
    recipe = meant(form.format(dataset, *numbers))[1]
    holds(recipe, **fields, dataset="cifar100" if dataset else "cifar10")
    assert configuration(recipe, ("one", "other")).arch == fields["arch"]


def test_the_authors_readme_for_cifar(tmp_path):
    args, recipe = meant(README)
    holds(recipe, **network("resnet110-cifar", "A", 300, (150, 225), 0.1, 1e-4, 128, 0), dataset="cifar100")
    assert (args.checkpoint, args.gpu_id, args.evaluate) == ("checkpoints/cifar100/resnet-110", "0,1", False)
    best = "checkpoints/cifar100/resnet-110/model_best.pth.tar"
    args, recipe = meant(f"{README} --evaluate --resume {best}")
    assert (args.evaluate, args.checkpoint, args.resume, args.arch) == (True, best, None, "resnet110-cifar")
    assert recipe.training.dataset == "cifar100"


@pytest.mark.parametrize(
    ("line", "arch", "head"),
    [
        ("-a resnet152 --data ../../dataset/imagenet_data/ -c out --gpu-id 4,5,6,7 --test-batch 100", "resnet152", "A"),
        ("-a resnet18 --data ~/dataset/ILSVRC2012/ -c out", "resnet18", "A"),
        ("-a se_resnet_50 -d ../data -c out --lr 0.1", "se-resnet50", "E"),
    ],
)
def test_the_authors_lines_for_imagenet(line, arch, head):
    args, recipe = meant(f"{line} --epochs 90 --schedule 31 61 --gamma 0.1")
    holds(recipe, arch=arch, width=64, attention_head=head, epochs=90, schedule=(31, 61), gamma=0.1, weight_decay=1e-4)
    holds(recipe, lr=0.1, stem="7x7", shortcut="conv", padding="zeros", test_size=224, resize=256)
    assert args.data == os.path.expanduser(next(word for word in line.split() if "/" in word))


def test_the_authors_evaluation_for_imagenet():
    line = "-a resnet152 --data ../../../../dataset/imagenet_data/ --epochs 90 --schedule 31 61 --gamma 0.1 -c out"
    args, recipe = meant(f"{line} --gpu-id 4,5,6 --test-batch 10 --evaluate --resume out/model_best.pth.tar")
    assert (args.checkpoint, args.data, args.arch) == (
        "out/model_best.pth.tar",
        "../../../../dataset/imagenet_data/",
        "resnet152",
    )
    assert recipe.training.test_batch == 10


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"evaluate": False, "checkpoint": "checkpoint"}),
        ("--evaluate --checkpoint checkpoint", {"evaluate": True, "checkpoint": "checkpoint"}),
        ("--evaluate --checkpoint checkpoint --gpu-id 0", {"evaluate": True, "gpu_id": "0"}),
        ("--data-root data/imagenette --imagenette-size 160px", {"imagenette_root": "data/imagenette"}),
        ("-j 4 --manualSeed 42 --start-epoch 0 --save-every-epochs 10", {"workers": 4, "seed": 42}),
        ("--learning-rate 0.2 --drop 0 --weight-decay 1e-4", {"lr": 0.2, "dropout": 0, "weight_decay": 1e-4}),
        ("-e -c yukiharada1228/abn-resnet152-imagenette", {"evaluate": True}),
    ],
)
def test_the_reference(line, expected):
    args, _ = meant(line)
    assert {name: getattr(args, name) for name in expected} == expected


DEPTHS = (18, 34, 50, 101, 152)
SCRATCH = (
    "--data_root /raid/dataset --model mtabn_{}_resnet{} {} --logdir ./runs/x --epochs 100 --lr_steps 50 75 --gpu_id 0"
)


@pytest.mark.parametrize(("version", "depth", "residual"), list(itertools.product(("v1", "v2"), DEPTHS, (False, True))))
def test_run_train_abn_sh(version, depth, residual):
    args, recipe = meant(SCRATCH.format(version, depth, "--residual_attention" if residual else ""))
    holds(recipe, arch=f"resnet{depth}", multitask=version, residual_attention=residual, focal=False, nesterov=False)
    holds(recipe, epochs=100, schedule=(50, 75), train_batch=8, test_batch=16, lr=0.01, weight_decay=1e-4, gamma=0.1)
    assert (args.imagenette_root, args.checkpoint, args.seed, args.gpu_id) == ("/raid/dataset", "./runs/x", 1701, "0")
    assert configuration(recipe, ("one", "other")).residual_attention is residual


def test_train_celeba_s_own_defaults_and_options():
    args, recipe = meant(
        "--data_root d --model mtabn_v1_resnet101 --logdir x --batch_size 4 --use_wfl --use_nesterov --seed 7"
    )
    holds(recipe, epochs=10, schedule=(4, 8), train_batch=4, test_batch=8, focal=True, nesterov=True)
    assert args.seed == 7


@pytest.mark.parametrize("folder", ["rep_hirakawa", "rep_fukui", "rep_mitsuhara", "wfl"])
def test_the_evaluations_of_run_reproduce_sh(folder, tmp_path):
    folder = tmp_path / folder
    line = f"--data_root ./data --logdir {folder} --no_eval_train --no_eval_val --save_attention --attention_type pos"
    line += " --resume checkpoint-final.pt --gpu_id 0"
    args, _ = meant(line)
    assert (args.evaluate, args.checkpoint) == (True, str(folder / "checkpoint-final.pt"))
    assert (args.split, args.save_attention, args.attention_type) == (["test"], "", "pos")
    assert (args.imagenette_root, args.residual_attention) == ("./data", None)
    folder.mkdir()
    for residual in (True, False):  # as mtabn/utils.py's save_args leaves it
        (folder / "args.json").write_text(json.dumps({"model": "x", "residual_attention": residual}, indent=4))
        assert meant(line)[0].residual_attention is residual
    (folder / "config.json").write_text("{}")  # this package trained into that folder
    assert meant(line)[0].checkpoint == str(folder)
    assert meant(line.replace("--no_eval_train --no_eval_val", ""))[0].split == ["train", "val", "test"]


FIRST_RELEASE = "-a resnet101 --data CelebA --epochs 10 --schedule 5 7 --gamma 0.1 -c out --gpu-id 0,1 --test-batch 20"


def test_the_first_multitask_release():
    args, recipe = meant(FIRST_RELEASE)
    holds(recipe, arch="resnet101", multitask="v2", residual_attention=True, epochs=10, schedule=(5, 7), lr=0.01)
    holds(recipe, train_batch=32, test_batch=20, weight_decay=1e-4)
    assert (args.imagenette_root, args.data) == ("CelebA", None)
    args, _ = meant(f"{FIRST_RELEASE} -e --resume out/model_best.pth.tar -s")
    assert (args.evaluate, args.split, args.save_attention) == (True, ["test"], "")
    assert (args.checkpoint, args.residual_attention) == ("out/model_best.pth.tar", None)


REFUSED = [
    (
        "-a resnext50 --base-width 4 --cardinality 32 --data d --epochs 90 --schedule 31 61 -c out",
        "-a resnext50",
        "resnet50",
    ),
    *(
        (SCRATCH.format(v, d, f"--pretrained {r}"), "--pretrained", f"--arch resnet{d}")
        for v in ("v1", "v2")
        for d in DEPTHS
        for r in ("", "--residual_attention")
    ),
    *(
        (
            f"--data_root d --model resnet{d} {p} --logdir x --epochs 100 --lr_steps 50 75 --gpu_id 0",
            f"--model resnet{d}",
            "--multitask v1",
        )
        for d in DEPTHS
        for p in ("", "--pretrained")
    ),
    (
        "--data_root d --model mtabn_v1_resnet101 --pretrained --logdir x --gpu_id 0",
        "--pretrained",
        "--no-residual-attention",
    ),
    ("--data_root d --model mtabn_v3_resnet101 --pretrained --use_wfl --logdir x --gpu_id 1", "mtabn_v3", "--focal"),
    (f"{README} --resume out/checkpoint.pth.tar", "--resume", "--initial out/checkpoint.pth.tar"),
    ("-a resnet --dataset cifar100", "--depth", "resnet110-cifar"),
    ("-a resnext --widen-factor 2", "--widen-factor", "resnext29-8x64-cifar"),
    ("-a densenet --depth 40 --compressionRate 1", "--compressionRate", "densenet40-12-cifar"),
    ("--start-epoch 5", "--start-epoch", "python train/run.py"),
    ("-a resnet50 --depth 50", "--depth", "--arch resnet50"),
    ("--growthRate 12", "--growthRate", "python train/run.py"),
    ("--data_root d --logdir x --lr_steps 3 --gamma 2", "--gamma", "--schedule 3"),
    ("--data_root d --logdir x --no_eval_train --no_eval_val --no_eval_test", "--no_eval", "--evaluate"),
]


@pytest.mark.parametrize(("line", "named", "nearest"), REFUSED)
def test_what_is_refused_gives_a_line_that_is_not(line, named, nearest, capsys):
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    reason, _, ours = error.strip().partition(". Here: python train/run.py")
    assert named in reason
    assert nearest in error
    recipe = meant(ours)[1]
    assert translate(shlex.split(ours)) == (translate(shlex.split(ours))[0], [])  # nothing foreign is left
    if recipe.network.multitask and "--no_eval" not in line:
        assert recipe.network.residual_attention is ("--residual_attention" in line)


@pytest.mark.parametrize("line", ["--depth many", "--model resnet7 --logdir x", "--model", "--save-every-epochs x"])
def test_malformed_lines_are_one_line(line, capsys):
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 2
    assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)


def test_numbers_that_mean_nothing_are_told(capsys):
    recipe = meant("-a resnet --depth 56 --drop 0.3 --cardinality 8 --widen-factor 4 --growthRate 12")[1]
    holds(recipe, arch="resnet56-cifar", dropout=0.0)
    told = capsys.readouterr().err
    for option in ("--drop", "--cardinality", "--widen-factor", "--growthRate"):
        assert f"note: {option} means nothing for -a resnet" in told
    assert "note: here that is: python train/run.py --recipe cifar-resnet110" in told


def test_a_line_of_ones_own_is_taken_as_it_is():
    for line in (
        "--recipe compact --epochs 3 --schedule 1 2 --width 8 --resume",
        "--recipe vit-mnist --dropout 0.1 --dataset mnist",
        "--arch resnet20-cifar --recipe cifar-resnet110 --gamma 0.2",
    ):
        ours, notes = translate(line.split())
        assert notes == []
        assert vars(parse(line.split())) == vars(parse(ours))
    assert meant("--recipe cifar-wrn -a wrn --depth 16 --widen-factor 4")[1].network.arch == "wrn16-4-cifar"
    assert meant("--recipe cifar-wrn")[1].network.dropout == 0.3
    with pytest.raises(Refused):
        translate(["--depth", "3"])


def test_cifar_s_own_defaults():
    args, recipe = meant("-a resnext")
    holds(recipe, **network("resnext29-8x64-cifar", "D", 300, (150, 225), 0.1, 5e-4, 128, 0), dataset="cifar10")
    assert args.checkpoint == "checkpoint"
