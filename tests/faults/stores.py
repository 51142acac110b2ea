"""What is true of every store, whatever was done to its writers."""

from pathlib import Path

from recsys.store.artifacts import MANIFEST, manifest_in
from recsys.store.store import Store
from tasks.cache import RECORDS, recorded


def check_store(root: Path, *, records: bool = True) -> int:
    """Check that every artefact is whole, and all that records name; return how many artefacts there are.

    Args:
        root: the store.
        records: whether records are looked at: one that is written of what was just removed is found out when it is
            read.
    """
    store = Store(root)
    artefacts = [path for path in root.glob(f"*/*/{MANIFEST}") if not path.parent.name.startswith(".")]
    for path in artefacts:
        store.verify(manifest_in(path.read_bytes(), path.parent))
    for path in (root / RECORDS).glob("[!.]*") if records else ():
        recorded(str(root), path.name)
    return len(artefacts)


def hidden(folder: Path) -> list[str]:
    """What is neither an artefact nor a report: files and folders under a temporary name."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.endswith((".tmp", ".new", ".old")) or (path.name.startswith(".") and path.name != ".lock")
    )
