"""A comparison as a notebook shows it: the answer, the table and the errors in one drawing."""

import re
from hashlib import sha256
from itertools import compress

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from recsys.evaluation.results import Comparison
from recsys.report.answer import headline
from recsys.report.outcomes import scored
from recsys.report.sections.results import errors, shown_columns, shown_rows
from recsys.report.svg import LIGHT, style

_SHOWN = """<div>
<p><strong>{{ headline }}.</strong></p>
<table>
<thead><tr>
{% for column in columns %}
<th title="{{ column.meaning }}">{{ column.heading }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>
{% for cell in row %}
<td{{ "" if loop.first else right }}>
{%- if cell.best %}<strong>{{ cell.text }}</strong>{% else %}{{ cell.text }}{% endif %}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
<div style="background: {{ paper }}">{{ drawing }}</div>
</div>
"""


def comparison_html(comparison: Comparison) -> str:
    """Return the headline, the table of the terminal and the plot of the test errors; every text is escaped."""
    columns = shown_columns(comparison)
    shown = [column.in_terminal for column in columns]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_SHOWN).render(
        headline=headline(comparison),
        columns=list(compress(columns, shown)),
        rows=[list(compress(row, shown)) for row in shown_rows(comparison)],
        drawing=_drawing(comparison),
        paper=LIGHT["paper"],
        right=Markup(' style="text-align: right"'),
    )


def _drawing(comparison: Comparison) -> Markup:
    """The plot of the errors, with ids of its own: a notebook may show several comparisons in one page."""
    if not scored(comparison):
        return Markup()
    with style():
        plot = errors(comparison)
    drawing = plot.svg.partition("?>")[2]
    own = f"{plot.name}-{sha256(drawing.encode()).hexdigest()[:8]}"
    return Markup(re.sub(rf'(["#]){plot.name}-', rf"\g<1>{own}-", drawing))
