from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import ExtractFailed
from kitestring.ingest.extract import extract


def text_of(name: str, data: bytes) -> str:
    return extract(Path(name), data)


def pdf(*pages: str) -> bytes:
    """A small valid PDF with one line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for page in pages:
        stream = f"BT /F1 12 Tf 50 700 Td ({page}) Tj ET"
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {number + 1} 0 R "
            "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> "
            ">> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    out += "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode()


def test_text_has_one_kind_of_line_end_and_no_byte_order_mark() -> None:
    assert text_of("a.txt", "\ufeffone\r\ntwo\rthree".encode()) == "one\ntwo\nthree"
    assert text_of("a.TXT", "grün".encode("utf-16")) == "grün"


def test_html_drops_what_is_not_text_and_keeps_words_together() -> None:
    page = (
        "<html><head><title>Kites</title><style>p{}</style><script>x()</script></head><body>"
        "<nav><a href='/'>Home</a></nav><!-- hidden --><p>A <b>black</b>\n kite&amp;string.</p>"
        "<p>Next<br>line</p><pre>a\n  b</pre></body></html>"
    )
    found = text_of("a.html", page.encode())
    assert found == "Kites\n\nA black kite&string.\n\nNext\nline\n\na\n  b"


def test_html_declares_its_encoding() -> None:
    page = "<meta charset='iso-8859-1'><p>grün</p>".encode("latin-1")
    assert text_of("a.htm", page) == "grün"


def test_pdf_pages_in_their_order() -> None:
    found = text_of("a.pdf", pdf("First page.", "Second page."))
    assert found.index("First page.") < found.index("Second page.")


def test_rst_gives_text_without_markup() -> None:
    source = b"Title\n=====\n\nSome *emphasis* and :func:`call`.\n\n* item\n\n::\n\n    code\n"
    found = text_of("a.rst", source)
    assert found.startswith("Title\n\nSome emphasis and ")
    assert "item" in found
    assert "code" in found
    assert "=====" not in found


def test_rst_reads_no_other_file_and_takes_no_raw_html(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password")
    source = f"Hello\n\n.. include:: {secret}\n\n.. raw:: html\n\n   <b>raw</b>\n\n" + (
        f".. csv-table::\n   :file: {secret}\n\n.. literalinclude:: {secret}\n"
    )
    found = extract(tmp_path / "a.rst", source.encode())
    assert "password" not in found
    assert found.strip() == "Hello"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("empty.txt", b"", "no text"),
        ("blank.md", b" \n\n", "no text"),
        ("latin.txt", "grün".encode("latin-1"), "byte 2 is 0xfc"),
        ("binary.txt", b"ab\x00cd", "binary"),
        ("broken.pdf", b"%PDF-1.4\nnot really", "can't be read"),
        ("cut.pdf", pdf("text")[:200], "can't be read"),
        ("none.pdf", pdf(""), "no text"),
        ("page.html", b"<meta charset='utf-8'><p>\xff\xfe\xfa</p>", "encoding"),
        ("scripts.html", b"<script>x()</script>", "no text"),
        ("image.png", b"\x89PNG", "no extractor"),
        ("Makefile", b"all:", "no extractor"),
    ],
)
def test_what_cannot_be_read_names_the_file(name: str, data: bytes, what: str) -> None:
    with pytest.raises(ExtractFailed) as failure:
        text_of(f"docs/{name}", data)
    assert f"docs/{name}" in failure.value.message
    assert what in failure.value.message
    assert failure.value.hint


def test_an_encrypted_pdf_is_refused() -> None:
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret text"))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(ExtractFailed, match="encrypted"):
        text_of("a.pdf", out.getvalue())
