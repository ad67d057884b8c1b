"""The published report, figure by figure, with what our numbers say about it."""
