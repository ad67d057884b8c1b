"""The colors of the house, on pages, sheets and figures alike."""

PAPER, INK, FAINT, EDGE, GRID = "#fbfaf7", "#1d1b19", "#8a857d", "#d9d4ca", "#ece8df"
# Of curves in figures, in order.
CURVES = ("#b3402a", "#2a6f97", "#5a8f3c", "#8a5a9e", "#c98a1b", "#4d4a46")
