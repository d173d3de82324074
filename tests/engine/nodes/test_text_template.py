"""Text Template: the fast path and the sandbox, and the problems that are reported while it is edited."""

import pytest

from engine.flow.node_context import NodeFailed
from engine.flow.references import Reference, Scope
from engine.flow.template_language import MAX_SOURCE
from engine.nodes.text_template import template_references
from engine.sandbox.pool import RenderFailed, Sandbox
from tests.engine.nodes.one_node import Alone, problems_of, run_node

SCOPE = Scope(
    {
        "a": {"s": "text", "n": 2.5, "none": None, "l": [{"t": "x", "p": 3}, {"t": "y", "p": 1}], "o": {"k": "v"}, "odd": "{{ 7*7 }}{% if %}", "path": "c:\\a"},
        "self": "own",
        "other": "not named",
    },
    {"flow_id": "flow_1"},
    items={"split": (4, 9)},
)  # fmt: skip


@pytest.fixture
async def write():
    sandbox = Sandbox()

    async def write(template):
        return await run_node("text_template", {}, {"template": template}, Alone(SCOPE, sandbox))

    yield write
    await sandbox.close()


SIMPLE = {
    "": "",
    "plain { } text": "plain { } text",
    "{{ a.out.s }}-{{ a.out.nope }}-{{ a.out.none }}": "text--",
    "{{ a.out.l }}": '[{"t":"x","p":3},{"t":"y","p":1}]',
    "{{ a.out.odd }}": "{{ 7*7 }}{% if %}",
    "{{ a.out.s | upper | truncate(3) }}": "TE…",
    '{{ a.out.nope | default("x | y") }}': "x | y",
    '{{ a.out.l | map("t") | join("+") }}': "x+y",
    '{{ a.out.l | sort("p") | first | json }}': '{"t":"y","p":1}',
    '{{ a.out.l | sum("p") }} {{ a.out.n | round }} {{ a.out.n | round(1) }}': "4 3 2.5",
    '{{ a.out.path | replace("\\\\", "/") | upper }}': "C:/A",
    '{{ a.out.path | replace("\\\\", "|") | replace("\\"", "") }}': "c:|a",
    "{{ split.index }} of {{ split.total }} in {{ system.flow_id }}": "4 of 9 in flow_1",
    "{{ unclosed": "{{ unclosed",
}
FULL = {
    "{% if a.out.s == 'text' %}yes{% else %}no{% endif %}": "yes",
    "{% for x in a.out.l %}\n{{ loop.index }}. {{ x.t }}{% if not loop.last %},{% endif %}\n{% endfor %}\nend": "1. x,\n2. y\nend",
    "{% for x in a.out.nope %}x{% else %}none{% endfor %}": "none",
    "{% for k, v in a.out.o | items %}{{ k }}={{ v }}{% endfor %}": "k=v",
    "{% for x in a.out.l if x.p > 1 %}{{ x.t }}{% endfor %}": "x",
    "{% set total = a.out.l | sum('p') %}{{ total * 2 }} {{ total ~ '!' }}": "8 4!",
    "{% if a.out.nope is empty and a.out.n is number %}{{ a.out.n }}{% endif %}": "2.5",
    "{% if true %}{{ a.out.odd }}{% endif %}": "{{ 7*7 }}{% if %}",
    "{% if true %}{{ self.out }}{{ split.index }}{{ system.flow_id }}{{ a.out.none }}{{ true }}{% endif %}": "own4flow_1true",
    "{% if true %}{{ a.out['s'] }}{{ a.out.l[0].t }}{{ a.out.l[-1]['t'] }}{% endif %}": "textxy",
    "a\n\n  {% if true %}\n  b\n  {% endif %}\n\nc\n": "a\n\n  b\n\nc\n",
    "{# a note #}{% raw %}{{ x }}{% endraw %}": "{{ x }}",
}


async def test_simple_templates(write):
    assert {template: await write(template) for template in SIMPLE} == SIMPLE


@pytest.mark.process
async def test_conditions_loops_and_names(write):
    assert {template: await write(template) for template in FULL} == FULL


async def test_only_the_data_that_is_named_is_handed_over():
    handed = {}

    class Watching:
        async def render(self, template, data):
            handed.update(data)
            return ""

    await run_node(
        "text_template", {}, {"template": "{% if a.out.s %}{{ split.index }}{% endif %}"}, Alone(SCOPE, Watching())
    )
    assert handed == {"a": {"out": SCOPE.outputs["a"]}, "split": {"index": 4}}


@pytest.mark.process
async def test_a_fault_while_writing_names_its_line(write):
    with pytest.raises(RenderFailed, match=r"Line 2: A loop goes over a list, and `text` is none"):
        await write("one\n{% for x in a.out.s %}{% endfor %}")
    with pytest.raises(NodeFailed, match="filter `round` cannot work on 'text'"):
        await write("{{ a.out.s | round }}")


@pytest.mark.parametrize("filters", ["| replace('', 'x')", '| replace("", "xxxxxxxxxx")' * 9, "| json" * 40])
async def test_filters_cannot_blow_a_text_up(write, filters):
    with pytest.raises(NodeFailed):
        await write("{{ a.out.s " + filters + " }}")


PROBLEMS = [
    ("{{ 7*7 }}", "bad_reference", "7*7"),
    ("{{ items | upper }}", "bad_reference", "items"),
    ("{{ api_input.out.text | nope }}", "template_error", "Line 1: There is no filter `nope`"),
    ("{{ api_input.out.text | 5 }}", "template_error", "Line 1: `5` is no filter"),
    ("{% if x %}{% endif %}", "bad_reference", "{{ x }}"),
    ("{% if api_input.out.nope %}{% endif %}", "unknown_field", "nope"),
    ("{% if gone.out %}{% endif %}", "bad_reference", "not on the canvas any more"),
    ("one\n{% if true %}", "template_error", "Line 2: `{% if %}` is never closed by `{% endif %}`"),
    ("one\n\n{% include 'x' %}", "template_error", "Line 3: `{% include %}`"),
    ("{% if true %}\n{{ api_input.out.text | nope }}{% endif %}", "template_error", "Line 2: There is no filter `nope`"),
    ("{% if true %}{{ api_input.out.text | replace('a') }}{% endif %}", "template_error", "2 values"),
    ("{% if api_input.out.text is odder %}{% endif %}", "template_error", "no test"),
    ("{% while true %}{% endwhile %}", "template_error", "There is no tag `while`"),
    ("{% if true %}{{ api_input.out.text() }}{% endif %}", "template_error", "Calling"),
    ("{% for x in api_input.out.items %}{{ x }}", "template_error", "`{% endfor %}`"),
    ("{% if", "template_error", "Line 1"),
    ("{% if true %}" + "x" * MAX_SOURCE + "{% endif %}", "template_error", "characters"),
    ("{% if true %}{{ " + "(" * 2_000 + "{% endif %}", "template_error", "nested too deep"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "code", "words"), PROBLEMS, ids=[one[0][:30] for one in PROBLEMS])
def test_what_cannot_be_written_is_a_problem_with_its_line(template, code, words):
    found = problems_of("text_template", {}, {"template": template})
    assert [one[:2] for one in found] == [(code, "/inputs/template")]
    assert words in found[0][2]


def test_a_good_template_has_no_problem():
    template = "{% for x in api_input.out['items'] %}{% set y = x.z %}{{ loop.index }}{{ y | upper }}{% endfor %}"
    assert problems_of("text_template", {}, {"template": template}) == []


def test_the_data_a_template_names():
    template = "{% for x in a.out.l[0].t %}{{ x.y }}{{ b.out[x].c }}{{ a.out['k l'] }}{% endfor %}"
    named = [Reference("a", "out", ("l", 0, "t")), Reference("b", "out"), Reference("a", "out", ("k l",))]
    assert sorted(map(str, template_references(template))) == sorted(map(str, named))
