"""Pictures, their metrics and ledgers on disk, each under the key of what decides its bits; and an index of them."""

from mezzotint.store.index import StoreRow, key_of, key_of_picture, precision_of
from mezzotint.store.store import Store

__all__ = ["Store", "StoreRow", "key_of", "key_of_picture", "precision_of"]
