"""Draws docs/sheet.png: 32 fixed prompts with seeds 0..31, whatever comes."""

from pathlib import Path

import mezzotint
from mezzotint.pages.tiles import make_grid

PROMPTS = (
    "a rose", "a cat", "a dog on a blue background", "a racing car in the desert", "a cat on the moon",
    "a butterfly", "three red apples", "an owl", "an automobile at night", "a rocket in space", "a cat and a dog",
    "a sunset over the sea with mountains", "a castle", "a pizza on a green background",
    "a house in the snow", "a dragon", "two penguins", "a sailboat on the sea at sunset", "a grinning face",
    "a hot beverage", "two bananas", "a robot in the city", "a guitar", "a tiger on the grass",
    "a birthday cake", "a snowman at night", "a mushroom and a frog", "a crown on a purple background", "a whale on the sea",
    "a strawberry and a lemon", "a red heart on a pink background", "a locomotive in the mountains",
)  # fmt: skip

if __name__ == "__main__":
    model = mezzotint.open_model("emoji")
    requests = [mezzotint.Request(p, seed=i, **model.defaults) for i, p in enumerate(PROMPTS)]
    pictures = [picture.image for picture in mezzotint.generate(requests, model)]
    make_grid(pictures, gap=2).save(Path(__file__).parent / "sheet.png")
