#!/usr/bin/env python3
"""Writes a large made-up data set, for measuring how one is read, stored and split.

    python3 generate.py --out FILE [--rows 2300000] [--authors 11773] [--seed 0] [--type-signal 0.0]

It is shaped like train.csv of minhaozhang/mbti on the Hub: 2.16 GB with the columns author, body, mbti, E-I, N-S,
F-T, J-P. Its texts are 700 to 1,000 characters long and have line breaks, commas, quotation marks, links, emoji and
Chinese; types and numbers of posts per author are as unequal as on Reddit; a few texts come twice, a few nearly, and
a few name a type. All words are made up from syllables, so that nobody has written any of it, and say nothing of the
type of their author, unless --type-signal says how likely a text has a sentence with words of one of its four
letters. The same seed gives the same file on every machine. Prints a line of JSON about the file.
"""
import argparse
import csv
import itertools
import json
import os
import random
import sys
import time

TYPES = {"INTP": 220, "INTJ": 185, "INFP": 125, "INFJ": 115, "ENTP": 90, "ENFP": 75, "ISTP": 50, "ENTJ": 40, "ISTJ": 30,
         "ENFJ": 22, "ISFP": 16, "ISFJ": 15, "ESTP": 13, "ESFP": 8, "ESTJ": 8, "ESFJ": 4}
ONSETS = ["b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "dr", "kl", "pl", "st", "tr"]
NUCLEI = ["a", "e", "i", "o", "u", "ai", "ou"]
CODAS = ["", "", "", "n", "l", "r", "m", "s"]
EMOJI = ["😀", "😂", "🤔", "🙃", "👍🏽", "❤️", "🎉", "👩‍💻", "🇩🇪", "🐈"]
WORDS, SENTENCES, LETTER_WORDS, LETTER_SENTENCES = 8000, 20000, 40, 400
# How many sentences a text is put together from before it is cut; enough but for one in many thousands.
DRAWN = 19
SHORTEST, LONGEST, SHORTNESS = 706, 1000, 1.66
# Shares of the texts: the author's last one again, any author's last one, the author's last one a little changed, one
# that names a type.
REPEATED, COPIED, CHANGED, NAMING = 0.003, 0.001, 0.005, 0.02

p = argparse.ArgumentParser()
p.add_argument("--out", required=True)
p.add_argument("--rows", type=int, default=2_300_000)
p.add_argument("--authors", type=int, default=11_773)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--type-signal", type=float, default=0.0)
a = p.parse_args()
if not 1 <= a.authors <= a.rows:
    sys.exit("--authors must be between 1 and --rows.")
rng = random.Random(a.seed)
begin = time.perf_counter()


def new_words(number, known):
    """Words that are not known yet, the frequent ones, which come first, short."""
    found = []
    while len(found) < number:
        longest = 1 if len(found) < 100 else 2 if len(found) < 1500 else 4
        word = "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS)
                       for _ in range(rng.randint(1 if len(found) < 400 else 2, longest) if longest > 1 else 1))
        if word not in known:
            known.add(word)
            found.append(word)
    return found


def zipf(number):
    return list(itertools.accumulate(1 / (rank + 3) for rank in range(number)))


known = set()
vocabulary, weights = new_words(WORDS, known), zipf(WORDS)
characters = [chr(code) for code in rng.sample(range(0x4E00, 0x9FA6), 1500)]
character_weights = zipf(len(characters))


def sentence(own_words=()):
    kind = rng.random()
    if not own_words and kind < 0.03:
        halves = ("".join(rng.choices(characters, cum_weights=character_weights, k=rng.randint(5, 16))) for _ in "12")
        return ",".join(halves) + rng.choice("。。!?")
    words = rng.choices(vocabulary, cum_weights=weights, k=rng.randint(5, 19))
    for word in own_words:
        words[rng.randrange(len(words))] = word
    words = [word + "," if rng.random() < 0.08 else word for word in words[:-1]] + words[-1:]
    words[0] = words[0].capitalize()
    if kind < 0.12:
        first = rng.randrange(len(words) - 2)
        last = rng.randrange(first, len(words) - 1)
        words[first], words[last] = '"' + words[first], words[last].rstrip(",") + '"'
        if first == last:
            words[first] = '"' + words[first].strip('",') + '"'
    elif kind < 0.14:
        first, last = rng.choice(vocabulary), rng.choice(vocabulary)
        words.append(f"https://example.com/{first}/{rng.randrange(10**6)}?a=1,2&b={last}")
    elif kind < 0.17:
        words.append(rng.choice(EMOJI) * rng.randint(1, 3))
    elif kind < 0.20:
        words[rng.randrange(len(words))] += "'s"
    return " ".join(words) + rng.choice(["."] * 12 + ["!", "?", "...", " :)"])


sentences = [sentence() for _ in range(SENTENCES)]
telling = {}
for letter in "EINSFTJP":
    own = new_words(LETTER_WORDS, known)
    telling[letter] = [sentence(rng.choices(own, k=3)) for _ in range(LETTER_SENTENCES)]


def naming(mbti):
    """A sentence that names a type, mostly the author's own."""
    named = mbti if rng.random() < 0.7 else rng.choice(list(TYPES))
    named = named.lower() if rng.random() < 0.3 else named
    words = rng.choices(vocabulary, cum_weights=weights, k=6)
    words[rng.randrange(6)] = rng.choice([named, named, named + "s", named + ",", f"({named})", f'"{named}"'])
    return " ".join(words) + "."


def new_text(mbti):
    length = LONGEST - int((LONGEST - SHORTEST + 1) * rng.random() ** SHORTNESS)
    parts = rng.choices(sentences, k=DRAWN)
    if rng.random() < NAMING:
        parts[rng.randrange(8)] = naming(mbti)
    if a.type_signal and rng.random() < a.type_signal:
        parts[rng.randrange(8)] = rng.choice(telling[rng.choice(mbti)])
    kind = rng.random()
    if kind < 0.6:
        text = " ".join(parts)
    elif kind < 0.9:
        place = rng.randrange(1, 12)
        text = " ".join(parts[:place]) + "\n\n" + " ".join(parts[place:])
    else:
        text = parts[0] + "\n\n- " + "\n- ".join(parts[1:4]) + "\n\n" + " ".join(parts[4:])
    while len(text) < length:
        text += " " + rng.choice(sentences)
    return text[:length].rstrip()


# As many of each author's numbers as texts, in any order: one each, the others by a log-normal distribution.
author_weights = [rng.lognormvariate(0, 1.5) for _ in range(a.authors)]
order = list(range(a.authors)) + rng.choices(range(a.authors), author_weights, k=a.rows - a.authors)
rng.shuffle(order)
types = (list(TYPES) + rng.choices(list(TYPES), list(TYPES.values()), k=a.authors))[:a.authors]
rng.shuffle(types)
names = [rng.choice(vocabulary[400:]) + rng.choice(["", "_", "-"]) + str(number) for number in range(a.authors)]
last = [None] * a.authors

with open(a.out, "w", encoding="utf-8", newline="", buffering=1 << 20) as file:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["author", "body", "mbti", "E-I", "N-S", "F-T", "J-P"])
    latest = 0
    for author in order:
        mbti = types[author]
        text, kind = last[author], rng.random()
        if text is None or kind >= REPEATED + COPIED + CHANGED:
            text = new_text(mbti)
        elif kind < COPIED:
            text = last[latest]
        elif kind < COPIED + CHANGED:
            word = rng.choice(vocabulary)
            place = rng.randrange(600)
            text = text.lower() if rng.random() < 0.2 else text[:place] + word + text[place + len(word):]
        last[author], latest = text, author
        table.writerow([names[author], text, mbti, *mbti])

print(json.dumps({
    "rows": a.rows, "authors": a.authors, "bytes": os.path.getsize(a.out),
    "seconds": round(time.perf_counter() - begin, 1),
}))
