"""Runs whole searches for the same time: `gansearch start digits`, and what a user would write in its place.

    python -m benchmarks.search_against_vanilla --seconds 240 --seeds 5 [--sides ours vanilla tuned] [--json FILE]

`vanilla.py` is a Ray function with a plain PyTorch loop, `OptunaSearch` and Ray's ASHA. `tuned.py` is the same with the
trainer and the space of gansearch. `sides.py` runs a side in a process of its own and reads what the side has written.
`compare.py` computes ratios, `output.py` prints them.
"""
