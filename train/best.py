"""The weights of a run that were best on what is held out, in OUT/best."""

import json
import shutil
from pathlib import Path

from transformers import PreTrainedModel

from abn.files import whole, whole_folder
from abn.model.image_processing_abn import AbnImageProcessor
from train.report import save_weights, write_json

NOTE = "top1.json"


class Best:
    """What OUT/best holds: a model, its processor, and a note {"top1": per cent, "epoch", "round"}."""

    def __init__(self, output: Path):
        self.folder = output / "best"

    def note(self) -> dict | None:
        """None where there is nothing yet."""
        file = self.folder / NOTE
        return json.loads(file.read_text()) if file.is_file() else None

    def is_beaten_by(self, number: int, top1: float) -> bool:
        """Whether `top1` of round `number` comes first: a later round's does, of one round the highest."""
        note = self.note()
        return note is None or (note.get("round", 0), note["top1"]) < (number, top1)

    def keep(self, model: PreTrainedModel, processor: AbnImageProcessor, half: bool, note: dict) -> None:
        """Put these in the place of what is there; written aside and renamed."""
        with whole_folder(self.folder) as aside:
            save_weights(model, aside, half=half)
            processor.save_pretrained(aside)
            write_json(aside / NOTE, note)

    def copy_to(self, output: Path) -> None:
        for file in (file for file in self.folder.iterdir() if file.name != NOTE):
            with whole(output / file.name) as aside:
                shutil.copyfile(file, aside)

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
