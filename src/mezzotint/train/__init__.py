"""Training: one loop, and what each network of the bundle is trained to do."""
