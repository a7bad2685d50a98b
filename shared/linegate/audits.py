"""Which products that pass a person looks at all the same: without that nobody knows how many defects escape.

They are drawn by a keyed hash: the same product is drawn or not however often it is asked, and who lacks the key can't guess.
"""

import hashlib
import hmac


def drawn(inspection_id: str, share: float, key: str) -> bool:
    """Whether an inspection is among the `share` (0 … 1) that is drawn with this key.

    The first 64 bits of HMAC-SHA256 are as good as a random number: https://www.rfc-editor.org/rfc/rfc2104
    """
    digest = hmac.new(key.encode(), inspection_id.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
