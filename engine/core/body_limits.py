"""What the body of a request may have at most. The API refuses what is larger (`api.http.json_body`), and a flow may
not ask its callers for more.
"""

from typing import Final

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
#: A parsed value needs up to fifty times the memory of its JSON: `[],` has 3 bytes, the empty list 64. So many keep the
#: worst body below 50 MiB and a fifth of a second, also when each has a key, and leave room for a batch of 1,000 items
#: with 100 fields each.
MAX_VALUES: Final = 200_000

#: Any body may arrive in FREE_PIECES pieces, and in more if they average at least PIECE_BYTES bytes, because each piece
#: costs a callback.
FREE_PIECES: Final = 16_384
PIECE_BYTES: Final = 16
