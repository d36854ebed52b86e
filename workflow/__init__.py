"""How the steps are chained: what rules must compute, and the choice of a GPU."""
