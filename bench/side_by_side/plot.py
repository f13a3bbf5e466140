"""The results as a picture: CPU per request of each proxy, as horizontal bars.

Pure: results in, SVG out, readable on light and on dark ground and with whatever font there is. Refuses to know targets.
"""

from xml.sax.saxutils import escape

from report import ROWS, number
from scenarios import BASE, OURS
from targets import cell

PANELS = {"plain-c64": "plain requests, 64 connections", "stream-c16": "streams of 64 chunks, 16 connections"}
SHORT = {BASE: "nginx", "haproxy": "haproxy", "floor": "floor", OURS: "Backstop", "litellm": "LiteLLM", "portkey": "Portkey"}

WIDTH, MARGIN = 760, 20
NAMES = 100  # left of the bars
LABELS = 170  # right of the longest bar
BAR, STEP = 20, 28
TITLE, GAP = 30, 22

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .quiet { fill: #59636e; }
  .bar { fill: #9aa4af; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .bar { fill: #59636e; }
    .ours { fill: #4493f8; }
  }
"""


def bars(results: dict, scenario: str) -> list[tuple[str, float, float | None]]:
    """(proxy, CPU per request, ratio to nginx)."""
    found = []
    for name in ROWS:
        one = cell(results, scenario, name)
        if one and one["cpu_us"]:
            found.append((name, one["cpu_us"]["median"], one["ratio"]["median"] if one["ratio"] else None))
    return found


def panel(results: dict, scenario: str, top: int) -> tuple[list[str], int]:
    """The lines of one panel and where it ends."""
    shown = bars(results, scenario)
    left, room = MARGIN + NAMES, WIDTH - 2 * MARGIN - NAMES - LABELS
    lines = [f'<text class="title" x="{MARGIN}" y="{top + 14}">{escape(PANELS[scenario])}</text>']
    longest = max((value for _, value, _ in shown), default=1.0) or 1.0
    y = top + TITLE
    for name, value, ratio in shown:
        length = max(value / longest * room, 1.0)
        kind = "bar ours" if name == OURS else "bar"
        # A gap and not a space: some renderers drop one at the beginning of a tspan.
        times = f'<tspan class="quiet" dx="10">{ratio:.2f} × nginx</tspan>' if ratio is not None and name != BASE else ""
        lines += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(SHORT[name])}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{left + length + 8:.1f}" y="{y + 15}">{number(value)} µs{times}</text>',
        ]
        y += STEP
    if not shown:
        lines.append(f'<text class="quiet" x="{left}" y="{y + 15}">not measured</text>')
        y += STEP
    return lines, y


def svg(results: dict) -> str:
    lines: list[str] = []
    y = MARGIN
    for scenario in PANELS:
        drawn, y = panel(results, scenario, y)
        lines += drawn
        y += GAP
    words = f"CPU time per request, less is better. {results['machine']['cpu']}, {results['machine']['date']}."
    lines.append(f'<text class="quiet" x="{MARGIN}" y="{y + 4}">{escape(words)}</text>')
    height = y + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(words)}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *lines, "</svg>"]) + "\n"
