"""Error messages for invalid templates, with the line, and the data that a template refers to."""

import pytest

from engine.flow.template_language import TemplateWrong, read_template, template_facts

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
