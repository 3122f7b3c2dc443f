# -*- coding: utf-8 -*-
"""The part of the probe that takes credentials out of URLs; what reads engines and histories uses it as well.

Three things are secret: userinfo, conda's token in the path of a channel (conda/common/url.py,
split_anaconda_token), and values of a query whose name looks like a secret's. Any mark may stand in one of JSON's
escapes.

A text of a target may be made to take long, or to take memory: `re` keeps a mark for each turn of a repeated group,
so only single classes are repeated here, and where a part ends is searched for. No rule looks at a byte more often
than a few times.
"""

import functools
import re

# END stands for what ends a URL.
SLASH = br"(?:\\?/|\\u002f)"
START = br"(?::|\\u003a)" + SLASH + br"{2}"
WORD_END = br"[/END\\<>](?:(?<!\\)|(?!u(?!002f)[0-9a-f]{4}))"
"""Where a part of a URL ends, at a slash or with the URL: a backslash that begins no escape is none of it."""
AT = re.compile(br"@|\\u0040", re.I)
USER = START + br"(?=[^/END\\<>@]*[@\\])"
CUT = re.compile(br"(?:\\(?:u[0-9a-f]{0,3})?)?\Z", re.I)
"""What is left of an escape where a text was cut."""
PATH_END = br"[:END\\<>](?:(?<!\\)|(?!/|u(?!003a)[0-9a-f]{4}))"
TOKEN = SLASH + br"t" + SLASH + br"(?:(?=[^/END\\<>])|(?=\\u(?!002f)[0-9a-f]{4}))"
NAMES = "|".join(
    "".join("(?:%s|\\\\u00(?:%x|%x))" % (letter, ord(letter), ord(letter.upper())) for letter in name)
    for name in ("token", "secret", "passw", "pwd", "key", "sig", "auth", "credential")
).encode("ascii")
# Up to the first name and the first sign behind it, and never from there on anew. A mark that is an escape is found
# among what is between others: the rest is looked at once.
QUERY = (
    br"(?:[?&;]|\\u00(?:3[fb]|26))(?=([^=&#?;END]*?(?:" + NAMES + br")))\1(?=([^=&#?;END]*?(?:=|\\u003d)))\2"
    br"|\\u00(?:3[fb]|26)[^=&#?;END]*"
)
VALUE_END = br"[&#;END\\](?:(?<!\\)|(?=u00(?:2[36]|3b)))"


def last(found):
    """The last of what is found, if anything."""
    each = None
    for each in found:
        pass
    return each


class Urls(object):
    """The rules for one kind of text.

    A credential is overwritten with as many asterisks where offsets have to stay; else userinfo is taken out, and
    all else becomes three asterisks. A bare `git@` stays.
    """

    def __init__(self, end, keep_length):
        rules = (START, USER, WORD_END, PATH_END, TOKEN, QUERY, VALUE_END)
        compiled = [re.compile(rule.replace(b"END", end), re.I) for rule in rules]
        self.start, self.user, self.word_end, self.path_end, self.token, self.query, self.value_end = compiled
        self.keep_length = keep_length

    def scrub(self, raw):
        """Take credentials out of every URL."""
        for rule, mask in ((self.users, b""), (self.tokens, b"***"), (self.values, b"***")):
            raw = self.without(raw, rule(raw), mask)
        return raw

    def cut(self, raw):
        """Take out the end of what was cut, if it lies in a URL: the `@` that tells what is secret may be gone."""
        start = last(self.start.finditer(raw))
        if start is None or not CUT.match(raw, self.end(self.word_end, raw, start.end())):
            return raw
        return self.without(raw, [(start.end(), len(raw))], b"")

    def without(self, raw, spans, mask):
        left, at = bytearray(), 0
        for begin, end in spans:
            left += raw[at:begin]
            left += b"*" * (end - begin) if self.keep_length else mask
            at = end
        return bytes(left + raw[at:]) if at else raw

    def users(self, raw):
        """Userinfo, which ends at the last @: a password may hold others. The @ itself goes with what is taken out."""
        for start in self.user.finditer(raw):
            begin = start.end()
            at = last(AT.finditer(raw, begin, self.end(self.word_end, raw, begin)))
            if at and raw[begin : at.start()].lower() != b"git":
                yield begin, at.start() if self.keep_length else at.end()

    def tokens(self, raw):
        """Tokens of conda's, in the first part of a path that is named `t`."""
        at = 0
        for start in self.start.finditer(raw) if self.token.search(raw) else ():
            if start.start() < at:
                continue
            path = self.end(self.word_end, raw, start.end())
            end = self.end(self.path_end, raw, path)
            token = self.token.search(raw, path, end + 6)
            if token and token.start() < end:
                at = self.end(self.word_end, raw, token.end())
                yield token.end(), at

    def values(self, raw):
        """Values of a query whose name looks like a secret's."""
        found = self.query.search(raw)
        while found:
            at = begin = found.end()
            if found.group(1) is not None:
                at = self.end(self.value_end, raw, begin)
                if at > begin:
                    yield begin, at
            found = self.query.search(raw, at)

    def end(self, rule, raw, at):
        found = rule.search(raw, at)
        return found.start() if found else len(raw)


@functools.lru_cache(maxsize=None)
def urls(binary, keep_length):
    """Compiled when they are needed first; hardly anything that is read is no text."""
    # What holds a NUL byte is no text: offsets in it have to stay, and a control character ends a URL.
    return Urls(br"\s'\"\x00-\x1f\x7f" if binary else br"\s'\"", keep_length)


def scrub(raw):
    """Take credentials out of URLs (userinfo, conda's tokens, query values named like a secret)."""
    if (b":" in raw or b"\\" in raw) and (b":/" in raw or b":\\" in raw or b"\\u003" in raw):
        binary = b"\0" in raw
        raw = urls(binary, binary).scrub(raw)
    return raw


def cut_url(raw):
    """Take out the end of what was cut, if it lies in a URL."""
    binary = b"\0" in raw
    return urls(binary, binary).cut(raw)
