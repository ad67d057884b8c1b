"""The one training loop: steps, checkpoints that resume to the bit, what is told on the way."""
