"""Pictures in rows: each has a place of its own, of the largest's size."""

from __future__ import annotations

from PIL import Image

from mezzotint.pages.tiles import make_grid


def test_a_sheet_has_a_place_for_each() -> None:
    assert make_grid([Image.new("RGB", (10, 10))] * 5, across=3, gap=2).size == (34, 22)
    assert make_grid([Image.new("RGB", (10, 10))] * 2).size == (20, 10)


def test_pictures_of_several_sizes_stand_in_cells_of_the_largest() -> None:
    sheet = make_grid([Image.new("RGB", size, "red") for size in ((4, 8), (6, 2))], across=1, gap=1)
    assert sheet.size == (6, 17)
    assert [sheet.getpixel(at) for at in ((3, 7), (5, 0), (0, 8), (5, 9))] == [
        (255, 0, 0), (255, 255, 255), (255, 255, 255), (255, 0, 0)
    ]  # fmt: skip
