"""Goals are found in everyday words, and their answers go into real places of their templates."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pydantic import ValidationError

from engine.core.paths import ASSETS
from engine.flow.contract import input_fields, samples_of
from engine.flow.document import Document
from engine.flow.flow_file import parse_flow_file
from engine.flow.goal_search import MOST, NEAREST, find_goals
from engine.flow.goals import (
    BadAnswer,
    Goal,
    Question,
    all_goals,
    answers_in,
    filled,
    first_answers,
    read_answer,
    title_of,
)
from engine.flow.payload_check import check_payload
from engine.flow.validation import deploy_problems, problems
from engine.nodes import CATALOG

GOALS = [pytest.param(goal, id=goal.name) for goal in all_goals().goals]

#: What people say -> the goal that comes first.
PHRASES = {
    "summarise a page": "summarise-a-page",
    "a page's title and a German summary": "page-title-and-summary",
    "sort reviews into good and bad": "sort-reviews",
    "pick prices from a shop": "prices-from-a-shop",
    "list of product pages": "prices-of-pages",
    "table with name and price of several pages, cheapest first": "prices-of-pages",
    "Tabelle mit Name und Preis mehrerer Seiten, günstigste zuerst": "prices-of-pages",
    "translate a text": "translate-a-text",
    "check a list of links": "check-links",
    "answer differently when a text mentions a word": "answer-by-word",
    "classify emails": "classify-emails",
    "extract names from a text": "names-from-a-text",
    "one answer when the text mentions refund, another otherwise": "answer-by-word",
    "five reviews, each positive or negative, with a count": "sort-reviews",
    "I want to shorten articles from the web": "summarise-a-page",
    "summarize text": "summarise-a-text",
    "tl;dr of a long document": "summarise-a-text",
    "summarise several web pages": "summarise-pages",
    "summarise a page every morning": "summarise-a-page",
    "jeden Tag eine Seite zusammenfassen": "summarise-a-page",
    "a report every Monday": "report-about-pages",
    "monthly report in Dutch about https://news.example.com/a.html": "report-about-pages",
    "translate English texts to Japanese": "translate-a-text",
    "write 5 headlines in French from a text": "headlines",
    "summarise a page in Dutch in at most two sentences every 2 hours": "summarise-a-page",
    "a weekly report about pages": "report-about-pages",
    "find dead links": "check-links",
    "get the text of a website": "text-of-a-page",
    "list all links on a page": "links-of-a-page",
    "find phone numbers on a page": "contacts-of-a-page",
    "compare two websites": "compare-two-pages",
    "is it sold out": "sold-out",
    "does a page contain a word": "page-mentions-a-word",
    "list all pages of a site": "pages-of-a-website",
    "sitemap": "pages-of-a-website",
    "answer questions about my company": "answer-from-your-text",
    "chatbot for our handbook": "answer-from-documents",
    "Colleagues ask questions over our company handbook PDF files and see which file the answer comes from": (
        "answer-from-documents"
    ),
    "ask questions over our PDFs": "answer-from-documents",
    "a question about a PDF": "answer-from-documents",
    "question answering over files": "answer-from-documents",
    "find answers in our documents": "answer-from-documents",
    "answer questions from the manual": "answer-from-documents",
    "employees ask about company policies": "answer-from-documents",
    "which file does the answer come from": "answer-from-documents",
    "Fragen zu unseren PDF-Dateien beantworten mit Quelle": "answer-from-documents",
    "Kollegen stellen Fragen an unser Handbuch und sehen die Datei": "answer-from-documents",
    "answer questions from our documents with sources": "answer-from-documents",
    "knowledge base": "answer-from-documents",
    "keep web pages as knowledge": "keep-pages",
    "reply to customer emails": "reply-to-a-message",
    "draft an answer to a complaint": "reply-to-a-message",
    "a person approves before it is sent": "ask-before-sending",
    "write an email from notes": "write-an-email",
    "product descriptions for my shop": "product-description",
    "linkedin post": "social-post",
    "fix spelling mistakes": "correct-a-text",
    "proofread": "correct-a-text",
    "explain in simple words": "plain-words",
    "make a text more polite": "rewrite-a-text",
    "read invoices": "read-an-invoice",
    "invoices (PDF) into a table, ask a person above 1,000": "sort-invoices",
    "sort invoices into a table": "sort-invoices",
    "approve invoices over 1000 euro": "sort-invoices",
    "ask a person when the invoice total is above an amount": "sort-invoices",
    "Rechnungen in eine Tabelle eintragen und ab 1000 Euro jemanden fragen": "sort-invoices",
    "Rechnungen freigeben": "sort-invoices",
    "read a PDF": "text-of-a-file",
    "Text aus einem PDF": "text-of-a-file",
    "excel to json": "table-of-a-file",
    "summarise a word file": "summarise-a-document",
    "several photos described into a table": "describe-pictures",
    "describe pictures into a table": "describe-pictures",
    "describe a photo": "describe-a-picture",
    "cv": "read-an-application",
    "todo list from meeting minutes": "tasks-from-notes",
    "key points of a report": "important-points",
    "hashtags for a text": "keywords-of-a-text",
    "deadlines in a text": "dates-from-a-text",
    "quiz from a text": "quiz-questions",
    "headline ideas": "headlines",
    "sentiment analysis": "positive-or-negative",
    "how angry is a customer": "satisfied-customer",
    "rate texts": "rate-a-text",
    "which language is a text": "language-of-a-text",
    "detect spam comments": "check-comments",
    "urgent tickets": "urgent-or-not",
    "forward messages to the right department": "right-department",
    "email addresses in a text": "find-in-a-text",
    "save contact form messages": "keep-entries",
    "look up a product in my table": "look-up-a-row",
    "products whose name contains a word in my table": "look-up-a-row",
    "look up the sender in my table by e-mail": "find-one-row",
    "find the tenant of an e-mail in my table": "find-one-row",
    "Absender in meiner Tabelle nachschlagen": "find-one-row",
    "look up an article in my price list": "find-one-row",
    "somebody gives an article number, it answers with name, price and whether it is in stock": "find-one-row",
    "somebody gives an article number and gets name, price and stock from my price list; say so in a friendly sentence if the"
    " number is unknown": "find-one-row",
    "Preis zu einer Artikelnummer aus meiner Preisliste": "find-one-row",
    "an assistant with tools": "assistant",
    "three cheapest products": "cheapest",
    "mail merge letter": "fill-a-letter",
    "filter a list by a word": "filter-lines",
    "call another api": "data-from-a-service",
    "difference between two contracts": "compare-two-texts",
    "translate product names": "translate-a-list",
    "sumarise a webpge": "summarise-a-page",
    "Webseite zusammenfassen": "summarise-a-page",
    "Text übersetzen": "translate-a-text",
    "E-Mails sortieren": "classify-emails",
    "Kundenbewertungen sortieren": "sort-reviews",
    "Preise aus einem Shop auslesen": "prices-from-a-shop",
    "Rechnung auslesen": "read-an-invoice",
    "Rechtschreibung korrigieren": "correct-a-text",
    "kaputte Links finden": "check-links",
    "get the name, price and whether it can be delivered from a product page address": "details-of-a-page",
    "name, price and delivery of a product page": "details-of-a-page",
    "read a product page and give me name and price": "details-of-a-page",
    "pull facts out of a web page": "details-of-a-page",
    "what is the date and place of an event on a page": "details-of-a-page",
    "Lieferzeit und Preis einer Produktseite auslesen": "details-of-a-page",
    "get the address and phone number of a company from its website": "contacts-of-a-page",
    "sort customer messages into complaints and questions": "classify-emails",
    "Kundennachrichten in Beschwerden und Fragen sortieren": "classify-emails",
    "is a message a complaint or a question": "classify-emails",
    "sort incoming mail by topic": "classify-emails",
    "answer complaints politely": "reply-to-a-message",
    "find order numbers in emails": "find-in-a-text",
    "tell if a message is a reservation, cancellation or lost property": "classify-emails",
    "date": "dates-from-a-text",
    "Daten von einem Dienst holen": "data-from-a-service",
    "turn a PDF invoice into a table row": "sort-invoices",
    "sum": "add-up-rows",
    "add up": "add-up-rows",
    "total of a list": "add-up-rows",
    "total of a table": "add-up-rows",
    "weekly sum": "add-up-rows",
    "how much in all": "add-up-rows",
    "how much did we spend in all": "add-up-rows",
    "Add up the totals of a table": "add-up-rows",
    "Summen einer Tabelle": "add-up-rows",
    "sum up a document": "summarise-a-text",
    "sum up a web page": "summarise-a-page",
    "add invoices to a table": "sort-invoices",
    "answer questions of tenants from our house rules": "answer-from-documents",
    "house rules": "answer-from-documents",
    "questions about our terms": "answer-from-documents",
    "FAQ": "answer-from-documents",
    "Fragen zur Hausordnung beantworten": "answer-from-documents",
}
#: Wishes that name several things -> the goals that they lead to, the first one first.
SEVERAL = {
    "translate and summarise": ["translate-a-text", "summarise-a-text"],
    "summarise and translate a page": ["summarise-a-page", "translate-a-text"],
    "übersetzen und zusammenfassen": ["translate-a-text", "summarise-a-text"],
    "classify emails and write a reply": ["reply-to-a-message", "classify-emails"],
    "read invoices, save them in a table": ["sort-invoices"],
    "sort customer messages into complaints and questions, write a polite answer for complaints and I approve it first": [
        "classify-emails",
        "reply-to-a-message",
        "ask-before-sending",
    ],
    "Read an e-mail from a guest, tell if it is a booking, complaint or question, and draft an answer": [
        "classify-emails",
        "reply-to-a-message",
    ],
    "E-Mails von Gästen lesen, ob es eine Buchung, Beschwerde oder Frage ist, und eine Antwort entwerfen": [
        "classify-emails",
        "reply-to-a-message",
    ],
    "read number, date and total from an invoice PDF and keep it in a table": ["sort-invoices", "keep-entries"],
    "write a reply to a complaint and let me check it first": ["reply-to-a-message", "ask-before-sending"],
}
#: Wishes for an answer and its source, which are one thing.
WITH_SOURCE = [
    "answer questions from our PDF handbooks and say which document and page",
    "ask questions over papers (PDF) and get answers that say from which document and page they are",
    "answers from our PDFs with document and page",
    "Fragen zu unseren PDFs beantworten und sagen, aus welchem Dokument und welcher Seite sie stammen",
]
#: A wish, the goal that stands first, and the part of the wish that it leaves out; "" when it leaves nothing out that is
#: known for certain.
LEFT_OUT = [
    ("Read a page and send me an e-mail every Monday", "report-about-pages", "send me an e-mail"),
    ("Every Monday, read a page and email me the summary", "report-about-pages", "email me the summary"),
    ("check links and send me the broken ones by e-mail", "check-links", "send me the broken ones by e-mail"),
    ("translate a text and send it to my boss", "translate-a-text", "send it to my boss"),
    ("summarise a page and post it to slack", "summarise-a-page", "post it to slack"),
    ("eine Webseite zusammenfassen und mir per E-Mail schicken", "summarise-a-page", "mir per E-Mail schicken"),
    (
        "Text übersetzen und das Ergebnis an meinen Chef senden",
        "translate-a-text",
        "das Ergebnis an meinen Chef senden",
    ),
    ("sort the emails that customers send us and write a reply", "reply-to-a-message", ""),
    ("customers send us emails, sort them into complaints and questions", "classify-emails", ""),
    ("Anfragen, die Kunden per E-Mail senden, sortieren", "classify-emails", ""),
    ("pick details out of a text and send the e-mail addresses to our CRM", "details-from-a-text", ""),
    ("write an email and I approve it", "write-an-email", ""),
    ("classify emails and forward them to the right department", "right-department", ""),
    ("translate a text and make it funny", "translate-a-text", ""),
    ("Check a page and notify me by email", "page-mentions-a-word", "notify me by email"),
    ("summarise a page and get the summary by email", "summarise-a-page", "get the summary by email"),
    ("Send a reply to each e-mail", "reply-to-a-message", ""),
    ("get invoices by mail into a table", "sort-invoices", ""),
    ("Get orders that come by e-mail into a table", "keep-entries", ""),
    ("Mail that comes in should be sorted by department", "classify-emails", ""),
    ("Mail the team gets should be sorted by department", "classify-emails", ""),
    ("Email that asks for a refund: answer it, otherwise pass it on", "answer-by-word", ""),
    ("Email that customers send us, sorted by topic", "classify-emails", ""),
]
#: What no flow does.
FOREIGN = ["book a flight to Paris", "make coffee", "do my taxes", "play music", "xyzzy", "ein Auto kaufen", ""]
#: What people ask for and cannot have -> a word of the sentence that says so.
NOT_YET = {
    "generate an image of a cat": "media",
    "summarise a youtube video": "media",
    "send an email to a customer": "mail",
    "tell me on slack": "programs",
}


def template_of(goal: Goal) -> Document:
    file, found = parse_flow_file((ASSETS / "templates" / f"{goal.template}.json").read_bytes())
    assert file is not None, found
    return file.document


def finished(goal: Goal) -> Document:
    document = template_of(goal)
    typed = first_answers(goal, document)
    return filled(goal, document, {one.name: read_answer(one, typed[one.name]) for one in goal.questions})


def question(kind: str, **more: object) -> Question:
    return Question("x", "What?", kind, **more)  # type: ignore[arg-type]


#: A wish, the goal that stands first, and the times that the wish names.
TIMED = [
    (
        "Every Monday at 8 in the morning read two web pages and write a short summary report",
        "report-about-pages",
        "Every Monday at 8 in the morning",
    ),
    ("I want a report every Monday at 8: read a page and summarise it", "report-about-pages", "every Monday at 8"),
    ("jeden Montag um 8 Uhr ein Bericht über Webseiten", "report-about-pages", "jeden Montag um 8 Uhr"),
    ("weekly report", "report-about-pages", "weekly"),
    ("at 8:30 every Monday and Thursday, check links", "check-links", "at 8:30 every Monday and Thursday"),
    ("translate a text every 15 minutes", "translate-a-text", "every 15 minutes"),
    ("summarise every page of a list", "summarise-pages", ""),
    ("Sum up the list of invoices every Monday at 8", "add-up-rows", "every Monday at 8"),
    ("Add up the totals of a table of invoices every Monday", "add-up-rows", "every Monday"),
    ("sum the invoices every monday at 8", "add-up-rows", "every monday at 8"),
    ("sum up the invoices every monday", "add-up-rows", "every monday"),
    ("read invoices every monday", "read-an-invoice", "every monday"),
]


def goal_with(*questions: Question, **sets: object) -> Goal:
    places = {place.replace("__", "/"): value for place, value in sets.items()}
    return Goal("x", "X", "X.", "", "answer-by-word", questions, places)


@pytest.mark.parametrize(
    "asked",
    [
        "how much is this product",
        "sales letter",
        "list of sales leads",
        "list the houses for sale",
        "sum of an invoice",
    ],
)
def test_what_is_no_sum_of_rows_does_not_lead_there(asked: str) -> None:
    assert "add-up-rows" not in {goal.name for goal in find_goals(asked).goals}


@pytest.mark.parametrize("asked", ["rule that sorts", "sort mails by rule"])
def test_a_rule_is_no_handbook(asked: str) -> None:
    assert "answer-from-documents" not in {goal.name for goal in find_goals(asked).goals}


@pytest.mark.parametrize(("asked", "name"), PHRASES.items())
def test_a_goal_is_found_in_everyday_words(asked: str, name: str) -> None:
    found = find_goals(asked)

    assert found.fits
    assert found.goals[0].name == name
    assert len(found.goals) <= MOST


@pytest.mark.parametrize(("asked", "names"), SEVERAL.items())
def test_a_wish_that_names_several_things_leads_to_each_of_them(asked: str, names: list[str]) -> None:
    found = find_goals(asked)

    assert found.fits
    assert found.goals[0].name == names[0]
    assert set(names) <= {goal.name for goal in found.goals}


@pytest.mark.parametrize(
    "asked",
    [
        (
            "Read a tenant's message: is it urgent or normal, which tradesman is needed (plumber, electrician, none) and a "
            "short answer"
        ),
        (
            "take a message and the sender's e-mail address and tell urgent or normal, which tradesman is needed (plumber, "
            "electrician, none), and a short answer to the tenant"
        ),
        "read a tenant's message, say which tradesman is needed (plumber, electrician, none) and write a short answer",
    ],
)
def test_a_wish_that_names_kinds_leads_to_the_goal_that_asks_for_them(asked: str) -> None:
    assert find_goals(asked).goals[0].name == "classify-emails"
    assert find_goals(asked).left in {"", "a short answer to the tenant"}


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Read the invoice, extract the total and tell Tom or Anna", "read-an-invoice"),
        ("Answer questions from my documents, which customers ask (by mail, phone)", "answer-from-documents"),
        ("Translate the text which is in (German, French or Italian) into English", "translate-a-text"),
        ("Translate a text and say which customers are waiting (by mail, phone)", "translate-a-text"),
        ("Read the invoice and sort it into paid and open", "read-an-invoice"),
    ],
)
def test_names_and_kinds_beside_it_leave_what_is_asked_for_first(asked: str, name: str) -> None:
    assert find_goals(asked).goals[0].name == name


@pytest.mark.parametrize("asked", WITH_SOURCE)
def test_the_source_of_an_answer_is_no_wish_of_its_own(asked: str) -> None:
    found = find_goals(asked)

    assert found.goals[0].name == "answer-from-documents"
    assert not found.parts
    assert "plain-words" not in {goal.name for goal in found.goals}


@pytest.mark.parametrize(("asked", "name", "time"), TIMED)
def test_the_times_of_a_wish_are_told_and_lead_to_the_report(asked: str, name: str, time: str) -> None:
    found = find_goals(asked)

    assert found.time == time
    assert found.goals[0].name == name


def test_a_time_alone_comes_nearest_to_the_goal_that_starts_by_itself() -> None:
    found = find_goals("every Monday at 8")
    assert (found.fits, found.time) == (False, "every Monday at 8")
    assert "report-about-pages" in {goal.name for goal in found.goals}


def test_the_parts_of_a_wish_are_named_as_they_were_typed() -> None:
    assert find_goals("Translate, and summarise it").parts == {
        "translate-a-text": "Translate",
        "summarise-a-text": "summarise it",
    }
    assert find_goals("sort reviews into good and bad").parts == {}
    assert find_goals("Read number, date and total from an invoice (PDF) and keep them as a row in a table").parts == {
        "sort-invoices": "Read number, date and total from an invoice (PDF)",
        "keep-entries": "keep them as a row in a table",
    }
    assert find_goals("book a flight and translate a text").parts == {"translate-a-text": "translate a text"}
    assert not find_goals("book a flight and translate a text").fits


@pytest.mark.parametrize(("asked", "name", "left"), LEFT_OUT)
def test_what_the_goals_leave_out_of_a_wish_is_told_in_its_own_words(asked: str, name: str, left: str) -> None:
    found = find_goals(asked)

    assert (found.fits, bool(found.not_yet), found.left) == (True, bool(left), left)
    assert found.goals[0].name == name


def test_a_part_that_nothing_does_is_named_beside_those_that_come_nearest() -> None:
    found = find_goals("summarise a page and book a flight")
    assert (found.fits, found.not_yet, found.left) == (False, "", "book a flight")
    beside = find_goals(
        "sort each customer e-mail into repair, invoice or other and write a polite first answer; for repair the answer must"
        ' also say "Please bring the bike to our workshop between 9 and 12"'
    )
    assert "reply-to-a-message" in [goal.name for goal in beside.goals]
    assert (beside.fits, beside.left) == (False, ""), "what stands below is not denied"
    assert find_goals("draw a logo and a picture for my company").fits is False
    assert find_goals("if it is a complaint send an email otherwise say thanks").left == ""
    assert find_goals("E-Mails, die uns Kunden schicken, nach Thema sortieren").left == ""
    assert find_goals("eine Antwort auf jede E-Mail senden").not_yet == ""


@pytest.mark.parametrize("asked", FOREIGN)
def test_where_nothing_fits_it_says_so_and_names_the_nearest_three(asked: str) -> None:
    found = find_goals(asked)

    assert not found.fits
    assert len(found.goals) == len({goal.name for goal in found.goals}) == NEAREST


@pytest.mark.parametrize(("asked", "topic"), NOT_YET.items())
def test_what_no_flow_can_do_is_told_with_the_nearest_goals(asked: str, topic: str) -> None:
    found = find_goals(asked)

    assert found.not_yet == topic
    assert not found.fits
    assert len(found.goals) == NEAREST


def test_beside_what_no_flow_can_do_the_rest_of_the_wish_is_found() -> None:
    assert find_goals("summarise a web page every morning").goals[0].name == "summarise-a-page"


def test_there_are_goals_enough_and_each_is_told_apart() -> None:
    goals = all_goals().goals

    assert len(goals) >= 40
    assert len({goal.name for goal in goals}) == len({goal.title for goal in goals}) == len(goals)
    assert all(goal.says.endswith(".") and not goal.title.endswith(".") for goal in goals)


@pytest.mark.parametrize("goal", GOALS)
def test_a_goal_asks_little_and_every_answer_goes_somewhere(goal: Goal) -> None:
    assert 1 <= len(goal.questions) <= 3
    for one in goal.questions:
        blanks = (f"<{one.name}>", f"<{one.name} as fields>")
        assert any(blank in str(value) for value in goal.places.values() for blank in blanks), one.name
        assert one.ask.endswith(("?", ":"))


@pytest.mark.parametrize("goal", GOALS)
def test_the_flow_of_a_goal_has_no_problem_and_takes_its_own_sample(goal: Goal) -> None:
    document = finished(goal)

    assert deploy_problems(document, CATALOG) == problems(document, CATALOG) == []
    (sample,) = samples_of(document)
    assert check_payload(input_fields(document), sample["payload"])[1] == []
    assert "<" not in "".join(str(node.inputs) for node in document.nodes)


def test_answers_go_into_the_nodes_as_text_and_as_values() -> None:
    goal = all_goals().find("sort-reviews")
    assert goal is not None
    document = filled(goal, template_of(goal), {"kinds": ["great", "awful"], "texts": ["Fine <kinds> bread"]})

    prompt = document.node("prompt")
    assert prompt is not None
    assert prompt.config["output_fields"][0]["enum"] == ["great", "awful"]
    assert samples_of(document)[0]["payload"]["reviews"] == ["Fine <kinds> bread"]


def test_without_a_file_of_ones_own_the_practice_ones_are_tried() -> None:
    goal = all_goals().find("describe-pictures")
    assert goal is not None
    own = {"name": "a.png", "media_type": "image/png", "size": 1, "file_id": "file_1A2b3C4d5E6f7G8h9I0jKl"}

    none = filled(goal, template_of(goal), {"pictures": None, "language": "English"})
    mine = filled(goal, template_of(goal), {"pictures": [own], "language": "English"})

    assert len(samples_of(none)[0]["payload"]["pictures"]) == 3
    assert samples_of(mine)[0]["payload"]["pictures"] == [own]
    assert check_payload(input_fields(mine), samples_of(mine)[0]["payload"])[1] == []
    assert answers_in(goal, mine)["pictures"] == [own]


def test_an_invoice_of_ones_own_can_be_tried_first() -> None:
    goal = all_goals().find("read-an-invoice")
    assert goal is not None
    details = ["total"]
    practice = filled(goal, template_of(goal), {"details": details, "file": None})
    own = filled(goal, template_of(goal), {"details": details, "file": "file_1A2b3C4d5E6f7G8h9I0jKl"})
    assert samples_of(practice)[0]["payload"] == samples_of(template_of(goal))[0]["payload"]
    assert samples_of(own)[0]["payload"] == {"invoice": "file_1A2b3C4d5E6f7G8h9I0jKl"}


def test_what_looks_like_a_blank_inside_an_answer_stays_as_it_was_typed() -> None:
    goal = goal_with(question("text"), mentioned__inputs__answer="<x> and <y>, <x>")
    answers = {"x": "<y>", "y": "<x>"}

    node = filled(goal, template_of(goal), answers).node("mentioned")

    assert node is not None
    assert node.inputs["answer"] == "<y> and <x>, <y>"


def test_a_place_that_the_template_does_not_have_is_an_error() -> None:
    for place in ("nobody__inputs__answer", "condition__inputs__rules__7__right", "mentioned__inputs__nothing"):
        goal = goal_with(question("text"), **{place: "<x>"})
        with pytest.raises((KeyError, IndexError)):
            filled(goal, template_of(goal), {"x": "y"})


def test_words_become_output_fields_with_names_of_their_own() -> None:
    goal = all_goals().find("read-an-invoice")
    assert goal is not None
    details = ["Invoice number", "invoice-number", "Größe", "2nd date", "!"]
    node = filled(goal, template_of(goal), {"details": details, "text": "x"}).node("prompt")

    assert node is not None
    fields = node.config["output_fields"]
    assert [one["name"] for one in fields] == [
        "invoice_number",
        "invoice_number_2",
        "grosse",
        "detail_2nd_date",
        "detail",
    ]
    assert [one["description"] for one in fields] == details


def test_a_detail_that_the_template_has_keeps_its_type() -> None:
    goal = all_goals().find("read-an-invoice")
    assert goal is not None
    node = filled(goal, template_of(goal), {"details": ["sender", "Total", "what it is for"]}).node("prompt")

    assert node is not None
    assert [one["type"] for one in node.config["output_fields"]] == ["string", "number", "string"]


@pytest.mark.parametrize(
    ("asked", "typed", "read"),
    [
        (question("text"), "  rye ", "rye"),
        (question("address"), "example.com/a", "https://example.com/a"),
        (question("address"), "http://example.com", "http://example.com"),
        (question("number"), "3", 3),
        (question("number"), 3.0, 3),
        (question("words"), "good\n\n bad \ngood", ["good", "bad"]),
        (question("choice", choices={"Dates": r"\d+"}), "Dates", r"\d+"),
        (question("file"), {"file_id": "file_a"}, {"file_id": "file_a"}),
        (question("file"), None, None),
        (question("column", least=0), None, ""),
        (question("column"), "total", "total"),
        (question("files"), [], None),
        (question("files"), [{"file_id": "file_a"}, None], [{"file_id": "file_a"}]),
    ],
)
def test_an_answer_is_read_as_it_is_meant(asked: Question, typed: object, read: object) -> None:
    assert read_answer(asked, typed) == read


@pytest.mark.parametrize(
    ("asked", "typed", "said"),
    [
        (question("text"), " ", "Write something"),
        (question("text"), None, "Write something"),
        (question("text"), "{{ x.out }}", "curly brackets"),
        (question("long"), "{% for %}", "curly brackets"),
        (question("long"), "x" * 5_001, "longer than"),
        (question("address"), "the bakery", "no web address"),
        (question("address"), "file:///etc/passwd", "no web address"),
        (question("number"), "many", "whole number"),
        (question("number", most=5), 6, "from 1 to 5"),
        (question("words", least=2), "good", "at least 2"),
        (question("words"), "{{ a }}", "curly brackets"),
        (question("words"), "\n".join(map(str, range(101))), "more than 100"),
        (question("choice", choices={"a": "a"}), "b", "Choose one"),
        (question("files", most=1), ["https://a.example/1.png", "https://a.example/2.png"], "more than 1"),
        (question("file"), 7, "Choose a file"),
        (question("column"), "", "Choose a column"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(asked: Question, typed: object, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        read_answer(asked, typed)


def own_answer(question: Question) -> object:
    """An answer that differs from the one that stands there at first."""
    match question.kind:
        case "choice":
            return list(question.choices)[1]
        case "number":
            return 5
        case "words":
            return ["Some, words", "others in <text>"]
        case "addresses":
            return ["example.org/a", "https://example.org/b"]
        case "address":
            return "www.example.org"
    return "Some, words. In <language>."


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("own", [False, True])
def test_the_answers_can_be_read_from_the_flow_that_they_made(goal: Goal, own: bool) -> None:
    first = first_answers(goal, template_of(goal))
    shown = {one.name: own_answer(one) if own else first[one.name] for one in goal.questions}
    answers = {one.name: read_answer(one, shown[one.name]) for one in goal.questions}
    document = filled(goal, template_of(goal), answers)

    again = answers_in(goal, document)

    assert (
        filled(goal, template_of(goal), {one.name: read_answer(one, again[one.name]) for one in goal.questions})
        == document
    )
    assert title_of(goal, answers) == title_of(
        goal, {one.name: read_answer(one, again[one.name]) for one in goal.questions}
    )


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("instead", [..., None, 7, "x", [], {}, [7], {"a": [{}]}], ids=repr)
def test_of_a_flow_that_was_changed_since_what_is_left_of_the_answers_is_read(goal: Goal, instead: object) -> None:
    """Each place with an answer, and each that leads to it, is taken away or becomes something else, one at a time."""
    document = template_of(goal)
    changed = 0
    for place in goal.places:
        node_id, *path = place.split("/")
        for end in range(1, len(path) + 1):
            written = document.as_json()
            holder = next(node for node in written["nodes"] if node["id"] == node_id)
            *way, last = (int(part) if part.isdigit() else part for part in path[:end])
            for part in way:
                holder = holder[part]
            if instead is ...:
                del holder[last]
            else:
                holder[last] = instead
            with suppress(ValidationError):
                answers = answers_in(goal, Document.model_validate(written))
                changed += 1
                assert set(answers) == {question.name for question in goal.questions}
                for question in goal.questions:
                    with suppress(BadAnswer):
                        read_answer(question, answers[question.name])
    assert changed


def test_the_title_has_the_chosen_language() -> None:
    goal = all_goals().find("page-title-and-summary")
    assert goal is not None
    assert title_of(goal, {"language": "German"}) == "A page's title and a summary in German"


def test_a_list_of_addresses_is_completed_and_each_is_checked() -> None:
    question = Question("pages", "Which?", "addresses")
    assert read_answer(question, ["www.example.org", "https://example.org"]) == [
        "https://www.example.org",
        "https://example.org",
    ]
    with pytest.raises(BadAnswer, match="no web address"):
        read_answer(question, ["www.example.org", "the bakery"])
