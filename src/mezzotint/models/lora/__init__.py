"""LoRA: files kept by content, read in every spelling, merged into a model's weights; and written."""
