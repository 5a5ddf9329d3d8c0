"""Redaction: whatever the cuts, no form of a secret survives and nothing else changes.

The expectation is worked out by other means: one regular expression for each form, over the whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.secrets.redact import Forms, Redactor


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


def redacted(forms: Forms, chunks: Iterator[bytes] | Sequence[bytes]) -> bytes:
    redactor = Redactor(forms)
    out, fed = b"", 0
    for chunk in chunks:
        fed += len(chunk)
        out += redactor.feed(chunk)
        assert len(out) + redactor.held == fed
        assert redactor.held <= forms.held_bytes
    out += redactor.finish()
    assert len(out) == fed and redactor.held == 0
    return out


TOKEN = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)


def percent_spans(text: bytes, data: bytes, *, plus: bool) -> Iterator[tuple[int, int]]:
    """Where a text stands with any of its bytes as an escape."""
    tokens = list(TOKEN.finditer(data))

    def read(token: bytes) -> bytes:
        return (
            bytes.fromhex(token[1:].decode())
            if len(token) == 3
            else b" "
            if plus and token == b"+"
            else token
        )

    for at in range(len(tokens) - len(text) + 1):
        some = tokens[at : at + len(text)]
        if all(read(token[0])[0] == byte for token, byte in zip(some, text, strict=True)):
            yield some[0].start(), some[-1].end()


def base64_chars(text: bytes) -> Iterator[list[bytes]]:
    """The characters that a text alone decides, bit by bit, at each alignment, as patterns."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for before in range(3):
        bits = "x" * 8 * before + "".join(f"{byte:08b}" for byte in text)
        sextets = [bits[at : at + 6] for at in range(0, len(bits), 6)]
        known = [int(sextet, 2) for sextet in sextets if len(sextet) == 6 and "x" not in sextet]
        if len(known) >= 4:
            yield [
                b"[+-]" if value == 62 else b"[/_]" if value == 63 else alphabet[value : value + 1]
                for value in known
            ]


def base64_patterns(text: bytes) -> Iterator[bytes]:
    """The forms in base64: four characters together, then with line breaks; without the first ones after a line's end."""
    for chars in base64_chars(text):
        for missing in range(4 if len(chars) >= 9 else 1):
            rest = chars[missing:]
            after_break = b"(?<=[\\r\\n])" if missing else b""
            yield after_break + b"".join(rest[:4]) + b"".join(b"[\\r\\n]*" + char for char in rest[4:])


def spans(secret: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    """The spans of all forms of a secret of one line."""
    text = secret.strip()
    for at in range(len(data)):
        if data.startswith(text, at):
            yield at, at + len(text)
    yield from percent_spans(text, data, plus=False)
    if b" " in text:
        yield from percent_spans(text, data, plus=True)
    for pattern in base64_patterns(text):
        compiled = re.compile(pattern)
        for at in range(len(data)):
            found = compiled.match(data, at)
            if found and found.end() - at <= 3 * len(found[0].translate(None, b"\r\n")):
                yield found.span()


def expected(secrets: Sequence[bytes], data: bytes) -> bytes:
    out = bytearray(data)
    for secret in secrets:
        for first, last in spans(secret, data):
            for at in range(first, last):
                if data[at] not in b"\r\n":
                    out[at] = ord("*")
    return bytes(out)


def forms_of(secret: bytes) -> list[bytes]:
    """Ways in which programs print a secret."""
    found = [
        secret,
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        b"".join(b"%%%02x" % byte for byte in secret),
        b"".join(b"%%%02X" % byte if at % 2 else bytes((byte,)) for at, byte in enumerate(secret)),
    ]
    for before in (b"", b"u", b"u:", b"abc"):
        for after in (b"", b"\n", b"@h"):
            found += [
                base64.b64encode(before + secret + after),
                base64.urlsafe_b64encode(before + secret + after),
            ]
    whole = found[-1]
    found += [b"\n".join(whole[at : at + 5] for at in range(0, len(whole), 5))]
    found += [b"\r\n".join(whole[at : at + 76] for at in range(0, len(whole), 76))]
    return found


SECRETS = st.one_of(
    st.binary(min_size=8, max_size=14),
    st.text("ab% +/%4", min_size=8, max_size=12).map(str.encode),
    st.text("a", min_size=8, max_size=9).map(str.encode),
    st.sampled_from(
        [b"correct horse", b"100%41bcdefg", b"%25%25%25%25", b"p\xc3\xa4ssw\xc3\xb6rd", b"41abcdefgh"]
    ),
).filter(lambda secret: len(secret.strip()) >= 8 and not set(secret) & set(b"\r\n\v\f\x1c\x1d\x1e\x85*"))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes, list[int]]:
    """Secrets, a stream with forms of them, halves of forms and noise, and how it is cut."""
    secrets = draw(st.lists(SECRETS, min_size=1, max_size=3))
    forms = [form for secret in secrets for form in forms_of(secret)]
    part = st.one_of(
        st.sampled_from(forms),
        st.sampled_from(forms).flatmap(lambda form: st.integers(0, len(form)).map(lambda at: form[:at])),
        st.sampled_from(forms).flatmap(lambda form: st.integers(0, len(form)).map(lambda at: form[at:])),
        st.binary(max_size=6),
        st.sampled_from([b"%", b"%4", b"%41", b"\n", b"\r\n", b"+", b"\n" * 60, b"password="]),
    )
    data = b"".join(draw(st.lists(part, max_size=8)))
    return secrets, data, draw(st.lists(st.integers(0, 9), max_size=80))


@settings(max_examples=150, deadline=None)
@given(streams())
@example(([b"41abcdefgh"], b"%41abcde%66gh 41abcde%66gh", [8, 1, 1]))
@example(([b"aaaaaaaa"], b"a" * 40, [7, 1, 3, 20]))
@example(([b"\0" * 8 + b"%"], b"\0%00" * 4 + b"%", []))
@example(([b"abcdefgh%4"], b"%61bcdefgh%4", [9, 1]))
@example(([b"correct horse"], b"correct%20hors%6", [9, 3]))
@example(([b"correct horse"], b"xxY2\n9ycmVjdCBob3JzZQ==\nY\r\n29ycmVjdCBob3JzZQ==", [3, 1, 1, 7, 15]))
def test_any_cut_gives_what_the_whole_gives_and_nothing_else_changes(
    case: tuple[list[bytes], bytes, list[int]],
) -> None:
    secrets, data, sizes = case
    forms = Forms(secrets)
    whole = redacted(forms, [data])
    assert redacted(forms, cut(data, sizes)) == whole
    assert redacted(forms, [data[at : at + 1] for at in range(len(data))]) == whole
    assert whole == expected(secrets, data)


@settings(max_examples=150, deadline=None)
@given(SECRETS, st.binary(max_size=20), st.binary(max_size=20), st.lists(st.integers(0, 9), max_size=40))
def test_no_form_survives(secret: bytes, before: bytes, after: bytes, sizes: list[int]) -> None:
    forms = Forms([secret])
    for form in forms_of(secret):
        out = redacted(forms, cut(before + form + after, sizes))
        text = secret.strip()
        squeezed = out.translate(bytes.maketrans(b"-_", b"+/"), b"\r\n")
        assert text not in out
        for chars in base64_chars(text):
            assert not re.search(b"".join(chars), squeezed)


def test_each_line_of_a_secret_with_several_is_taken_out() -> None:
    key = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\nshort\n-----END KEY-----\n"
    forms = Forms([key])
    assert (
        forms.redact(key)
        == b"*" * 19 + b"\n" + b"*" * 16 + b"\n" + b"*" * 16 + b"\n" + b"*" * 5 + b"\n" + b"*" * 17 + b"\n"
    )
    indented = key.replace(b"\n", b"\r\n  ")
    assert b"MIIE" not in forms.redact(indented) and b"hkiG" not in forms.redact(indented)
    assert forms.redact(b"-----BEGIN KEY----- of something else") == b"-----BEGIN KEY----- of something else"


def test_only_what_may_begin_a_form_is_held_back() -> None:
    redactor = Redactor(Forms([b"swordfish!"]))
    assert redactor.feed(b"one line: \n") == b"one line: \n"
    assert redactor.feed(b"the sword") == b"the "
    assert redactor.feed(b"fish at") == b"swordfish at"
    assert redactor.feed(b" swordfish") == b" "
    assert redactor.feed(b"! ") == b"********** "
    assert redactor.feed(b"swordfish") == b""
    assert redactor.finish() == b"swordfish"


def test_the_end_of_a_line_does_not_wait_for_the_next_one() -> None:
    redactor = Redactor(Forms([f"secret number {number:02}".encode() for number in range(50)]))
    for end in range(33, 127):
        line = b"it is done%c\n" % end
        assert redactor.feed(line) == line
    encoded = base64.b64encode(b"secret number 01")
    assert redactor.feed(encoded[:5] + b"\n") == b""  # five characters of a form are no accident
    assert redactor.feed(encoded[5:] + b"\n") == b"*****\n" + b"*" * 16 + encoded[-3:] + b"\n"


def test_without_secrets_everything_passes() -> None:
    for forms in (Forms([]), Forms([b"", b" \n"])):
        assert not forms
        assert Redactor(forms).feed(b"anything") == b"anything"
        assert forms.redact_text("anything") == "anything"


def test_text_is_redacted_whatever_its_characters() -> None:
    forms = Forms(["pässwörd".encode()])
    assert forms.redact_text("the pässwörd \udcff is wrong") == "the ********** \udcff is wrong"


def test_a_long_secret_costs_no_more_than_its_length_to_hold() -> None:
    secret = bytes(range(33, 127)) * 600
    redactor = Redactor(Forms([secret]))
    out = b"".join(redactor.feed(secret[at : at + 4096]) for at in range(0, len(secret), 4096))
    assert set(out + redactor.finish()) == {ord("*")}


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_very_short_secret_is_taken_out_too(size: int) -> None:
    secret = b"zqxj"[:size]
    assert Forms([secret]).redact(b"a " + secret + b" b") == b"a " + b"*" * size + b" b"
