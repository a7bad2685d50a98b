"""What pages to read and print are made of; they need nothing from anywhere else."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

# Colours after Okabe and Ito; whatever one tells, a word, a sign or a dash tells as well.
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; break-after: avoid }
p { max-width: 46rem } code { background: #eef1f4; padding: .1rem .35rem; border-radius: 3px; overflow-wrap: anywhere }
.made { color: #39424b; max-width: none; overflow-wrap: anywhere } .wide { overflow-x: auto }
table { border-collapse: collapse; margin: .4rem 0 1rem } caption { text-align: left; color: #55606b; padding-bottom: .2rem }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid #dde2e7; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } tr.sum td { font-weight: 600 } tr { break-inside: avoid }
table.words td { text-align: left; vertical-align: top; overflow-wrap: anywhere } table.words th { text-align: left }
td.hit { background: #d9ebf7; font-weight: 600 } td.miss { background: #fbe5d6 }
td.hit::after { content: " \\2713" } td.miss::after { content: " \\2717" }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin: 1.2rem 0 }
@media (max-width: 700px) { .figures { grid-template-columns: repeat(2, 1fr) } }
.figure { border: 1px solid #dde2e7; border-radius: 6px; padding: .6rem .8rem; break-inside: avoid }
.figure b { display: block; font-size: 1.5rem } .figure span { color: #55606b; font-size: .85rem }
.bad { border: 2px solid #d55e00 } .bad b::before { content: "\\25B2\\00A0"; color: #d55e00 }
.warning { border-left: 4px solid #d55e00; padding: .3rem .8rem; background: #fdf3ec; max-width: none; break-inside: avoid }
.curves { display: flex; flex-wrap: wrap; gap: 1.5rem } svg { break-inside: avoid } svg text { font: 11px system-ui, sans-serif }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem }
.boards { grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)) }
figure { margin: 0; break-inside: avoid } figure img { max-width: 100%; border: 1px solid #dde2e7; display: block }
figcaption { font-size: .82rem; color: #39424b; overflow-wrap: anywhere } pre { white-space: pre-wrap; overflow-wrap: anywhere }
.truth { border-bottom: 3px dashed #0072b2 } .found { border-bottom: 3px solid #d55e00 }
@page { margin: 14mm }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  .gallery { grid-template-columns: repeat(4, 1fr) }
  .boards { grid-template-columns: repeat(2, 1fr) } .wide { overflow: visible; font-size: 9px }
  .wide th, .wide td { padding: .15rem .3rem }
}
"""


def table(
    head: Sequence[str], listed: Iterable[Sequence[object]], *, sums: int = 0, caption: str = "", kind: str = ""
) -> str:
    """`sums` rows at the end are set in bold."""
    lines = list(listed)
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = ""
    for index, row in enumerate(lines):
        bold = ' class="sum"' if index >= len(lines) - sums else ""
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        body += f"<tr{bold}>{cells}</tr>"
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table class="{kind}">{told}<tr>{titles}</tr>{body}</table></div>'
