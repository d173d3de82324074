"""The links with which people without an account answer a question: the id of the question and a mark that only this
server can make, so that no link has to be stored. A link works until its question has an answer.
"""

from __future__ import annotations

import hmac

from sqlalchemy.orm import Session

from engine.core.errors import QuestionLinkNotValid
from engine.secrets.sealing import Vault
from storage.questions import QuestionRow, find_question

#: Where the pages behind the links begin.
PATH = "/answer"


def question_link_path(vault: Vault, question_id: str) -> str:
    """Returns the path of a question's link: `/answer/ask_....mark`."""
    return f"{PATH}/{question_id}.{_mark(vault, question_id)}"


def question_of_link(session: Session, vault: Vault, token: str) -> QuestionRow:
    """Returns the question of the last part of such a path, open or not. Raises QuestionLinkNotValid, also when the
    question is not kept any more.
    """
    question_id, _, mark = token.partition(".")
    if not hmac.compare_digest(mark.encode(), _mark(vault, question_id).encode()):
        raise QuestionLinkNotValid
    question = find_question(session, question_id)
    if question is None:
        raise QuestionLinkNotValid
    return question


def _mark(vault: Vault, question_id: str) -> str:
    return vault.link_mark(f"question {question_id}")
