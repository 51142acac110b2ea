"""A seed of its own for every purpose, derived from the one seed of the run."""

import hashlib


def derive_seed(seed: int, *purpose: str) -> int:
    """Return a 32-bit seed for `purpose`, such as ("mf", "user_embedding").

    Independent of the order in which seeds are asked for, so that branches may run side by side.
    """
    digest = hashlib.sha256("/".join([str(seed), *purpose]).encode()).digest()
    return int.from_bytes(digest[:4], "little")
