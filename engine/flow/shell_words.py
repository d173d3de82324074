"""Splits a command as a shell does, for commands that people copy from documentation or a browser's network tab.

It runs and looks up nothing: variables stay as they are written, and a command substitution is refused.
"""

from __future__ import annotations

import re

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "0": "\0"}
_CODE = re.compile(r"x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})")
#: What ends a command at the start of a word.
_ENDS = ("|", ";", "&", ">", "<", "2>")


class UnreadableCommand(ValueError):
    """The command cannot be split. Its text is a sentence."""


def split_command(text: str) -> tuple[list[str], str]:
    """Returns the words of the first command, and the unread text after it (after `|`, `&&`, `>`).

    Understands the quoting of Unix shells, including `$'...'`, and of the Windows command line (`^"`). Raises
    UnreadableCommand.
    """
    text = text.replace("\r\n", "\n")
    if "^\n" in text or '^"' in text:
        text = re.sub(r"\^(.)", r"\1", re.sub(r"\^\n", " ", text))
    return _Splitter(text).split()


class _Splitter:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def split(self) -> tuple[list[str], str]:
        words: list[str] = []
        while True:
            self._skip_space()
            if self.at >= len(self.text):
                return words, ""
            if words and self.text.startswith(_ENDS, self.at):
                return words, self.text[self.at :].strip()
            word = self._word()
            if word is None:
                return words, self.text[self.at :].strip()
            words.append(word)

    def _skip_space(self) -> None:
        """Skips blanks, line continuations and line ends: in pasted commands a line end does not end the command."""
        while self.at < len(self.text):
            if self.text.startswith("\\\n", self.at):
                self.at += 2
            elif self.text[self.at].isspace():
                self.at += 1
            else:
                return

    def _word(self) -> str | None:
        parts: list[str] = []
        begun = self.at
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter.isspace() or self.text.startswith("\\\n", self.at):
                break
            if letter in "|;" and self.at > begun:
                break
            if letter == "'":
                parts.append(self._until_quote())
            elif letter == '"':
                parts.append(self._in_double_quotes())
            elif self.text.startswith("$'", self.at):
                self.at += 1
                parts.append(self._with_escapes())
            elif letter == "\\":
                self.at += 2
                parts.append(self.text[self.at - 1 : self.at])
            elif letter == "`" or self.text.startswith("$(", self.at):
                raise UnreadableCommand("it holds a command inside the command, which is not run here")
            else:
                parts.append(letter)
                self.at += 1
        return "".join(parts)

    def _until_quote(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise UnreadableCommand("a quote (') is opened and never closed")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        return inside

    def _in_double_quotes(self) -> str:
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == '"':
                self.at += 1
                return "".join(parts)
            if letter == "`" or self.text.startswith("$(", self.at):
                raise UnreadableCommand("it holds a command inside the command, which is not run here")
            if letter == "\\" and self.text[self.at + 1 : self.at + 2] in {'"', "\\", "$", "`", "\n"}:
                self.at += 1
                letter = self.text[self.at].replace("\n", "")
            parts.append(letter)
            self.at += 1
        raise UnreadableCommand('a quote (") is opened and never closed')

    def _with_escapes(self) -> str:
        r"""Reads `$'...'` with escapes such as `\n`, `\'` and `\u00e4`."""
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            letter = self.text[self.at]
            self.at += 1
            if letter == "'":
                return "".join(parts)
            if letter == "\\":
                letter = self._escaped()
            parts.append(letter)
        raise UnreadableCommand("a quote ($') is opened and never closed")

    def _escaped(self) -> str:
        if code := _CODE.match(self.text, self.at):
            self.at = code.end()
            number = int(code[4], 8) if code[4] else int(code[1] or code[2] or code[3], 16)
            return chr(number) if number < 0x110000 else "\ufffd"
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        return _ESCAPES.get(letter, letter)
