"""What gradient terms need of a model: pictures that a loss can see, losses, and their gradients (torch)."""
