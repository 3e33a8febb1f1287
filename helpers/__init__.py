"""What the notebooks import: the synthetic product, the metrics, their calibration, and the figures."""
