"""A model on disk: folders and files found and checked, architectures read from configs, weights by name."""
