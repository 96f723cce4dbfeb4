"""What all tests share: one thread of torch, since the suite itself runs in several processes."""

import os

# Read when torch is first loaded, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
