"""What pages are made of: curves as SVG, and HTML with a style sheet that needs nothing else."""
