"""Example pictures from a survey: those to look at first, in its groups."""

from pathlib import Path

from ...names import shown
from ...scratch import scratch
from ...survey.folder import groups_of, settings_of
from .examples import IN_ROW, Example, name_of
from .own_examples import OwnGallery


class SurveyGallery(OwnGallery):
    """The pictures of a survey's groups, each once. A picture whose class nobody told goes by its file's name."""

    def __init__(self, survey: str | Path):
        """
        Raises:
            ValueError: it is no survey, has not come to its end, or none of its pictures can be read; says which.
        """
        self.root, groups = Path(settings_of(survey)["pictures"]), groups_of(survey)
        self.folder = scratch("examples", self)
        self.note, self.settled = ("", {}), True
        wanted: dict[str, tuple[Path, str]] = {}
        names: dict[str, str] = {}  # path -> its copy's
        ranks: dict[str, list[tuple[str, int]]] = {}
        classes = set()
        for group, rows in groups.items():
            for rank, row in enumerate(rows):
                path = row["path"]
                if path not in names:
                    file, label = self.root / path, row.get("true_class") or Path(path).name
                    classes |= {label} if row.get("true_class") else set()
                    names[path] = name_of(file, label, wanted)
                    wanted[names[path]] = file, label
                ranks.setdefault(names[path], []).append((group, rank))
        found, _ = self._copies(wanted)
        self.examples = [Example(one.path, one.label, False, tuple(ranks[one.id])) for one in found]
        if not self.examples:
            raise ValueError(f"{shown(survey)}: none of its pictures, in {shown(self.root)}, can be read")
        there = {example.label for example in self.examples}
        self.classes = tuple(sorted(classes & there))

    def of_class(self, label: str | None) -> list[Example]:
        return super().of_class(label) if label or self.classes else self.examples[:IN_ROW]
