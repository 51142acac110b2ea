"""How the times of ratings are kept beside their codes."""

import numpy as np

NO_TIME = int(np.iinfo(np.int64).min)
"""What stands in timestamp.npy where a rating's time is unknown; numpy's own datetime64 means the same by it."""
