"""Templates that try to escape from the sandbox, and templates that try to exhaust the machine.

An escape is a template and its permitted result: `refused` (a problem found before anything runs), or the exact text.
"""

from __future__ import annotations

REFUSED = "refused"

#: Data that every attack can refer to as `a.out`.
DATA = {
    "a": {
        "out": {
            "s": "text",
            "n": 7,
            "l": [1, 2, 3],
            "o": {"k": "v", "__class__": "only data", "upper": "data too"},
            "t": "{{ 7*7 }}{% for x in [1] %}{{ x }}{% endfor %}",
            "f": "{0.__class__.__mro__}",
            "deep": {"__init__": {"__globals__": {"os": "data"}}},
        }
    }
}

ESCAPES: list[tuple[str, str]] = [
    # attributes of Python objects, which must not be accessible
    ("{{ a.out.s.__class__ }}", ""),
    ("{{ a.out.s['__class__'] }}", ""),
    ('{{ a.out.s["__cla" ~ "ss__"] }}', ""),
    ("{{ a.out.s.__class__.__mro__[1].__subclasses__ }}", ""),
    ("{{ a.out.l.__class__.__base__ }}", ""),
    ("{{ a.out.n.__class__.__bases__[0] }}", ""),
    ("{{ a.out.o.__class__ }}", "only data"),
    ("{{ a.out.o.upper }}{{ a.out.s.upper }}", "data too"),
    ("{{ a.out.o.keys }}{{ a.out.o.items }}{{ a.out.o.pop }}", ""),
    ("{{ a.out.l.append }}{{ a.out.l.sort }}", ""),
    ("{{ a.out.deep.__init__.__globals__.os }}", "data"),
    ("{{ a.out.s.format }}{{ a.out.s.format_map }}{{ a.out.s.encode }}", ""),
    ("{{ a.out.n.real }}{{ a.out.n.numerator }}{{ a.out.n.to_bytes }}", ""),
    ("{{ (1).__class__ }}{{ [].__class__ }}{{ {}.__class__ }}{{ ''.__class__ }}", ""),
    ("{{ (a.out.l | first).__class__ }}", ""),
    ("{{ (a.out.l | map('__class__')) | json }}", "[null,null,null]"),
    ("{{ a.out.l | sort('__class__') | json }}", "[1,2,3]"),
    ("{{ a.out.l | sum('__class__.__mro__') }}", "0"),
    ("{{ [a.out.o] | map('__init__.__globals__') | json }}", "[null]"),
    ("{{ [a.out.o] | map('[\"__class__\"]') | join }}", "only data"),
    ("{% for x in a.out.l %}{{ loop.__class__ }}{{ loop._iterator }}{{ loop['_to_iterator'] }}{% endfor %}", ""),
    ("{% for x in a.out.l %}{{ loop.cycle }}{{ loop.changed }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}", ""),
    ("{% for x in a.out.l %}{{ loop }}{{ loop | json }}{{ [loop] | json }}{% endfor %}", REFUSED),
    ("{% for x in a.out.l %}{% set y = loop %}{{ y.index }}{{ y.__init__ }}{% endfor %}", REFUSED),
    ("{% for x in a.out.l %}{{ (loop).index }}{{ loop['index0'] }}{% endfor %}", "123"),
    ("{% if false %}{% set v = 1 %}{% endif %}{{ [v] | json }}{{ v ~ v }}{{ v[0] }}", "[null]"),
    ("{% set x = a.out.s %}{{ x.__class__ }}{{ x.title }}", ""),
    ("{{ (a.out.nope).__class__ }}{{ nope2 is defined }}", REFUSED),
    (
        "{% set u = a.out %}{% if false %}{% set v = 1 %}{% endif %}{{ v.__class__.__init__ }}{{ v._undefined_name }}",
        "",
    ),
    # calls
    ("{{ a.out.s.upper() }}", REFUSED),
    ("{{ a.out.s.format(1) }}", REFUSED),
    ("{{ a.out.f.format(a.out.s) }}", REFUSED),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", REFUSED),
    ("{{ a() }}", REFUSED),
    ("{{ (a.out.s | upper)() }}", REFUSED),
    ("{% for x in range(9) %}{% endfor %}", REFUSED),
    ("{% for x in a.out.l recursive %}{{ loop(x) }}{% endfor %}", REFUSED),
    ("{% for x in a.out.l %}{{ loop.cycle('a', 'b') }}{% endfor %}", REFUSED),
    ("{% set x = namespace(y=1) %}", REFUSED),
    ("{% set x.y = 1 %}", REFUSED),
    ("{{ lipsum.__globals__.os.popen('id').read() }}", REFUSED),
    ("{{ cycler.__init__.__globals__.os }}", REFUSED),
    ("{{ joiner.__init__ }}", REFUSED),
    ("{{ dict(a=1) }}", REFUSED),
    ("{{ _('x') }}{{ gettext('x') }}", REFUSED),
    # names that Jinja defines in its templates
    ("{% if true %}{{ self }}{% endif %}", REFUSED),
    ("{% if true %}{{ self.__init__ }}{% endif %}", REFUSED),
    ("{% if true %}{{ self._TemplateReference__context }}{% endif %}", REFUSED),
    ("{% if true %}{{ caller }}{{ varargs }}{{ kwargs }}{% endif %}", REFUSED),
    ("{% if true %}{{ context }}{{ environment }}{{ resolve }}{{ undefined }}{% endif %}", REFUSED),
    ("{% if true %}{{ super.x }}{% endif %}", REFUSED),
    ("{% if true %}{{ request.out }}{{ config.out }}{{ os.out }}{{ __import__ }}{% endif %}", REFUSED),
    ("{% if true %}{{ loop.index }}{% endif %}", ""),
    ("{% set loop = 1 %}", REFUSED),
    ("{% set system = 1 %}", REFUSED),
    ("{% if true %}{{ __builtins__ }}{{ t_1 }}{{ l_0_a }}{{ n_a }}{% endif %}", REFUSED),
    # tags
    ("{% include '/etc/passwd' %}", REFUSED),
    ("{% import 'os' as os %}", REFUSED),
    ("{% from 'os' import system %}", REFUSED),
    ("{% extends '/etc/passwd' %}", REFUSED),
    ("{% block x %}{% endblock %}", REFUSED),
    ("{% macro m() %}{{ caller() }}{% endmacro %}", REFUSED),
    ("{% call x() %}{% endcall %}", REFUSED),
    ("{% filter upper %}x{% endfilter %}", REFUSED),
    ("{% with x = 1 %}{% endwith %}", REFUSED),
    ("{% set x %}block{% endset %}", REFUSED),
    ("{% autoescape true %}x{% endautoescape %}", REFUSED),
    ("{% do a.out.l.append(1) %}", REFUSED),
    ("{% debug %}", REFUSED),
    ("{% trans %}x{% endtrans %}", REFUSED),
    # filters and tests of unrestricted Jinja
    ("{% if true %}{{ a.out.s | attr('__class__') }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.f | format(a.out.s) }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.l | map(attribute='__class__') }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.l | map('attr', '__class__') }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.l | select('callable') }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.s | xmlattr }}{{ a.out.s | pprint }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.s | _each }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.s | upper(*a.out.l) }}{% endif %}", REFUSED),
    ("{% if true %}{{ a.out.s | upper(**a.out.o) }}{% endif %}", REFUSED),
    ("{% if a.out.s is callable %}{% endif %}", REFUSED),
    ("{% if a.out.s is sameas none %}{% endif %}", REFUSED),
    ("{% if a.out.s is filter %}{% endif %}", REFUSED),
    # formatting with `%`, and data that look like a template
    ("{% set x = '%s' %}{{ 5 % 3 }}", "2"),
    ("{% if true %}{{ a.out.t }}{% endif %}", "{{ 7*7 }}{% for x in [1] %}{{ x }}{% endfor %}"),
    (
        "{% if true %}{{ a.out.t | replace('7*7', 'a.out.s') }}{% endif %}",
        "{{ a.out.s }}{% for x in [1] %}{{ x }}{% endfor %}",
    ),
    ("{% if true %}{{ '{{ a.out.s }}' }}{% endif %}", "{{ a.out.s }}"),
    ("{% raw %}{{ a.out.s.__class__ }}{% endraw %}", "{{ a.out.s.__class__ }}"),
    ("{% if true %}{{ a.out.f }}{% endif %}", "{0.__class__.__mro__}"),
]

#: Templates that fail at run time instead of disclosing anything.
FAILING = [
    "{% if true %}{{ a.out.f % a.out.s }}{% endif %}",
    "{% if true %}{{ '%c' % 99999999999 }}{% endif %}",
    "{% for x in a.out.s %}{{ x }}{% endfor %}",
    "{% for k, v in a.out.l %}{% endfor %}",
    "{% if a.out.s < 1 %}{% endif %}",
    "{% if true %}{{ 1 / 0 }}{% endif %}",
    "{% if true %}{{ -a.out.s }}{% endif %}",
    "{% if true %}{{ a.out.s | round }}{% endif %}",
]

_BIG = "{% set b = a.out.big %}"
#: Name -> (template, data of `a.out`). Each one ends within the limits and without output.
RESOURCES: dict[str, tuple[str, object]] = {
    "loops in loops": (
        "{% set l = a.out %}{% for a1 in l %}{% for b1 in l %}{% for c1 in l %}{% for d1 in l %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        list(range(1_000)),
    ),
    "a loop that writes": ("{% for x in a.out %}{% for y in a.out %}0123456789{% endfor %}{% endfor %}", [0] * 2_000),
    "one text written again and again": (
        "{% for x in a.out.l %}{{ a.out.s }}{% endfor %}",
        {"s": "x" * 100_000, "l": [0] * 5_000},
    ),
    "a text over a mebibyte": ("{% if true %}{{ a.out }}{% endif %}", "é" * 600_000),
    "text times number": ("{% if true %}{{ 'x' * 100000000 }}{% endif %}", None),
    "list times number": ("{% if true %}{{ [1] * 100000000 }}{% endif %}", None),
    "text that doubles": ("{% set x = a.out %}" + "{% set x = x ~ x %}" * 40 + "{{ x | length }}", "x" * 100),
    "text that doubles with plus": ("{% set x = a.out %}" + "{% set x = x + x %}" * 40 + "{{ x | length }}", "x" * 100),
    "list that doubles": ("{% set x = [1] %}" + "{% set x = x + x %}" * 40 + "{{ x | length }}", None),
    "list in a list in a list": ("{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}", None),
    "number that squares": ("{% set x = 9 %}" + "{% set x = x * x %}" * 60 + "{{ x }}", None),
    "power": ("{% if true %}{{ 9 ** 9 ** 9 }}{% endif %}", None),
    "replace that grows": (
        "{% set x = a.out %}" + "{% set x = x | replace('x', 'xxxxxxxxxx') %}" * 12 + "{{ x | length }}",
        "x" * 100,
    ),
    "replace of nothing": ("{% if true %}{{ a.out | replace('', a.out) }}{% endif %}", "x" * 20_000),
    "join that grows": (
        "{% if true %}{{ a.out.l | join(a.out.s) }}{% endif %}",
        {"s": "x" * 100_000, "l": [0] * 10_000},
    ),
    "json of json": ("{% set x = a.out %}" + "{% set x = x | json %}" * 40 + "{{ x | length }}", '"\\'),
    "wide conditions": ("{% if true " + "and true " * 2_000 + "%}x{% endif %}", None),
    "deep brackets": ("{% if true %}{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}{% endif %}", None),
    "deep lists": ("{% if true %}{{ " + "[" * 500 + "]" * 500 + " }}{% endif %}", None),
    "deep conditions": ("{% if true %}" * 500 + "{% endif %}" * 500, None),
    "deep not": ("{% if " + "not " * 4_000 + "true %}{% endif %}", None),
    "a long chain": ("{% if a.out" + ".a" * 9_000 + " %}{% endif %}", None),
    "a long template": ("{% if true %}" + "x" * 60_000 + "{% endif %}", None),
    "many parts": ("{% if true %}" + "{{1~2}}" * 2_500 + "{% endif %}", None),
    "a number of many digits": ("{% if true %}{{ " + "9" * 10_000 + " }}{% endif %}", None),
    "a float without end": ("{% if true %}{{ 1e308 * 10 }}{% endif %}", None),
    "loops five deep": (
        "{% for a1 in a.out %}" * 5 + "x" + "{% endfor %}" * 5,
        [0] * 10,
    ),
    "sorting a long list again and again": (
        "{% for x in a.out %}{% set y = a.out | sort %}{% endfor %}",
        list(range(20_000)),
    ),
    "more data than it may have": ("{% if true %}{{ a.out | length }}{% endif %}", "x" * (17 << 20)),
    "unclosed": ("{% for x in a.out %}" * 900, []),
}
