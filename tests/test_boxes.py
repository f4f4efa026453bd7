"""Tables of boxes: read as they stand, or refused in one line that names the row."""

import pytest
from helpers import TINY

from abn import imagenette
from abn.faithfulness.boxes import read_boxes
from abn.faithfulness.run import main
from train.run import main as train

WNID = imagenette.WNIDS[2]
PATH = f"val/{WNID}/{WNID}_0.JPEG"
HEADER = "path,x0,y0,x1,y1"


def table(folder, *rows, header=HEADER, encoding="utf-8"):
    file = folder / "boxes.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("header", [HEADER, "path, x0, y0, x1, y1", "x0,y0,x1,y1,path", "path,x0,y0,x1,y1,note"])
def test_boxes_are_read(encoding, header, tmp_path):
    rows = (f"{PATH},0.1,0.2,0.5,1", f"{PATH},0,0,1.0000001,0.25")
    if header.startswith("x0"):
        rows = [row.removeprefix(f"{PATH},") + f",{PATH}" for row in rows]
    if header.endswith("note"):
        rows = [row + ",a note" for row in rows]
    found = read_boxes(table(tmp_path, *rows, "", header=header, encoding=encoding))
    assert found == {PATH: [(0.1, 0.2, 0.5, 1.0), (0.0, 0.0, 1.0, 0.25)]}


FAULTY = {
    "pixels": (
        f"{PATH},10,20,100,200",
        "x0 must be a share of the picture, from 0 to 1; got 10; pixels must be divided",
    ),
    "a pixel": (f"{PATH},0,0,1,224", "y1 must be a share of the picture, from 0 to 1; got 224; pixels must be divided"),
    "negative": (f"{PATH},-0.1,0,1,1", "x0 must be a share of the picture, from 0 to 1; got -0.1"),
    "swapped x": (f"{PATH},0.8,0,0.2,1", "x0 must be less than x1; got 0.8 and 0.2"),
    "swapped y": (f"{PATH},0,0.9,1,0.3", "y0 must be less than y1; got 0.9 and 0.3"),
    "no width": (f"{PATH},0.5,0,0.5,1", "x0 must be less than x1; got 0.5 and 0.5"),
    "NaN": (f"{PATH},0,nan,1,1", "y0 must be a number from 0 to 1; got 'nan'"),
    "infinity": (f"{PATH},0,0,inf,1", "x1 must be a number from 0 to 1; got 'inf'"),
    "a word": (f"{PATH},0,0,right,1", "x1 must be a number from 0 to 1; got 'right'"),
    "a comma": (f'{PATH},"0,5",0,1,1', "x0 must be a number from 0 to 1; got '0,5'"),
    "short": (f"{PATH},0,0,1", "y1 is missing"),
    "blank": (f"{PATH},0,,1,1", "y0 is missing"),
    "long": (f"{PATH},0,0,1,1,1,1", "2 more cells than the header has columns"),
    "no path": (",0,0,1,1", "the path is missing"),
    "unknown folder": ("val/n00000001/a.jpg,0,0,1,1", "lies in no folder of a class of Imagenette"),
    "no folder": ("a.jpg,0,0,1,1", "lies in no folder of a class of Imagenette"),
    "unknown picture": (f"val/{WNID}/none.JPEG,0,0,1,1", f"there is no picture 'val/{WNID}/none.JPEG' below"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_row_is_named(fault, tiny_imagenette, tmp_path):
    row, words = FAULTY[fault]
    file = table(tmp_path, f"{PATH},0,0,1,1", row)
    with pytest.raises(ValueError, match=r"boxes.csv, row 3: ") as error:
        read_boxes(file, tiny_imagenette / "imagenette2-160")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "boxes.csv is empty"),
        (b"\xef\xbb\xbf", "boxes.csv is empty"),
        (b"\n\n", "boxes.csv is empty"),
        (HEADER.encode(), "boxes.csv holds no box below its header"),
        (b"path,x0\na,1\n", "lacks the columns x1, y0, y1; its first row is 'path,x0'"),
        (b"path,left,top,width,height\n", "lacks the columns x0, x1, y0, y1"),
        (HEADER.replace(",", ";").encode(), "lacks the columns path, x0"),
        (f"{PATH},0,0,1,1\n".encode(), "lacks the columns path, x0"),
        (b"path,x0,y0,x1,y1,x1\n", "two columns of one name"),
        (HEADER.encode("utf-16"), "is not text in UTF-8"),
        ("path,x0,y0,x1,y1\nが".encode("cp932"), "is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not text in UTF-8"),
        (f"{HEADER}\n{PATH},".encode() + b"0" * 200_000 + b",0,1,1\n", "row 2: not CSV"),
    ],
)
def test_what_is_no_table_of_boxes(content, words, tmp_path):
    (tmp_path / "boxes.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"boxes\.csv") as error:
        read_boxes(tmp_path / "boxes.csv")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", ["pixels", "unknown picture"])
def test_commands_name_the_row(fault, tiny_imagenette, tmp_path, capsys):
    """Before anything is trained or measured."""
    file = table(tmp_path, FAULTY[fault][0])
    data = ["--imagenette-root", str(tiny_imagenette), "--boxes", str(file)]
    assert main([*data, "--out", str(tmp_path / "out")]) == 2
    assert train([*data, "--checkpoint", str(tmp_path / "run"), *TINY]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(lines) == 2
    assert all("row 2: " in line and FAULTY[fault][1] in line for line in lines)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()
