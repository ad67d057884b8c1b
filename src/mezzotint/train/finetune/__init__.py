"""Fine-tuning: what learns, from which pictures, what is measured on the way, and the page that tells."""
