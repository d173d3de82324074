"""Cases of the nodes that use external resources: web pages and services, models, datasets, other flows."""

from __future__ import annotations

from tests.engine.documents import made_files as made
from tests.engine.documents.made_files import Sent
from tests.engine.nodes.node_case import GIVEN, SITE, Case, Fails, Problem, bad, good, odd
from tests.stand_ins.openai_server import Said
from tests.stand_ins.web_site import Page

URL = {"url": GIVEN}
FILE = {"file": GIVEN}
ODD = "{{ 7*7 }} {% for x in y %} Grüße 你好 \U0001f980"
BY_NAME = {"dataset": "Goods", "column": "name"}
GOODS = [{"id": 1, "name": "Rye", "kind": "bread"}, {"id": 2, "name": "Cake", "kind": "sweet"}]
BREAD = {"rules": [{"field": "kind", "value": "bread"}]}
FACTS = [{"name": "city", "type": "string", "required": True}, {"name": "people", "type": "integer"}]
BOX = {"model": "box:small-model", "max_cost_usd": None}
ASKED = {"message": GIVEN}
GREET = {"kind": "flow", "flow_id": "flow_1", "version": 1, "name": "greet", "description": "Greets our people by name"}
HTML = "text/html; charset=utf-8"
PAGES: dict[str, str | bytes | Page] = {
    "/robots.txt": Page("User-agent: *\nDisallow: /closed", content_type="text/plain"),
    "/": f'<html lang=de><title>Start</title><main><h1>Start</h1><p>{ODD}</p><a href="/a">A</a> <a href="/b">B</a></main>',
    "/a": "<title>A</title><main><p class=price>5</p></main>",
    "/b": "<title>B</title><main>Words</main>",
    "/empty": "",
    "/busy": Page("busy", 503, content_type="text/plain"),
    "/picture": Page(b"\x89PNG", content_type="image/png"),
    "/table": Page("PK", content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "/scripts": '<body><div id="root"></div><script src="/app.js"></script></body>',
    "/tangled": "<div>" * 20_000,
    "/data": Page('{"n": 1, "t": "Grüße"}', content_type="application/json"),
    "/infinite": Page('{"n": 1e999}', content_type="application/json"),
    "/deep": Page("[" * 100 + "]" * 100, content_type="application/json"),
    "/none": Page("", 204),
    "/refuses": Page('{"error": "no such item"}', 422, content_type="application/json"),
}


def written(action: str, **row: object) -> dict:
    return {"action": action, "row": row}


CASES: dict[str, list[Case]] = {
    "page_scraper": [
        good("title, text and links", {"title": "Start", "language": "de", "status": 200, "text": f"Start\n\n{ODD}\n\nA B", "links": [{"url": f"{SITE}/a", "text": "A"}, {"url": f"{SITE}/b", "text": "B"}]}, f"{SITE}/", inputs=URL, only=("title", "language", "status", "text", "links")),
        good("what a selector matches", {"matches": ["5"]}, f"{SITE}/a", config={"content": "selector", "selector": ".price"}, inputs=URL, only=("matches",)),
        odd("blanks around the address", {"url": f"{SITE}/b", "text": "Words"}, f"  {SITE}/b\n", inputs=URL, only=("url", "text")),
        odd("an empty page", {"text": "", "title": "", "links": []}, f"{SITE}/empty", inputs=URL, only=("text", "title", "links")),
        odd("a document that is no page", {"text": '{"n": 1, "t": "Grüße"}', "html": ""}, f"{SITE}/data", inputs=URL, only=("text", "html")),
        odd("a selector that matches nothing", {"matches": []}, f"{SITE}/b", config={"content": "selector", "selector": ".x"}, inputs=URL, only=("matches",), warns=("Nothing on the page matches `.x`.",)),
        bad("a page that is not there", Fails("`http://site.test/gone` answered 404 (Not Found).", "There is nothing at this address.", "Check the address. To go on without such pages, choose a default value or “Skip this step” under “If it fails”."), f"{SITE}/gone", inputs=URL),
        bad("a page that robots.txt closes", Fails("`http://site.test/closed` was not read: the site's robots.txt closes it to programs.", "The owner of a site decides there which pages programs may read.", "Use another page, or switch off “Respect robots.txt” if you have the site's permission."), f"{SITE}/closed", inputs=URL),
        bad("a server that fails", Fails("`http://site.test/busy` answered 503 (Service Unavailable).", "It said: busy", "Try again later."), f"{SITE}/busy", inputs=URL),
        bad("a picture", Fails("`http://site.test/picture` is not a web page but a file of the type image/png.", "This node reads HTML and other text.", "Use the address of a page. A flow takes a file in a field of the type File."), f"{SITE}/picture", inputs=URL),
        bad("a table", Fails("`http://site.test/table` is not a web page but a file of the type application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.", "This node reads HTML and other text.", "Use the address of a page. A flow takes a file in a field of the type File."), f"{SITE}/table", inputs=URL),
        bad("a page that scripts draw", Fails("`http://site.test/scripts` has no text of its own: scripts draw it in the browser.", "Without a browser, Flowport reads what the server sends and runs no scripts.", "Switch on “Open in a browser” in this node, or ask the site's API with an HTTP Request node."), f"{SITE}/scripts", inputs=URL),
        bad("a page made to hurt", Fails("`http://site.test/tangled` cannot be read: its HTML is broken in a way that is not safe to read.", "Thousands of its elements are never closed.", "Use another page of the site."), f"{SITE}/tangled", inputs=URL),
        bad("an address inside", Fails("`http://10.0.0.1/` is not opened: it leads into a private or reserved network. The owner of this server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW), for example with `10.0.0.1:80`.", "", ""), "http://10.0.0.1/", inputs=URL),
        bad("no whole address", Fails("`example.com` is not a full web address. Begin it with https://.", "", ""), "example.com", inputs=URL),
        bad("an address that is a list", Fails('`["https://a.example/"]` is not a full web address. Begin it with https://.', "", ""), ["https://a.example/"], inputs=URL),
        bad("null", Fails("Web address has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, inputs=URL),
        bad("a selector that cannot be read", Problem("/config/selector", "`[` is not a CSS selector. Write it as in a style sheet, like `.price` or `article h2`."), config={"content": "selector", "selector": "["}, inputs=URL),
        bad("a content that is none", Problem("/config/content", "“Content” must be 'main', 'page' or 'selector', but is the text `all`."), config={"content": "all"}, inputs=URL),
        bad("nothing bound", Problem("/inputs/url", "“Page Scraper” is not ready yet: fill in “Web address”.")),
    ],
    "website_mapper": [
        good("the pages in the order of their links", {"urls": [f"{SITE}/", f"{SITE}/a", f"{SITE}/b"], "total_pages": 3, "crawl_depth": 1}, f"{SITE}/", config={"delay_seconds": 0}, inputs=URL),
        good("the start page alone", {"urls": [f"{SITE}/"], "total_pages": 1, "crawl_depth": 0}, f"{SITE}/", config={"max_depth": 0}, inputs=URL),
        odd("a page without links", {"urls": [f"{SITE}/b"], "total_pages": 1, "crawl_depth": 0}, f" {SITE}/b#part", config={"delay_seconds": 0}, inputs=URL),
        odd("patterns that leave nothing", {"urls": [], "total_pages": 0, "crawl_depth": 0}, f"{SITE}/", config={"delay_seconds": 0, "exclude": ["*"]}, inputs=URL, warns=("No page is listed: none matches the patterns under Only and Leave out.",)),
        bad("a start page that is not there", Fails("`http://site.test/gone` answered 404 (Not Found).", "There is nothing at this address.", "Check the address of the start page."), f"{SITE}/gone", inputs=URL),
        bad("a start page that robots.txt closes", Fails("`http://site.test/closed` was not read: the site's robots.txt closes it to programs.", "The owner of a site decides there which pages programs may read.", "Use another page, or switch off “Respect robots.txt” if you have the site's permission."), f"{SITE}/closed", inputs=URL),
        bad("a server that fails", Fails("`http://site.test/busy` answered 503 (Service Unavailable).", "It said: busy", "Try again later."), f"{SITE}/busy", config={"delay_seconds": 0}, inputs=URL),
        bad("a picture", Fails("`http://site.test/picture` is not a web page but a file of the type image/png.", "The search follows the links of web pages.", "Use the address of the site's first page."), f"{SITE}/picture", inputs=URL),
        bad("a table", Fails("`http://site.test/table` is not a web page but a file of the type application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.", "The search follows the links of web pages.", "Use the address of the site's first page."), f"{SITE}/table", inputs=URL),
        bad("an address inside", Fails("`http://10.0.0.1/` is not opened: it leads into a private or reserved network. The owner of this server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW), for example with `10.0.0.1:80`.", "", ""), "http://10.0.0.1/", inputs=URL),
        bad("no whole address", Fails("`example.com` is not a full web address. Begin it with https://.", "", ""), "example.com", inputs=URL),
        bad("deeper than there is", Problem("/config/max_depth", "“Depth” must be at most 10, but is 11."), config={"max_depth": 11}, inputs=URL),
        bad("a delay in words", Problem("/config/delay_seconds", "“Delay” must be a number, but is the text `a second`."), config={"delay_seconds": "a second"}, inputs=URL),
        bad("a pattern too long", Problem("/config/include/0", "This pattern is too long: at most 500 characters."), config={"include": ["x" * 501]}, inputs=URL),
    ],
    "html_text_extractor": [
        good("the text of a part", {"text": "One [two](/2)", "title": "T", "length": 13}, '<title>T</title><nav>no</nav><main>One <a href="/2">two</a></main>', config={"selector": "main", "keep_links": True}, inputs={"html": GIVEN}),
        good("without what is left out", {"text": "Words", "title": "", "length": 5}, "<p>Words<p class=ad>Buy", config={"drop": [".ad"]}, inputs={"html": GIVEN}),
        odd("an empty text", {"text": "", "title": "", "length": 0}, "", inputs={"html": GIVEN}),
        odd("plain words", {"text": ODD, "title": "", "length": len(ODD)}, ODD, inputs={"html": GIVEN}),
        odd("a number", {"text": "5", "title": "", "length": 1}, 5, inputs={"html": GIVEN}),
        odd("a long text", {"text": "word", "length": 499_999}, "<p>" + "word " * 100_000, config={"max_chars": 4}, inputs={"html": GIVEN}, only=("text", "length")),
        odd("no match", {"text": "", "title": "", "length": 0}, "<p>a", config={"selector": ".x"}, inputs={"html": GIVEN}, warns=("Nothing in the HTML matches `.x`.",)),
        bad("HTML made to hurt", Fails("The HTML cannot be read: it is broken in a way that is not safe to read.", "Thousands of its elements are never closed.", "Use other HTML, or a smaller part of it."), "<div>" * 20_000, inputs={"html": GIVEN}),
        bad("null", Fails("HTML has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, inputs={"html": GIVEN}),
        bad("a selector that cannot be read", Problem("/config/drop/1", "`p >` is not a CSS selector. Write it as in a style sheet, like `.price` or `article h2`."), config={"drop": ["nav", "p >"]}, inputs={"html": GIVEN}),
        bad("a text shorter than a letter", Problem("/config/max_chars", "“Longest text” must be at least 1, but is 0."), config={"max_chars": 0}, inputs={"html": GIVEN}),
    ],
    "http_request": [
        good("JSON as data", {"status": 200, "body": '{"n": 1, "t": "Grüße"}', "json": {"n": 1, "t": "Grüße"}}, f"{SITE}/data", inputs=URL, only=("status", "body", "json")),
        good("an error status as data", {"status": 503, "json": None}, f"{SITE}/busy", config={"fail_on_status": False}, inputs=URL, only=("status", "json")),
        odd("an answer without a body", {"status": 204, "body": "", "json": None}, f"{SITE}/none", inputs=URL, only=("status", "body", "json")),
        odd("JSON that no flow can hold is text", {"body": '{"n": 1e999}', "json": None}, f"{SITE}/infinite", inputs=URL, only=("body", "json")),
        odd("JSON nested too deep is text", {"body": "[" * 100 + "]" * 100, "json": None}, f"{SITE}/deep", inputs=URL, only=("body", "json")),
        odd("null in headers and query is left out", {"status": 200}, None, inputs={"url": f"{SITE}/data", "headers": {"X-A": GIVEN}, "query": {"q": GIVEN}}, only=("status",)),
        odd("half a character", {"status": 200}, "Half \ud83d", config={"method": "POST"}, inputs={"url": f"{SITE}/data", "headers": {"X-A": GIVEN}, "query": {"q": GIVEN}, "body": {"a": GIVEN}}, only=("status",)),
        odd("a query of every script", {"status": 200}, ODD, inputs={"url": f"{SITE}/data", "query": {"q": GIVEN}}, only=("status",)),
        bad("an error status", Fails("`http://site.test/refuses` answered 422 (Unprocessable Entity).", 'It said: {"error": "no such item"}', "Check the address and what is sent to it."), f"{SITE}/refuses?key=hidden", inputs=URL),
        bad("a server that fails", Fails("`http://site.test/busy` answered 503 (Service Unavailable).", "It said: busy", "Try again later."), f"{SITE}/busy", inputs=URL),
        bad("a page that is not there", Fails("`http://site.test/gone` answered 404 (Not Found).", "There is nothing at this address.", "Check the address and what is sent to it."), f"{SITE}/gone", inputs=URL),
        bad("an address inside", Fails("`http://169.254.169.254/latest/meta-data/` is not opened: it leads into a private or reserved network. The owner of this server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW), for example with `169.254.169.254:80`.", "", ""), "http://169.254.169.254/latest/meta-data/", inputs=URL),
        bad("no whole address", Fails("`example.com` is not a full web address. Begin it with https://.", "", ""), "example.com", inputs=URL),
        bad("another kind of address", Fails("`ftp://example.com/` is not opened: only http:// and https:// addresses are. Change how it begins.", "", ""), "ftp://example.com/", inputs=URL),
        bad("headers that are no object", Fails("“Headers” must be a group of values, but is the text `X-A: 1`.", "The data chosen for it was of another kind in this run.", "Choose data that fits: this step's input shows what came, the step before what it has."), "X-A: 1", inputs={"url": f"{SITE}/data", "headers": GIVEN}),
        bad("a header that cannot be sent", Fails("The header `X-A` cannot be sent: its value holds a line break or a zero character. Take it out of the value.", "", ""), "a\r\nB: c", inputs={"url": f"{SITE}/data", "headers": {"X-A": GIVEN}}),
        bad("a header whose name ends a line", Fails("`X-A\n` cannot be the name of a header. Use letters, digits and hyphens.", "", ""), f"{SITE}/data", inputs={"url": GIVEN, "headers": {"X-A\n": "1"}}),
        bad("a secret that was deleted", Fails("There is no such secret.", "It was deleted.", "Choose another one."), f"{SITE}/data", config={"secret_headers": {"X-Key": "sec_2"}}, inputs=URL),
        bad("a header without its secret", Problem("/config/secret_headers", "Choose the secret for the header `X-Key`."), config={"secret_headers": {"X-Key": ""}}, inputs=URL),
        bad("a method that is none", Problem("/config/method", "“Method” must be 'GET', 'POST', 'PUT', 'PATCH', 'DELETE' or 'HEAD', but is the text `FETCH`."), config={"method": "FETCH"}, inputs=URL),
    ],
    "read_document": [
        good("the text of a PDF", {"text": "General terms of delivery.", "pages": [{"number": 2, "text": "General terms of delivery."}], "page_count": 2, "title": "Invoice 2041", "name": "bill.pdf", "media_type": "application/pdf"}, Sent("bill.pdf", made.INVOICE), config={"pages": "last"}, inputs=FILE, only=("text", "pages", "page_count", "title", "name", "media_type")),
        good("the rows of a table in Word", {"tables": [{"title": "Table 1", "page": 1, "columns": ["Day", "Opens"], "rows": [{"Day": "Monday", "Opens": "7:00"}, {"Day": "Sunday", "Opens": "8:30"}]}]}, Sent("hours.docx", made.WORD), config={"as": "tables"}, inputs=FILE, only=("tables",)),
        odd("another script, and data that looks like a template", {"text": ODD, "layout": "", "pages": [{"number": 1, "text": ODD}], "page_count": 1, "title": "", "name": "Größe {{ 7*7 }}.txt", "media_type": "text/plain", "truncated": False}, Sent("Größe {{ 7*7 }}.txt", ODD.encode()), inputs=FILE),
        bad("no table in it", Fails("“a.txt” holds no table.", "The step gives back the tables of a file, and none was found on the pages that it reads.", "Send a file with a table, like Excel or CSV, or choose Text under Give back."), Sent("a.txt", b"words"), config={"as": "tables"}, inputs=FILE),
        bad("a text that is no file", Fails("File takes a file.", "What came in this run is the text “C:\\bill.pdf”.", "Choose data that is a file, like a field of the type File of API Input."), "C:\\bill.pdf", inputs=FILE),
        bad("a scanned page", Fails("“scan.pdf” has no text: its pages are pictures.", "It was probably scanned or photographed.", "Give the file to a Prompt node: a model that sees pictures can look at its pages."), Sent("scan.pdf", made.scanned_pdf()), inputs=FILE),
        bad("pages that are not there", Fails("“bill.pdf” has 2 pages, and none of them is in “5-6”.", "", "Change Pages in the node, or leave it empty."), Sent("bill.pdf", made.INVOICE), config={"pages": "5-6"}, inputs=FILE),
        bad("pages that are none", Problem("/config/pages", "`two` names no pages. Write pages like `1-3, 5`, `4-` for the fourth and all after it, or `last`."), config={"pages": "two"}, inputs=FILE),
    ],
    "prompt": [
        good("text", "It is large.", "Paris", config={"model": "box:small-model"}, inputs={"prompt": f"How is {GIVEN}?"}, says=("It is large.",)),
        good("an object", {"city": "Paris", "people": 2_000_000}, "Paris", config={"model": "box:small-model", "output_fields": FACTS}, inputs={"prompt": GIVEN}, says=('{"city": "Paris", "people": 2000000}',)),
        good("the Simulated model", {"city": "Paris has 5 people.", "people": 5}, "Paris has 5 people.", config={"model": "simulated", "output_fields": FACTS}, inputs={"prompt": GIVEN}),
        odd("an answer is no template", ODD, ODD, config={"model": "box:small-model"}, inputs={"prompt": GIVEN}, says=(ODD,)),
        odd("half a character", "Half.", "Half \ud83d", config={"model": "box:small-model"}, inputs={"prompt": GIVEN, "system": GIVEN}, says=("Half.",)),
        odd("data as the prompt", "Two.", [1, 2], config={"model": "box:small-model"}, inputs={"prompt": GIVEN}, says=("Two.",)),
        odd("null for a field that may be missing", {"city": "Paris", "people": None}, "Paris", config={"model": "box:small-model", "output_fields": FACTS}, inputs={"prompt": GIVEN}, says=('{"city": "Paris", "people": null}',)),
        odd("an answer mended when it is told what is wrong", {"city": "Paris", "people": None}, "Paris", config={"model": "box:small-model", "output_fields": FACTS}, inputs={"prompt": GIVEN}, says=("Paris", '{"city": "Paris"}')),
        bad("an answer that never fits", Fails("small-model gave no object that fits the output fields, in 2 attempts.", "Last answer: /city: missing; /people: expected a whole number, got a string.", "Describe the fields more clearly, ask for fewer, or choose a stronger model."), "Paris", config={"model": "box:small-model", "output_fields": FACTS, "max_attempts": 2}, inputs={"prompt": GIVEN}, says=("Paris", '{"people": "many"}')),
        bad("a number that is none", Fails("small-model gave no object that fits the output fields, in one attempt.", "Last answer: The answer holds no JSON object that can be read.", "Describe the fields more clearly, ask for fewer, or choose a stronger model."), "Paris", config={"model": "box:small-model", "output_fields": [{"name": "people", "type": "number"}], "max_attempts": 1}, inputs={"prompt": GIVEN}, says=('{"people": 1e999}',)),
        bad("an empty prompt", Fails("The prompt is empty.", "There was no text in it, and the data in it was empty in this run.", "Write what the model should do."), " ", config={"model": "box:small-model"}, inputs={"prompt": GIVEN}),
        bad("null", Fails("Prompt has no value.", "The value chosen for it was empty in this run.", "Choose data that is always there, or give the field a default value."), None, config={"model": "box:small-model"}, inputs={"prompt": GIVEN}),
        bad("no model", Problem("/config/model", "Choose a model, or the Simulated model to try the flow without one."), inputs={"prompt": GIVEN}),
        bad("a model without its connection", Problem("/config/model", "A model is written as `CONNECTION:model-name`, or `simulated`."), config={"model": "gpt"}, inputs={"prompt": GIVEN}),
        bad("hotter than there is", Problem("/config/temperature", "“Temperature” must be at most 2, but is 3."), config={"model": "simulated", "temperature": 3}, inputs={"prompt": GIVEN}),
        bad("a field twice", Problem("/config/output_fields/1/name", "Two fields are named `city`."), config={"model": "simulated", "output_fields": [FACTS[0], FACTS[0]]}, inputs={"prompt": GIVEN}),
    ],
    "agent": [
        good("an answer without a tool", "It is large.", "How is Paris?", config=BOX, inputs=ASKED, says=("It is large.",)),
        good("what a flow says", "It said hello.", "Greet Ann", config={**BOX, "tools": [GREET]}, inputs=ASKED, says=(Said(calls=(("greet", {"name": "Ann"}),)), "It said hello.")),
        good("an object, from a dataset", {"city": "Oslo", "people": 5}, "Where?", config={**BOX, "tools": [{"kind": "dataset", "dataset": "Goods"}], "output_fields": FACTS}, inputs=ASKED, says=(Said(calls=(("look_up_goods", {"text": "rye"}),)), '{"city": "Oslo", "people": 5}')),
        good("the Simulated model uses a tool that fits", "Made up by the Simulated model from what the tools found.\n\nGreet: output: Hello Ann", "Greet our Ann", config={"model": "simulated", "tools": [GREET]}, inputs=ASKED),
        odd("an answer is no template", ODD, ODD, config=BOX, inputs=ASKED, says=(ODD,)),
        odd("calls that go wrong end nothing", "So be it.", "Greet", config={**BOX, "tools": [GREET]}, inputs=ASKED, says=(Said(calls=(("greet", {"nam": 1}), ("greet", "no JSON"), ("nothing", {}))), "So be it.")),
        odd("data as the message", "Two.", [1, 2], config=BOX, inputs=ASKED, says=("Two.",)),
        odd("the last step", "Enough.", "Greet", config={**BOX, "tools": [GREET], "max_steps": 2}, inputs=ASKED, says=(Said(calls=(("greet", {"name": "A"}),)), "Enough."), warns=("It was asked 2 times, which is its limit, so it answered with what it had found.",)),
        bad("no end of calls", Fails("The agent reached its limit of 2 steps without an answer, after 2 replies of its model and 1 call of tools.", "Its model asked for another tool each time.", "Allow more steps, make the instructions clearer, or give it fewer tools."), "Greet", config={**BOX, "tools": [GREET], "max_steps": 2}, inputs=ASKED, says=(Said(calls=(("greet", {"name": "A"}),)), Said(calls=(("greet", {"name": "B"}),)))),
        bad("an empty message", Fails("The message is empty.", "There was no text in it, and the data in it was empty in this run.", "Write what the agent is asked."), " ", config=BOX, inputs=ASKED),
        bad("a dataset that is not there", Fails("No dataset with the id `Bads`.", "This was not found.", "The page Datasets lists them all."), "Hi", config={**BOX, "tools": [{"kind": "dataset", "dataset": "Bads"}]}, inputs=ASKED),
        bad("no model", Problem("/config/model", "Choose a model, or the Simulated model to try the flow without one."), inputs=ASKED),
        bad("a tool without its flow", Problem("/config/tools/0/flow_id", "Agent, tool 1: Choose the flow that the agent may run."), config={**BOX, "tools": [{"kind": "flow"}]}, inputs=ASKED),
        bad("a host that the model would choose", Problem("/config/tools/0/address", "Agent, tool 1: the address begins with https:// and a host, like https://api.example.com/orders/{order}. The model cannot fill in the host."), config={**BOX, "tools": [{"kind": "http", "address": "https://{host}/x"}]}, inputs=ASKED),
        bad("a host with a letter that no host has", Problem("/config/tools/0/address", "Agent, tool 1: the address begins with https:// and a host, like https://api.example.com/orders/{order}. The model cannot fill in the host."), config={**BOX, "tools": [{"kind": "http", "address": "https://exa\u2100mple.com/x"}]}, inputs=ASKED),
        bad("two tools of one name", Problem("/config/tools/1/name", "Agent: tools 1 and 2 are both called `greet`. Give one of them another name."), config={**BOX, "tools": [GREET, GREET]}, inputs=ASKED),
        bad("steps that are none", Problem("/config/max_steps", "“Most steps” must be at least 1, but is 0."), config={**BOX, "max_steps": 0}, inputs=ASKED),
    ],
    "dataset_source": [
        good("all rows", GOODS, config={"dataset": "Goods"}),
        good("rows that fit", GOODS[:1], config={"dataset": "Goods", **BREAD}),
        odd("fewer rows than asked for", GOODS, config={"dataset": "Goods", "take": "first", "count": 99}),
        odd("rows without the field do not fit", [], config={"dataset": "Goods", "rules": [{"field": "colour", "value": "你"}]}),
        bad("a dataset that is not there", Fails("No dataset with the id `Bads`.", "This was not found.", "The page Datasets lists them all."), config={"dataset": "Bads"}),
        bad("no dataset", Problem("/config/dataset", "Choose a dataset.")),
        bad("no rows at all", Problem("/config/count", "“How many” must be at least 1, but is 0."), config={"dataset": "Goods", "take": "first", "count": 0}),
        bad("rows that nobody can take", Problem("/config/take", "“Take” must be 'all', 'first' or 'random', but is the text `last`."), config={"dataset": "Goods", "take": "last"}),
    ],
    "look_up_row": [
        good("a row that fits", {"by": "yes", "value": GOODS[0]}, "Rye", config=BY_NAME, inputs={"value": GIVEN}),
        good("no row that fits", {"by": "no", "value": None}, "Bun", config=BY_NAME, inputs={"value": GIVEN}),
        odd("a number as text", {"by": "yes", "value": GOODS[1]}, "2.0", config={**BY_NAME, "column": "id"}, inputs={"value": GIVEN}),
        odd("an empty value", {"by": "no", "value": None}, " ", config=BY_NAME, inputs={"value": GIVEN}),
        odd("data is no source", {"by": "no", "value": None}, ODD, config=BY_NAME, inputs={"value": GIVEN}),
        bad("a column that is not there", Fails("Goods has no column `colour`.", "It was renamed or removed, or the name is misspelt.", "Choose the column to compare anew."), "Rye", config={**BY_NAME, "column": "colour"}, inputs={"value": GIVEN}),
        bad("a dataset that is not there", Fails("No dataset with the id `Bads`.", "This was not found.", "The page Datasets lists them all."), "Rye", config={**BY_NAME, "dataset": "Bads"}, inputs={"value": GIVEN}),
        bad("no dataset", Problem("/config/dataset", "Choose a dataset."), config={"column": "name"}, inputs={"value": GIVEN}),
        bad("no column", Problem("/config/column", "Choose the column to compare, in which the value is looked for."), config={"dataset": "Goods"}, inputs={"value": GIVEN}),
        bad("no value", Problem("/inputs/value", "“Look up a row” is not ready yet: fill in “Value”."), config=BY_NAME),
    ],
    "dataset_sink": [
        good("a row more", written("added", id=7, name="Bun"), 7, config={"dataset": "Kept"}, inputs={"id": GIVEN, "name": "Bun"}),
        good("added by its key", written("added", id="new", name="Tart"), "new", config={"dataset": "Kept", "mode": "upsert", "key_column": "id"}, inputs={"id": GIVEN, "name": "Tart"}),
        odd("no row with this key", written("not_found", id="nobody"), "nobody", config={"dataset": "Kept", "mode": "update", "key_column": "id"}, inputs={"id": GIVEN}, warns=("No row has this value in `id`, so nothing was written.",)),
        odd("null and data of any kind", written("added", a=ODD, b=[None, {"c": ODD}]), ODD, config={"dataset": "Kept"}, inputs={"a": GIVEN, "b": [None, {"c": GIVEN}]}),
        bad("a row without its key", Fails("`id` is the column to compare, but this row has no value in it.", "What was sent is not valid.", "Fill in `id` in “Save rows” with data that is always there."), None, config={"dataset": "Kept", "mode": "upsert", "key_column": "id"}, inputs={"id": GIVEN}),
        bad("a dataset that is not there", Fails("No dataset with the id `Bads`.", "This was not found.", "The page Datasets lists them all."), 1, config={"dataset": "Bads"}, inputs={"id": GIVEN}),
        bad("a name too long for a column", Fails("A column's name has 300 characters.", "What was sent is not valid.", "Give every column a name of 1 to 200 characters."), 1, config={"dataset": "Kept"}, inputs={"x" * 300: GIVEN}),
        bad("no dataset", Problem("/config/dataset", "Choose a dataset."), inputs={"id": GIVEN}),
        bad("no columns", Problem("/inputs", "Fill in at least one column of the row."), config={"dataset": "Kept"}),
        bad("no key column", Problem("/config/key_column", "Choose the column to compare, which tells the row that is meant."), config={"dataset": "Kept", "mode": "update"}, inputs={"id": GIVEN}),
    ],
    "call_flow": [
        good("the result of the other flow", {"output": "Hello Ann"}, "Ann", config={"flow_id": "flow_1"}, inputs={"name": GIVEN}),
        odd("texts of any script, which are no template", {"output": f"Hello {ODD}"}, ODD, config={"flow_id": "flow_1"}, inputs={"name": GIVEN}),
        odd("an empty text", {"output": "Hello "}, "", config={"flow_id": "flow_1"}, inputs={"name": GIVEN}),
        bad("a value that the other flow refuses", Fails("“Greeting” does not take this input: `name`: expected text, got a number.", "Version 1 of it checks what it is called with like any other call.", "Look at this step's input, and at the API Input of the called flow."), 5, config={"flow_id": "flow_1"}, inputs={"name": GIVEN}),
        bad("a field that it does not have", Fails("“Greeting” does not take this input: `age`: the flow has no field of this name; it has `name`.", "Version 1 of it checks what it is called with like any other call.", "Look at this step's input, and at the API Input of the called flow."), "Ann", config={"flow_id": "flow_1"}, inputs={"name": GIVEN, "age": 5}),
        bad("no flow", Problem("/config/flow_id", "Call Flow calls no flow yet: choose one."), inputs={"name": GIVEN}),
        bad("a version before the first", Problem("/config/version", "“Version” must be at least 1, but is 0."), config={"flow_id": "flow_1", "version": 0}, inputs={"name": GIVEN}),
    ],
}  # fmt: skip
