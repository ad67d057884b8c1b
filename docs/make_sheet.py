"""Draws docs/sheet.png: 32 fixed prompts with seeds 0..31, whatever comes."""

from pathlib import Path

import mezzotint
from mezzotint.pages.tiles import tiled

PROMPTS = (
    "a red rose", "a cat", "a dog on a blue background", "a racing car in the desert", "a cat on the moon",
    "a blue butterfly", "three red apples", "a kitten", "an automobile at night", "a rocket in space", "a cat and a dog",
    "a beautiful sunset above sea and mountains", "a castle, flat style", "a pizza on a green background",
    "a house in the snow", "a green dragon", "an owl, 3d style", "a sailboat on the ocean at sunset", "a smiling face",
    "a cup of coffee", "two bananas on a pink background", "a robot in the city", "a guitar", "a tiger on the grass",
    "a birthday cake", "a snowman at night", "a mushroom and a frog", "a crown on a purple background", "a blue whale",
    "a woman dancing", "an umbrella in the rain", "a steam train in the mountains",
)  # fmt: skip

if __name__ == "__main__":
    requests = [
        mezzotint.Request(prompt=p, seed=i, steps=25, guidance="cfg(5)") for i, p in enumerate(PROMPTS)
    ]
    pictures = [picture.image for picture in mezzotint.generate(requests)]
    tiled(pictures, gap=2).save(Path(__file__).parent / "sheet.png")
