"""Error messages for invalid templates, with the line, and the data that a template refers to."""

import sys

import pytest

from engine.flow import template_loops
from engine.flow.template_language import TemplateWrong, read_template, template_facts
from engine.flow.template_loops import lost_in_loop

WRONG = [
    ("{% macro x() %}{% endmacro %}", 1, "is not available"),
    ("a\n{% spin %}", 2, "There is no tag `spin`. There are: if, elif, else, endif, for, endfor, set."),
    ("a\n{% if api_input.out.x %}b", 2, "`{% if %}` is never closed by `{% endif %}`."),
    ("{{ api_input.out.x", 1, "The template ends inside"),
    ("{{ api_input.out.x | spin }}", 1, "spin"),
    ("{{ api_input.out.x is spun }}", 1, "spun"),
    ("{% include 'x' %}", 1, "a template stands alone"),
    ("{{ api_input.out.x | truncate(length=3) }}", 1, "A filter takes values without names"),
]


@pytest.mark.parametrize(("source", "line", "sentence"), WRONG)
def test_what_cannot_be_read_is_told_with_its_line(source, line, sentence):
    wrong, references = template_facts(source)
    assert wrong is not None
    assert (wrong.line, references) == (line, ())
    assert sentence in wrong.sentence


@pytest.mark.parametrize(
    ("source", "roots"),
    [
        ("plain", set()),
        ("{{ api_input.out.x }}", {("api_input", "out")}),
        ("{% for item in list.out %}{{ item.name }}{{ loop.index }}{% endfor %}", {("list", "out")}),
        ("{% set name = api_input.out.x %}{{ name }}", {("api_input", "out")}),
        ("{% if a.out %}{{ b.out.c }}{% else %}{{ c.out }}{% endif %}", {("a", "out"), ("b", "out"), ("c", "out")}),
    ],
)
def test_the_data_that_a_template_names(source, roots):
    assert read_template(source).roots == roots


def test_loops_may_stand_four_deep():
    def loops(count):
        begin = "".join(f"{{% for v{number} in list.out %}}" for number in range(count))
        return f"{begin}x{'{% endfor %}' * count}"

    assert read_template(loops(4)).roots == {("list", "out")}
    with pytest.raises(TemplateWrong, match="Loops may stand inside each other 4 deep"):
        read_template(loops(5))


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (1, "{% set sum = 0 %}{% for x in l.out %}{% set sum = sum + x %}{% endfor %}{{ sum }}"),
        (2, "{% for x in l.out %}{% set y = x %}{% endfor %}\n{{ y }}"),
        (3, "{% set f = false %}\n{% for x in l.out %}{% if x %}{% set f = true %}{% endif %}{% endfor %}\n{{ f }}"),
        (1, "{% for x in l.out %}{% if p != x %}{{ x }}{% endif %}{% set p = x %}{% endfor %}"),
        (1, "{% set t='a' %}{% for x in l.out %}{% set t=x.t %}{{ t }}{% endfor %}{{ t }}"),
        (1, "{% for x in l.out %}{% set f = true %}{% endfor %}{% for x in l.out %}{{ f }}{% endfor %}"),
        (1, "{% set s = '' %}{% for x in l.out %}{% if x %}{% set s = s ~ 'a' %}{% endif %}{{ s }}{% endfor %}"),
        (1, "{% for x in l.out %}{% set n = 0 %}{% for y in x %}{% set n = n + y %}{% endfor %}{{ n }}{% endfor %}"),
        (1, "{% set n = 0 %}{% for x in l.out if n < 3 %}{% set n = x %}{% endfor %}"),
        (1, "{% set a, b = l.out %}{% for x in l.out %}{% set a, b = [x, b] %}{% endfor %}"),
        (1, "{% for x in l.out %}{% else %}{% set e = 1 %}{% endfor %}{{ e }}"),
    ],
)
def test_a_name_that_a_loop_loses_is_told_where_it_is_read(line, source):
    wrong = lost_in_loop(source)
    assert wrong is not None
    assert (wrong.line, "is set inside a loop" in wrong.sentence) == (line, True)


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in l.out %}{% set y = x %}{{ y }}{% endfor %}{% for x in l.out %}{% set y = x %}{{ y }}{% endfor %}",
        "{% set y = 1 %}{{ y }}{% for x in l.out %}{% set y = x %}{{ y }}{% endfor %}",
        "{% for x in l.out %}{% if x %}{% set m = '*' %}{% endif %}{{ m }}{% endfor %}",
        "{% for x in l.out %}{% set m = '' %}{% if x %}{% set m = '*' %}{% endif %}{{ m }}{% endfor %}",
        "{% set m=0 %}{% for x in l.out %}{% if x %}{% set m=1 %}{% elif l.out %}{% set m=2 %}{% else %}{% set m=3 %}{% endif %}{{ m }}{% endfor %}",
        "{% set m=0 %}{% for x in l.out %}{% if x %}{% set m=1 %}{% else %}{% set m=3 %}{% endif %}{{ m }}{% endfor %}",
        "{% set t = 2 %}{% for x in l.out %}{{ x * t }}{% endfor %}{{ t }}",
        "{% for x in l.out %}{% set y = x %}{{ y }}{% endfor %}{% set y = 3 %}{{ y }}",
        "{% for x in l.out %}{% set x = x + 1 %}{{ x }}{% endfor %}",
        "{% set c='a' %}{% for x in l.out %}{% if x.p==3 %}{% set c='b' %}{% endif %}{{ x.t }}:{{ c }} {% endfor %}",
        "{% set s='' %}{% for x in l.out %}{% if not loop.first %}{% set s=', ' %}{% endif %}{{ s }}{{ x.t }}{% endfor %}",
        "{% set t='a' %}{% for x in l.out %}{% set t=x.t %}{{ t }}{% endfor %}",
        "{% for x in l.out %}{% if x.p %}{% set n=x.t %}{% endif %}{% if n %}{{ n }}{% endif %}{% endfor %}" * 2,
        "{% for x in l.out %}{% if x.p %}{% set n=x.t %}{% endif %}{% for y in x.l %}{{ n }}{% endfor %}{% endfor %}",
    ],
)
def test_a_name_that_is_read_where_it_is_set_is_in_order(source):
    assert lost_in_loop(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "{%for x in l.out%}{%endfor%}" + "".join(f"{{%set a{n}=1%}}" for n in range(900)) + "{%if 1%}{%endif%}" * 400,
        "".join(f"{{%set a{n}=1%}}" for n in range(700)) + "{%for x in l.out%}{%endfor%}" * 320,
        "{%for x in l.out%}{%if 1%}"
        + "".join(f"{{%elif 1%}}{{%set a{n}=1%}}" for n in range(600))
        + "{%endif%}{%endfor%}",
    ],
    ids=["ifs", "loops", "elifs"],
)
def test_many_names_and_branches_cost_no_more_than_what_they_set(source):
    """Counted: the steps of the interpreter in the functions of the module, and the names that they go through."""
    steps = 0

    def count(frame, event, _argument):
        nonlocal steps
        if frame.f_code.co_filename != template_loops.__file__:
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    read_template(source)  # or there would be nothing to follow
    before = sys.gettrace()
    sys.settrace(count)
    try:
        assert lost_in_loop.__wrapped__(source) is None
    finally:
        sys.settrace(before)
    assert steps < 1_000_000
