"""One thread each, as `make unit` says too: sums of floats depend on how they are shared out."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
