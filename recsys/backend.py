"""Keras on TensorFlow, loaded without the chatter that TensorFlow writes to the terminal.

Import `keras` and `tensorflow` from here. Loading takes seconds, so only modules that compute with them do.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from recsys.memory import require_memory_for_tensorflow, without_collecting

CHATTER = re.compile(rb"absl::InitializeLog\(\)|cudart_stub|computation_placer|cpu_feature_guard|oneDNN custom|cuInit")
"""Marks of the lines that TensorFlow's C++ side writes at every start, whatever its log level."""


@contextmanager
def _without_chatter() -> Iterator[None]:
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            written.seek(0)
            for line in written:
                if not CHATTER.search(line):
                    os.write(2, line)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Eigen cuts long sums by the number of threads it finds, which changes their last bits where nothing else cuts them
# before (`compiled.dense`): it finds two, on one core or on sixteen. Two, as two branches train side by side; more only
# slow down steps of 50 µs.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
# oneDNN's own would keep what trainings have freed, gigabytes of large tables
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=false {os.environ.get('XLA_FLAGS', '')}"
os.environ["KERAS_BACKEND"] = "tensorflow"

require_memory_for_tensorflow()
with _without_chatter(), without_collecting():
    import keras
    import tensorflow

    DEVICES: list[str] = sorted({device.device_type for device in tensorflow.config.list_logical_devices()})

# NumPy's matrices would be multiplied by as many threads as there are cores, in each of the fits side by side: they
# would wait for one another most of the time, and the last bits of a sum would depend on the number of cores.
threadpool_limits(1, user_api="blas")

__all__ = ["DEVICES", "device", "keras", "tensorflow"]


def device() -> str:
    """Return the kind of device that training runs on: "GPU" where TensorFlow sees one, else "CPU"."""
    return "GPU" if "GPU" in DEVICES else "CPU"
