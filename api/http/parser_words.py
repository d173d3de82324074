"""Translates error messages of the parsers of HTTP, forms and JSON into texts for callers, who do not know the terms of the
parsers.
"""

from __future__ import annotations

#: Start of a message of llhttp -> text for the caller. The first match is used.
_HTTP = {
    "Invalid method": "Its first line does not begin with a method of HTTP in capital letters, like GET or POST",
    "Expected HTTP/": "Its address has a space, which must be written as %20, or its first line does not end with HTTP/1.1",
    "Invalid HTTP version": "It names a version of HTTP that is not read here; send HTTP/1.1",
    "Pause on PRI": "It is HTTP/2, which is not read here; send HTTP/1.1",
    "Duplicate Content-Length": "It has more than one Content-Length",
    "Content-Length can't": "It has a Content-Length beside a Transfer-Encoding; send one of them",
    "Transfer-Encoding can't": "It has a Content-Length beside a Transfer-Encoding; send one of them",
    "Content-Length overflow": "Its Content-Length is too large",
    "Empty Content-Length": "Its Content-Length is no whole number",
    "Invalid character in Content-Length": "Its Content-Length is no whole number",
    "Empty Transfer-Encoding": "The only Transfer-Encoding that is read is chunked",
    "Request has invalid `Transfer-Encoding`": "The only Transfer-Encoding that is read is chunked",
    "Invalid `Transfer-Encoding`": "The only Transfer-Encoding that is read is chunked",
    "Unexpected whitespace after header value": "A header goes on in the next line; send each on one line",
    "Invalid header": "A header has a character that may not stand there, or no name",
    "Invalid char in url": "Its address has a character that must be written as %XX",
    "Invalid characters in url": "Its address does not begin with /, or has a tab, which must be written as %09",
    "Unexpected": "Its address does not begin with /",
    "Chunk size overflow": "A chunk of its body is announced with a size that is too large",
    "Invalid character in chunk size": "A chunk of its body does not begin with its size, a hexadecimal number",
    "Invalid character in chunk": "A chunk of its body has an extension that cannot be read",
    "Expected LF after chunk": "A chunk of its body is not as long as it says, or does not end with a line break (CR LF)",
    "Missing expected CR after chunk": "A chunk of its body is not as long as it says, or does not end with a line break (CR LF)",
    "Expected CRLF": "One of its lines does not end with CR LF",
    "Expected LF": "One of its lines does not end with CR LF",
    "Missing expected": "One of its lines does not end with CR LF",
    "Data after": "More came behind a request that said `Connection: close`",
}
_ANYTHING = "It breaks the rules of HTTP/1.1"
#: Start of a message of the parser of forms -> text for the caller, as above.
_FORM = {
    "Did not find CR at end of boundary": "One of its boundaries does not end with a line break (CR LF)",
    "Did not find LF at end of boundary": "One of its boundaries does not end with a line break (CR LF)",
    "Did not find CRLF after boundary": "One of its boundaries does not end with a line break (CR LF)",
    "Did not find - at end of boundary": "The boundary at its end has one hyphen behind it; there must be two",
    "Did not find LF": "A header of its part does not end with a line break (CR LF)",
    "Found": "A header of its part has no name, a character that may not stand there, or no colon",
    "Maximum header": "Its part has more headers, or longer ones, than are read",
}
_ANY_FORM = "It breaks the rules of multipart/form-data"
#: Message of Python's json module -> text for the caller, after which the position is appended.
_JSON = {
    "Expecting value": "A value is missing, or is none that JSON has",
    "Expecting property name enclosed in double quotes": "A name in double quotes is missing, or a comma stands behind the last field",
    "Expecting ':' delimiter": "A colon is missing behind a name",
    "Expecting ',' delimiter": "A comma or a closing bracket is missing",
    "Extra data": "Something stands behind the end of the value",
    "Unterminated string starting at": "A text has no closing quote",
    "Invalid control character at": "A text has a line break or another control character that must be written as an escape, like \\n",
    "Invalid \\escape": "A text has a backslash that begins no escape",
    "Invalid \\uXXXX escape": "A \\u escape has not four hexadecimal digits",
}


def http_words(message: str) -> str:
    """Returns what is wrong with a request that the HTTP parser refused."""
    return next((words for begin, words in _HTTP.items() if message.startswith(begin)), _ANYTHING)


def form_words(message: str) -> str:
    """Returns what is wrong with a form that the parser of forms refused."""
    return next((words for begin, words in _FORM.items() if message.startswith(begin)), _ANY_FORM)


def json_words(message: str) -> str:
    """Returns what is wrong with text that is not JSON."""
    known = message.rstrip(": ")
    return _JSON.get(known, "It is no JSON")
