"""Recipes inside pictures: read from the files of this tool and of others, as far as they tell."""

from mezzotint.recall.read import recall
from mezzotint.recall.recipe import Lora, Recipe

__all__ = ["Lora", "Recipe", "recall"]
