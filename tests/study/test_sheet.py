"""The contact sheet: every picture is there, labels are whole, words in braces are filled, and nothing leaves the page."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from mezzotint.errors import ConfigError
from mezzotint.study.cells import cells
from mezzotint.study.sheet import ContactSheet, contact_sheet
from mezzotint.study.sheet_draw import SCALE, draw_pdf, draw_png
from mezzotint.study.sheet_layout import (
    HEIGHT,
    MARGIN,
    WIDTH,
    PictureBox,
    TextLine,
    bands,
    pages,
    width_of,
    wrap,
)
from mezzotint.study.spec import Study

LONG = "a very long prompt with antidisestablishmentarianism-and-other-words-that-fit-in-no-column, " * 2


def sheet_of(study: Study, across: str = "") -> ContactSheet:
    return contact_sheet(study, cells(study), lambda cell, seed: f"{cell}/{seed}", across)


def keys(sheet: ContactSheet) -> list[str | None]:
    return [key for group in sheet.groups for row in group.rows for key in row.keys]


STUDY = Study(
    question="How much?",
    base={"prompt": "a {animal} in the {place}", "guidance": "cfg({scale}, start=0.5)", "steps": 4},
    axes={"animal": ("cat", "dog"), "scale": (1, 2.5, 4)},
    zipped=({"place": ("woods", "sea"), "sampler": ("ddim", "euler")},),
    seeds=(3, 5),
)


@pytest.mark.parametrize("across", ["", "animal", "scale", "place", "sampler", "seed"])
def test_contact_sheet_has_every_picture_once(across: str) -> None:
    sheet = sheet_of(STUDY, across)
    assert sorted(map(str, keys(sheet))) == sorted(f"{c}/{s}" for c in range(12) for s in (3, 5))
    assert all(len(row.keys) == len(sheet.columns) for group in sheet.groups for row in group.rows)


def test_contact_sheet_puts_each_picture_under_its_labels() -> None:
    sheet = sheet_of(STUDY)
    assert sheet.columns == ("scale 1", "scale 2.5", "scale 4")
    assert [group.heading for group in sheet.groups][1] == "cat   sea, euler"
    order = [(cell.values["animal"], cell.values["scale"], cell.values["place"]) for cell in cells(STUDY)]
    wanted = order.index(("cat", 2.5, "sea"))
    assert sheet.groups[1].rows[1].label == "seed 5"
    assert sheet.groups[1].rows[1].keys[1] == f"{wanted}/5"


def test_contact_sheet_of_one_seed_is_a_grid_of_two_axes() -> None:
    sheet = sheet_of(Study(axes={"sampler": ("ddim", "euler"), "steps": (2, 3, 4)}, seeds=1))
    [group] = sheet.groups
    assert (sheet.columns, [row.label for row in group.rows]) == (
        ("steps 2", "steps 3", "steps 4"),
        ["ddim", "euler"],
    )


def test_labels_are_filled_where_their_pictures_agree() -> None:
    axes = {"guidance": ("none", 'cfg(2) + clip("{wish}", 0.5)'), "wish": ("a cat",)}
    sheet = sheet_of(Study(base={"prompt": "{wish}"}, axes=axes, seeds=1))
    assert sheet.columns == ("none", 'cfg(2) + clip("a cat", 0.5)')
    assert "a cat" in sheet.about and "{" not in sheet.about
    axes["wish"] = ("a cat", "a dog", "a hen")
    assert '"{wish}"' in sheet_of(Study(axes=axes, seeds=1)).groups[0].rows[1].label


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scale'"):
        sheet_of(STUDY, "scales")


@pytest.mark.parametrize("count", [1, 5, 7, 20])
def test_an_axis_is_wrapped_to_the_page_and_no_label_is_cut(count: int) -> None:
    prompts = tuple(f"{LONG}{i}" for i in range(count))
    study = Study(question=LONG, axes={"prompt": prompts}, seeds=2)
    sheet, shown = sheet_of(study), []
    for items in pages(list(bands(sheet))):
        for item in items:
            if isinstance(item, TextLine):
                assert item.x + width_of(item.text, item.size, item.bold) <= WIDTH - MARGIN + 0.01
                shown.append(item.text)
            else:
                assert item.x >= MARGIN and item.x + item.width <= WIDTH - MARGIN + 0.01
                assert item.y + item.height <= HEIGHT - MARGIN + 0.01
    if count > 1:
        letters = "".join("".join(shown).split())
        assert all("".join(prompt.split()) in letters for prompt in prompts[:1])
    boxes = [item for items in pages(list(bands(sheet))) for item in items if isinstance(item, PictureBox)]
    assert len(boxes) == 2 * count
    rows = {}
    for box in boxes:
        rows.setdefault(round(box.y), []).append(box)
    assert max(map(len, rows.values())) <= 12


def test_wrap_loses_no_letter() -> None:
    for room in (20.0, 60.0, 300.0):
        lines = wrap(LONG, 8, room)
        assert "".join("".join(lines).split()) == "".join(LONG.split())
        assert all(width_of(line, 8) <= room for line in lines)


def picture(key: str) -> Image.Image:
    return Image.new("RGB", (32, 16), (200, 30, 30))


def test_png_shows_each_picture_where_the_layout_says() -> None:
    sheet = sheet_of(STUDY)
    shown = Image.open(BytesIO(draw_png(sheet, picture, 0.5)))
    assert shown.width == round(WIDTH * SCALE)
    red = sum(count for count, color in shown.getcolors(1 << 20) if color == (200, 30, 30))
    side = next(
        item.width for band in bands(sheet, 0.5) for item in band.items if isinstance(item, PictureBox)
    )
    assert red == pytest.approx(24 * side * side / 2 * SCALE**2, rel=0.05)


def test_pdf_has_pages_with_native_pixels_and_text() -> None:
    sheet = sheet_of(Study(axes={"steps": tuple(range(1, 31))}, seeds=4))
    data = draw_pdf(sheet, picture, 0.5)
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") == len(pages(list(bands(sheet, 0.5))))
    assert data.count(b"/Width 32") == 120
    assert draw_pdf(sheet, picture, 0.5) == data


def test_a_png_that_no_viewer_opens_is_refused() -> None:
    sheet = sheet_of(Study(axes={"steps": tuple(range(1, 100))}, seeds=50))
    with pytest.raises(ConfigError, match=r"write a \.pdf, or fewer --seeds"):
        draw_png(sheet, picture)
