"""A wish answers some of a goal's questions already."""

import time

import pytest

from engine.flow.goals import all_goals
from engine.flow.lists_asked import lists_asked
from engine.flow.node_context import Json
from engine.flow.wish_answers import answers_asked, without_answers

WISHES = [
    ("summarise-a-page", "summarise a page in German", {"language": "German"}),
    ("summarise-a-page", "Summarise a page every Monday at 8 in French.", {"language": "French"}),
    ("summarise-a-page", "read a page, in plain English every day", {"language": "English"}),
    ("summarise-a-page", "eine Seite auf Deutsch zusammenfassen, in drei sentences", {"language": "German", "sentences": 3}),
    ("summarise-a-page", "a Dutch summary of https://example.com/news.", {"language": "Dutch", "page": "https://example.com/news"}),
    ("translate-a-text", "translate German mails to Polish", {"language": "Polish"}),
    ("translate-a-text", "polish a text from German shops in German shops", {}),
    ("summarise-a-page", "summarise a page in 300 sentences in Elvish", {}),
    ("report-about-pages", "report about www.example.com and https://a.example", {"pages": ["www.example.com", "https://a.example"]}),
    ("sort-invoices", "a person approves invoices when the total is over 2,500", {"amount": 2500}),
    ("sort-invoices", "Rechnungen ab 1.200 freigeben", {"amount": 1200}),
    ("sort-invoices", "a manager signs off an invoice of more than $300.50, over the phone", {}),
    ("classify-emails", "Read an e-mail, tell if it is a booking, complaint or a question, and draft an answer",
     {"kinds": ["booking", "complaint", "question"]}),
    ("classify-emails", "sort e-mails by what they are about (booking, lost property or something else)",
     {"kinds": ["booking", "lost property", "other"]}),
    ("classify-emails", "sort mails into complaints, orders and questions and answer them",
     {"kinds": ["complaints", "orders", "questions"]}),
    ("classify-emails", "which kind of mail is it: order or praise", {"kinds": ["order", "praise"]}),
    ("classify-emails", "E-Mails in Buchung, Beschwerde und Frage sortieren", {"kinds": ["Buchung", "Beschwerde", "Frage"]}),
    ("classify-emails", "read mail and say which person is needed (plumber, electrician, none)",
     {"kinds": ["plumber", "electrician", "none"]}),
    ("classify-emails", "read mail and tell urgent or normal", {"kinds": ["urgent", "normal"]}),
    ("classify-emails", "read mail and tell Tom or Anna", {}),
    ("classify-emails", "read mail and tell me or anna", {}),
    ("classify-emails", "read mail: what is it for and why", {}),
    ("classify-emails", "read mail which is in (German, French or Italian)", {}),
    ("classify-emails", "read mail, which customers send (by post, phone)", {}),
    ("classify-emails", "whether a mail is urgent or not", {}),
    ("classify-emails", "sort mails, answer them and keep the answers", {}),
    ("write-an-email", "write a formal e-mail from notes in Spanish", {"tone": "formal", "language": "Spanish"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wish", "answers"), WISHES)
def test_a_wish_answers_questions(name: str, wish: str, answers: dict[str, Json]) -> None:
    goal = all_goals().find(name)
    assert goal is not None
    assert answers_asked(goal, wish) == answers


def test_a_long_wish_is_read_at_once() -> None:
    goal = all_goals().find("classify-emails")
    assert goal is not None
    begun = time.process_time()
    for wish in ("if it is a " + "a b, " * 400, "sort " * 400, "read " + "a b, " * 400):
        answers_asked(goal, wish)
        lists_asked(wish)
    assert time.process_time() - begun < 1, "it takes some hundredths of a second"


def test_an_address_is_a_page_once() -> None:
    assert without_answers("Summarise the page https://a.example/news daily") == "Summarise the page daily"
    assert without_answers("Summarise https://a.example/news") == "Summarise page"
