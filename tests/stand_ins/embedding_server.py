"""A small embedding model behind the APIs of OpenAI, Azure and Google.

It is no language model: a text becomes the sum of one fixed direction for each of its words, and words of one group of
`SAME` share their direction. So it finds paraphrases that its table knows and no others. It shows that searching by
meaning works from the request to the order of the pieces, and says nothing about how good a real model is.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from functools import cache

from tests.stand_ins.local_server import LocalServer, Reply, Seen

DIMENSIONS = 256
#: Groups of words that mean nearly the same; each group is a direction.
SAME = """
refund return reimburse moneyback repay|money pay payment cost price fee charge expensive cheap|ship deliver delivery send
courier parcel postage|break broken defect faulty damage fault repair mend fix|buy purchase order checkout|clean wash rinse
scrub|oven bake baking stove|cold freeze freezer chill frozen fridge|warm hot heat temperature|child children kid kids young
family|pet dog cat animal|car drive vehicle park parking|train bus tram station|work job employee staff colleague|holiday
leave vacation absence off|ill sick illness doctor|boss manager supervisor|password login signin account|phone call telephone
ring|mail email post letter|open opening hours close closed|early morning dawn|late evening night|begin start commence|end
finish stop cancel terminate|quick fast soon speed rush|long wait duration time|big large size huge|small little tiny|eat food
meal lunch dinner|drink water coffee tea beverage|allergy allergic nut gluten intolerance|vegan vegetarian meat|garden plant
flower grow|rain wet water waterproof|light lamp bulb bright|dark black|noise loud quiet sound|safe secure security danger
dangerous|fire smoke alarm burn|key lock door entrance|lose lost missing find found|guest visitor visit|room bedroom stay
hotel|book booking reserve reservation appointment|photo picture camera image|computer laptop screen device|internet wifi
network connection|battery charge power electricity plug|bicycle bike cycle ride|tyre tire wheel puncture flat|helmet
head|school course class lesson teach learn|teacher instructor trainer|exam test grade|certificate diploma proof|join member
membership subscribe subscription|gift present voucher|discount reduction cheaper student offer|tax vat invoice bill
receipt|complain complaint unhappy dissatisfied|help support assist advice|rule policy allowed permit permission|forbidden
ban prohibit|throw waste rubbish bin recycle dispose|old age expire expiry keep store shelf|new replace exchange swap|change
alter modify|address move house|name person people|sleep rest tired|swim pool|music song|sport exercise gym fitness|hurt
injury wound accident|medicine pill drug tablet|travel trip journey abroad|passport identity document|data privacy personal
information|delete remove erase|copy backup save
"""
_WORD = re.compile(r"[^\W_]+")
_GROUPS = {word: group for group, words in enumerate(" ".join(SAME.split()).split("|")) for word in words.split()}
_COMMON_WORDS = (
    "a an and are at be by can do does for from get has have how i if in is it its may me my of on or so than that the their"
    " there they this to us we what when where which who will with you your not no but as much many long any must after"
)
_COMMON = frozenset(_COMMON_WORDS.split())


class EmbeddingServer(LocalServer):
    """The server. `key`: calls without it get 401. `busy`: so many of the next calls get 429 with Retry-After 0.

    `broken`: every call gets 500. `raw`: the body of every answer.
    """

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.key = key
        self.busy = 0
        self.broken = False
        self.texts = 0
        self.raw = b""

    @property
    def url(self) -> str:
        """The base URL of OpenAI's API."""
        return f"{self.origin}/v1"

    def reply(self, seen: Seen) -> Reply:
        if self.broken:
            return Reply.of_json({"error": {"message": "out of order"}}, 500)
        if self.key and self.key not in "".join(seen.headers.values()):
            return Reply.of_json({"error": {"message": "no such key"}}, 401)
        if seen.method == "GET":
            return Reply.of_json({"data": [{"id": "tiny-embed"}, {"id": "tiny-chat"}]})
        if self.raw:
            return Reply(200, self.raw, {"content-type": "application/json"})
        if self.busy:
            self.busy -= 1
            return Reply.of_json({"error": {"message": "slowly"}}, 429, headers={"retry-after": "0"})
        if "requests" in seen.json:
            texts = [one["content"]["parts"][0]["text"] for one in seen.json["requests"]]
            self.texts += len(texts)
            return Reply.of_json({"embeddings": [{"values": embedding(text)} for text in texts]})
        if seen.json.get("encoding_format") != "float":
            return Reply.of_json({"error": {"message": "only float"}}, 400)
        texts = seen.json["input"]
        self.texts += len(texts)
        rows = [{"object": "embedding", "index": at, "embedding": embedding(text)} for at, text in enumerate(texts)]
        tokens = sum(len(text) // 4 + 1 for text in texts)
        return Reply.of_json({"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": tokens}})


def embedding(text: str) -> list[float]:
    """Returns the vector of a text, of length 1."""
    counted = Counter(_direction_of(word) for word in _WORD.findall(text.casefold()) if word not in _COMMON)
    vector = [0.0] * DIMENSIONS
    for name, count in counted.items():
        weight = 1.0 + math.log(count)
        for at, sign in _direction(name):
            vector[at] += sign * weight
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [round(value / length, 6) for value in vector]


def _direction_of(word: str) -> str:
    for form in (
        word,
        word.removesuffix("s"),
        word.removesuffix("ing"),
        word.removesuffix("ed"),
        f"{word[:-3]}e",
        word[:-1],
    ):
        if form in _GROUPS:
            return f"group {_GROUPS[form]}"
    return word.removesuffix("s").removesuffix("ing").removesuffix("ed")[:7]


@cache
def _direction(name: str) -> tuple[tuple[int, int], ...]:
    """Returns some places of the vector with a sign each, by a hash of the name."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple((digest[at] % DIMENSIONS, 1 if digest[at + 8] & 1 else -1) for at in range(8))
