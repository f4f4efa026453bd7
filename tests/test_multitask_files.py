"""Multi-task checkpoints as each release's own scripts write them, and how each preprocesses.

Read in github:machine-perception-robotics-group/ABN_CelebA_PyTorch: tag v0.1, main.py (`save_checkpoint`, the
transforms) and models/celeba/resnet.py; tag v1.0 and the newest, mtabn/utils.py (`save_checkpoint`),
mtabn/datasets/celeba.py (`CELEBA_TRANS_EVAL`) and mtabn/models/resnet_mtabn_v1.py and _v2.py.
"""

import io
import zipfile

import numpy as np
import pytest
import torch
from helpers import OUTPUTS, made_up_picture, multitask_names, multitask_network, stored_reference
from PIL import Image

from abn import Explainer
from abn.checkpoints import convert, load_checkpoint
from abn.checkpoints.originals import read_pickled
from abn.classes import CELEBA
from abn.model.configuration_abn import MULTITASK
from abn.model.modeling_multitask import FORMS

VERSIONS = ("v0.1", "v1", "v1.0", "v2")


def written(folder, version, tensors):
    """The file that the release's training script leaves."""
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([weight], lr=0.01, momentum=0.9, weight_decay=1e-4)
    weight.sum().backward()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[4, 8], gamma=0.1)
    optimizer.step()
    scheduler.step()
    if version == "v0.1":
        file = folder / "model_best.pth.tar"
        held = {"epoch": 10, "state_dict": tensors, "acc": np.float64(0.91), "best_acc": np.float64(0.92)}
        torch.save({**held, "optimizer": optimizer.state_dict()}, file)
        return file
    file = folder / "checkpoint-best.pt"
    held = {"epoch": 10, "iteration": 203_460, "best_score": np.float64(0.92), "model_state_dict": tensors}
    torch.save(
        {**held, "optimizer_state_dict": optimizer.state_dict(), "scheduler_state_dict": scheduler.state_dict()}, file
    )
    return file


def test_the_first_release_gives_what_its_own_code_gives(reference_folder, tmp_path):
    """Its outputs are scores, after the sigmoid."""
    meta, tensors, pixels, expected = stored_reference(reference_folder, "mtabn_v01_resnet50")
    explainer = Explainer.from_pretrained(written(tmp_path, meta["version"], tensors), device="cpu")
    with torch.no_grad():
        outputs = explainer.model(pixel_values=pixels)
    found = {key: outputs[key].sigmoid() if "logits" in key else outputs[key] for key in OUTPUTS}
    for key, values in expected.items():
        assert found[key].shape == values.shape
        assert np.abs(found[key].numpy() - values).max() <= 1e-5 * np.abs(values).max()
    assert explainer.model.config.arch == "resnet50"
    assert explainer.labels == list(CELEBA)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_release_is_read_converted_and_explained(version, tmp_path):
    model = multitask_network(version)
    file = written(tmp_path, version, multitask_names(model))
    explainer = Explainer.from_pretrained(file, device="cpu")
    assert explainer.model.config.multitask == version
    found = explainer.model.state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(found[name].equal(tensor) for name, tensor in model.state_dict().items())
    after = Explainer.from_pretrained(convert(file, tmp_path / "hub"), device="cpu")
    assert after.model.config.multitask == version
    kept = ("size", "crop_size", "image_mean", "image_std", "do_resize", "do_center_crop", "do_normalize", "do_rescale")
    assert all(getattr(after.processor, name) == getattr(explainer.processor, name) for name in kept)
    one = explainer(made_up_picture(), target="smiling")
    other = after(made_up_picture(), target="smiling")
    assert one.target == other.target == "smiling"
    np.testing.assert_allclose(one.attention_map, other.attention_map, atol=1e-5)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    with torch.no_grad():
        pixels = explainer.processor(made_up_picture(), return_tensors="pt")["pixel_values"]
        logits = model(pixel_values=pixels).logits[0]
    yes = torch.softmax(logits, 0)[1] if version in ("v1.0", "v2") else logits.sigmoid()
    assert one.probabilities == pytest.approx(dict(zip(CELEBA, yes.tolist(), strict=True)), abs=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [(178, 218), (640, 300), (224, 224)])
def test_each_release_preprocesses_as_its_own_transforms_do(version, size, tmp_path):
    """v0.1: Resize(256), CenterCrop(224), ToTensor, Normalize(1, 1); later: Resize((224, 224)), ToTensor."""
    file = written(tmp_path, version, multitask_names(multitask_network(version)))
    picture, processor = made_up_picture(*size), load_checkpoint(file)[1]
    found = processor(picture, return_tensors="pt")["pixel_values"][0]
    assert found.shape == (3, 224, 224)
    if version == "v0.1":
        short = min(size)
        wanted = picture.resize(tuple(int(256 * side / short) for side in size), Image.Resampling.BILINEAR)
        left, top = round((wanted.width - 224) / 2), round((wanted.height - 224) / 2)
        wanted = np.asarray(wanted.crop((left, top, left + 224, top + 224))) / 255 - 1
    else:
        wanted = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR)) / 255
        assert 0 <= found.min() < found.max() <= 1
    assert np.abs(found.permute(1, 2, 0).numpy() - wanted).max() <= 2.01 / 255  # Pillow rounds between its two passes


def test_the_first_releases_maps_are_shown_as_they_are(tmp_path):
    explainer = Explainer.from_pretrained(
        written(tmp_path, "v0.1", multitask_names(multitask_network("v0.1"))), device="cpu"
    )
    explained = explainer(made_up_picture(224, 224), target="young")
    assert 0 < explained.attention_map.min() <= explained.attention_map.max() < 1
    assert explained.heatmap.max() == pytest.approx(explained.attention_map.max(), abs=0.02)
    assert explainer(made_up_picture(224, 224), target="young", method="attention-negative").heatmap.max() == 0


def test_a_folder_without_a_processor_takes_its_releases(tmp_path):
    for version, size in (("v0.1", {"shortest_edge": 256}), ("v2", {"height": 224, "width": 224})):
        multitask_network(version, tasks=3).save_pretrained(tmp_path / version)
        assert dict(load_checkpoint(tmp_path / version)[1].size) == size


def test_both_names_of_the_tensors_and_neither(tmp_path):
    tensors = {"conv1.weight": torch.ones(2)}
    for held in ({"state_dict": tensors}, {"model_state_dict": tensors}, {"epoch": 3, "model_state_dict": tensors}):
        torch.save(held, tmp_path / "file.pt")
        assert list(read_pickled(tmp_path / "file.pt")) == ["conv1.weight"]
    torch.save({"epoch": 3, "weights": tensors}, tmp_path / "file.pt")
    with pytest.raises(ValueError, match=r"file\.pt holds no state_dict of tensors"):
        read_pickled(tmp_path / "file.pt")


def test_numbers_that_numpy_1_wrote(tmp_path):
    """NumPy 1 names its scalars' module numpy.core, NumPy 2 numpy._core."""
    packed = io.BytesIO()
    torch.save({"best_acc": np.float64(77.9), "state_dict": {"module.conv1.weight": torch.ones(2)}}, packed)
    with zipfile.ZipFile(packed) as now, zipfile.ZipFile(tmp_path / "old.pth.tar", "w") as then:
        for record in now.infolist():
            content = now.read(record.filename)
            if record.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            then.writestr(record.filename, content)
    assert read_pickled(tmp_path / "old.pth.tar")["conv1.weight"].equal(torch.ones(2))


def test_files_from_before_pytorch_1_6_are_no_archives(tmp_path):
    model = multitask_network("v1", tasks=2)
    held = {"epoch": 1, "state_dict": multitask_names(model), "best_acc": torch.tensor(91.0)}
    torch.save(held, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(tmp_path / "old.pth.tar")
    found = load_checkpoint(tmp_path / "old.pth.tar")[0].state_dict()
    assert all(found[name].equal(tensor) for name, tensor in model.state_dict().items())


def test_a_missing_task_is_named(tmp_path):
    for version, lost in (("v0.1", "module.mtl.output.2.weight"), ("v2", "module.output_per.2.bias")):
        tensors = multitask_names(multitask_network(version, tasks=5))
        del tensors[lost]
        with pytest.raises(ValueError, match=rf"is not a whole checkpoint of a multi-task {version}: .*output_per\.2"):
            load_checkpoint(written(tmp_path, version, tensors))


def test_the_configuration_knows_every_form():
    assert MULTITASK == tuple(FORMS) == VERSIONS
