"""A process of its own gets a signal: how it ends, and what it says."""

import signal
import subprocess
import sys

import pytest

CODE = """
import ctypes, os, signal, sys, time
import gansearch.search.shutdown as module

module._LONGEST = 0.5
shutdown = module.GracefulShutdown(lambda: print("continue", file=sys.stderr, flush=True))
with shutdown.handling():
    print("ready", flush=True)
    {work}
sys.exit(shutdown.exit_code)
"""
# A mutex that is locked twice: Python gets no chance to run a handler, as in a call into a Ray that is gone.
STUCK = "libc, mutex = ctypes.CDLL(None), bytes(64); libc.pthread_mutex_lock(mutex); libc.pthread_mutex_lock(mutex)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("work", ["time.sleep(60)", STUCK], ids=["free", "stuck"])
@pytest.mark.parametrize("reader", ["there", "gone"])
def test_a_signal_ends_the_process_which_says_how_to_go_on(number: signal.Signals, work: str, reader: str) -> None:
    """Also where the reader of its messages, as `tee`, has ended by the same signal."""
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # also where the tests run under nohup
    command = [sys.executable, "-c", f"{heard}\n{CODE.format(work=work)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        if reader == "gone":
            process.stderr.close()
        process.send_signal(number)
        assert reader == "gone" or process.stderr.read() == b"continue\n"
        assert process.wait(60) == 128 + number


def test_a_second_signal_does_not_end_the_end() -> None:
    """A signal to all processes of a job comes once more from a shell that passes it on."""
    again = "os.kill(os.getpid(), signal.SIGTERM)"
    work = f"try:\n        {again}\n    finally:\n        {again}; print('cleaned', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", CODE.format(work=work)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "cleaned\ncontinue\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    code = CODE.format(work="os.kill(os.getpid(), signal.SIGHUP)")
    under_nohup = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{code}"
    done = subprocess.run([sys.executable, "-c", under_nohup], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128, "")
