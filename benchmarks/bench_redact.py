"""How fast secrets are taken out of output, beside the least that would not do: `bytes.replace` on each chunk.

    python -m benchmarks.bench_redact [--rounds 5] [--mib 16] [--chunk 65536] [--json]

Three outputs: lines of a log without any secret; the same with percent signs and a secret now and then; and base64 in
lines of 76 characters. `bytes.replace` looks for the clear text alone and misses what is split over two chunks. One
secret of 16 bytes, ten of them, and a private key of 27 lines.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import measure
from core.secrets.redact import Forms, Redactor

MIB = 1024 * 1024


def secrets_of(source: random.Random) -> dict[str, list[bytes]]:
    """The secrets that are looked for, by what they are called."""
    tokens = [base64.b64encode(source.randbytes(12)) for _ in range(10)]
    lines = [base64.b64encode(source.randbytes(48)) for _ in range(25)]
    key = b"\n".join((b"-----BEGIN PRIVATE KEY-----", *lines, b"-----END PRIVATE KEY-----"))
    return {"1 secret": tokens[:1], "10 secrets": tokens, "a key": [key]}


def outputs(source: random.Random, secret: bytes, size: int) -> dict[str, bytes]:
    """What servers print, `size` bytes of each."""
    words = [
        bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(2000)
    ]

    def line(extra: bytes) -> bytes:
        return b" ".join((b"2026-03-01T14:02:11Z", *source.choices(words, k=10), extra)) + b"\n"

    plain = b"".join(line(b"done") for _ in range(2000))
    odd = b"".join(
        line(b"50%% of %b" % (secret if number % 50 == 0 else b"%2Fsrv")) for number in range(2000)
    )
    encoded = base64.encodebytes(source.randbytes(len(plain) * 3 // 4))
    return {name: (data * (size // len(data) + 1))[:size] for name, data in
            (("a log", plain), ("with % and secrets", odd), ("base64", encoded))}  # fmt: skip


def replaced(secrets: Sequence[bytes], chunks: Sequence[bytes]) -> float:
    """Bytes a second of `bytes.replace`."""
    meter, size = measure.Meter(), 0
    for chunk in chunks:
        for secret in secrets:
            chunk = chunk.replace(secret, b"*" * len(secret))
        size += len(chunk)
    return size / meter.stop().wall_s


def redacted(forms: Forms, chunks: Sequence[bytes]) -> float:
    """Bytes a second of the redactor."""
    meter, redactor = measure.Meter(), Redactor(forms)
    size = sum(len(redactor.feed(chunk)) for chunk in chunks)
    size += len(redactor.finish())
    return size / meter.stop().wall_s


def main() -> None:
    """Runs everything and prints the table."""
    parser = measure.arguments("How fast secrets are taken out of output.", rounds=5)
    parser.add_argument("--mib", type=float, default=16, help="how much of each output")
    parser.add_argument("--chunk", type=int, default=64 * 1024, help="bytes that come at once")
    options = parser.parse_args()
    if not options.json:
        print(f"{measure.machine_line()}; chunks of {options.chunk} bytes, median of {options.rounds}\n")
    source = random.Random(1)
    known = secrets_of(source)
    rows, variants = [], {}
    for name, data in outputs(source, known["1 secret"][0], int(options.mib * MIB)).items():
        chunks = [data[at : at + options.chunk] for at in range(0, len(data), options.chunk)]
        for what, secrets in known.items():
            both: dict[str, Callable[[], float]] = {
                "replace": partial(replaced, secrets, chunks),
                "redact": partial(redacted, Forms(secrets), chunks),
            }
            found = {
                way: measure.median(speeds) for way, speeds in measure.in_turn(both, options.rounds).items()
            }
            variants[f"{name}, {what}"] = found
            rows.append(
                (
                    f"{name}, {what}",
                    f"{found['replace'] / MIB:,.0f}",
                    f"{found['redact'] / MIB:,.0f}",
                    f"{found['replace'] / found['redact']:.1f} ×",
                )
            )
    headers = ("output and secrets", "replace MiB/s", "redact MiB/s", "slower by")
    measure.show(headers, rows, {"benchmark": "redact", "variants": variants}, as_json=options.json)


if __name__ == "__main__":
    main()
