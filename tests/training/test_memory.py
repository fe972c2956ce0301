"""What a process frees it keeps: the next step needs no new pages of the system."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from gansearch.config import TrialConfig
from gansearch.training.loop import Trainer

if sys.argv[1] == "kept":
    Trainer(TrialConfig(), torch.device("cpu"))
for number in range(20):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = torch.ones(2**24)  # 64 MiB: more than glibc ever keeps by itself
    del maps
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_a_trials_process_meets_no_page_faults() -> None:
    def faults(how: str) -> int:
        found = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        return int(found.stdout)

    assert faults("kept") < 100 < 1000 < faults("given back")
