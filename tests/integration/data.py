"""What the buckets of the tests hold, and whether two of them hold the same.

The comparison is made with boto3, or with what the stand-in for Google has: the tool's own opinion on equality is never
asked.
"""
import os
import random
from concurrent.futures import ThreadPoolExecutor

KIB, MIB = 1 << 10, 1 << 20
WORKERS = 8


def hostile_keys():
    """Keys that are legal in S3 and break something somewhere: in URLs, XML, signatures, file systems, sorting. Without
    those that Google's service cannot have, if a side is Google's."""
    return [key for key in HOSTILE_KEYS if not os.environ.get("STORSYNC_TEST_GS") or google_can_have(key)]


def google_can_have(key):
    return key not in (".", "..") and not set(key) & set("\r\n")


HOSTILE_KEYS = [
    # Unicode is bytes: composed and decomposed forms are two keys. Four-byte, right-to-left, non-characters.
    "unicode/caf\u00e9", "unicode/cafe\u0301", "unicode/\U0001f600.png", "unicode/\u05e9\u05dc\u05d5\u05dd",
    "unicode/\u202eabc", "unicode/\u0085", "unicode/\u2028", "unicode/\ufffe", "unicode/\U0010ffff", "\u00e9" * 400,
    # What URLs, queries and forms treat as special.
    "url/a+b", "url/a b", "url/a%b", "url/a%2Fb", "url/a%20b", "url/%", "url/?", "url/a?b=c&d=e", "url/#frag",
    "url/a;b", "url/a=b", "url/a&b", "url/a:b@c,d$e!(f)*'~", "url/[x]{y}|^`", 'url/"quoted"', "url/back\\slash",
    # What XML treats as special, and what it cannot hold at all.
    "xml/<tag>", "xml/a&amp;b", "xml/]]>", "xml/\x01", "xml/\x08\x0b\x0c", "xml/\x1f\x7f",
    # White space, line ends.
    "space/ lead", "space/trail ", "space/ ", " space/x", "space/a\tb", "space/a\nb", "space/a\rb",
    "space/a\r\nb\n",
    # Empty and relative segments: whoever normalises a path loses the object.
    "seg//empty", "seg///x", "seg/./x", "seg/../x", "seg/.", "seg/..", "seg/...", "/lead", "//", ".", "..", "/",
    "../up", "seg/trailing/", "seg/trailing//", "seg/.hidden",
    # At once an object and the "folder" of others.
    "both", "both/a", "both/a/b", "both/", "both//",
    # Where byte order and path order differ: '.' and '-' sort before '/', '0' after it.
    "order/a", "order/a-b", "order/a.txt", "order/a/b", "order/a/b.txt", "order/a/b/c", "order/a0", "order/a/",
    "order/A", "order/\u00c4",
    # Looks like an escape, or like the tool's own.
    ".storsync/x", ".storsync", "nested/.storsync/y", "%2e%2e/x", "a%00b", "nul", "con.txt", "-rf", "--",
    # Long: a segment that no file system takes, the longest key with the longest prefix there is here.
    "long/" + "s" * 900, "deep/" + "d/" * 200 + "x", "k" * 255, "k" * 256, "k" * (1024 - len("private/")),
]


def body(seed, size):
    """Different for every seed, the same in every run; no two megabytes alike, so that swapped parts show."""
    return random.Random(f"storsync {seed}").randbytes(size)


def metadata(number):
    """User metadata and content headers in changing combinations; odd values in some."""
    user = [{}, {"owner": "alice", "x-y.z": "1"}, {"empty": ""}, {"quoted": 'a "b", c; d=e\\f'}, {"spaces": "a  b   c"},
            {"encoded": "=?UTF-8?B?w6nDqA==?="}, {"percent": "%2F+%20"}, {"long": "v" * 1900}][number % 8]
    headers = [{}, {"ContentType": "image/png"},
               {"ContentType": "text/html; charset=utf-8", "CacheControl": "no-cache"},
               {"ContentType": "application/json", "ContentEncoding": "gzip"},
               {"ContentDisposition": "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A9.txt"},
               {"ContentLanguage": "de, en", "CacheControl": "public, max-age=31536000, immutable"},
               {"Expires": "Wed, 21 Oct 2037 07:28:00 GMT", "ContentType": "x/y"}][number % 7]
    return {**headers, "Metadata": user} if user else headers


class Dataset:
    """A source bucket full of trouble, made once and read by several tests."""

    PREFIXES = ("public/", "private/")
    SIZES = [0, 1, 100, 4 * KIB, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1]
    LARGE = [5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB + 7]

    def __init__(self, bucket, objects=2500, largest=0):
        self.bucket = bucket
        self.sizes = dict(self._layout(objects, largest))
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self._put, enumerate(self.sizes.items())))
        for key in ("public", "publicity/no", "private", "other/no", ".storsync/alien"):
            bucket.put(key, b"outside of what is synced")
        self.snapshot = snapshot(bucket, self.PREFIXES)

    def _layout(self, objects, largest):
        keys = [prefix + key for prefix in self.PREFIXES for key in hostile_keys()]
        keys += [f"public/images/{n // 100:02}/product{n}.jpg" for n in range(objects - len(keys))]
        large = self.LARGE + ([largest] if largest else [])
        for number, key in enumerate(keys):
            # The large ones under hostile keys: an upload in parts has URLs of its own to get wrong.
            use_large = number % 9 == 4 and number // 9 < len(large)
            yield key, large[number // 9] if use_large else self.SIZES[number % len(self.SIZES)]

    def _put(self, item):
        number, (key, size) = item
        self.bucket.put(key, body(key, size), **metadata(number))

    largest_key = property(lambda self: max(self.sizes, key=self.sizes.get))
    total = property(lambda self: sum(self.sizes.values()))


def snapshot(bucket, prefixes=("",)):
    """{key: facts}, of which bucket.look says what they are."""
    keys = [key for prefix in prefixes for key in bucket.keys(prefix)]
    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(keys, pool.map(bucket.look, keys)))


def differences(expected, actual, limit=10):
    """What a person wants to know of two snapshots that are not equal; [] if they are."""
    found = [f"missing: {key!r}" for key in expected.keys() - actual.keys()]
    found += [f"extra: {key!r}" for key in actual.keys() - expected.keys()]
    for key in expected.keys() & actual.keys():
        a, b = expected[key], actual[key]
        found += [f"{key!r}: {name} is {b.get(name)!r}, not {a.get(name)!r}"
                  for name in a.keys() | b.keys() if a.get(name) != b.get(name)]
    found.sort()
    return found if len(found) <= limit else [*found[:limit], f"... and {len(found) - limit} more"]


def compare_buckets(a, b, prefixes=("",)):
    return differences(snapshot(a, prefixes), snapshot(b, prefixes))
