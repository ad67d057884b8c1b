"""Looking inside: latents, noise and schedules, measured and drawn. Without torch, but for autoencoders alone."""
