"""The best setting for a metric: successive halving over seeds, and how sure its answer is."""
