"""Replays searches on a virtual cluster: methods decide as they would on real trials, but no GAN is trained.

    python -m benchmarks.search_replay [--functions ...] [--methods ...] [--seeds 10] [--workers 8] [--trainings 5]

A `Problem` gives every configuration its curve of FIDs: a function with a known optimum (`functions.py`), a table of
configurations that were trained (`table.py`), or one of curves alone (`curves.py`). `simulate.py` is the cluster, with
a virtual clock. `tune.py` calls a searcher and a scheduler of Ray Tune in the order in which Tune's controller does. So
the project's own objects (`ours.py`) and those of others (`peers.py`, `syne.py`) run unchanged. `compare.py` makes
ratios of the traces.
"""
