"""Dates of birth: a date after a word that says so.

A date in words has blanks inside, and its pieces are sent one by one (`boundary.py`); so each piece is looked for by itself,
after the pieces before it. A year alone, as in an encyclopedia, is nobody's date of birth.
"""

import re

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.labels import LETTER, label, words

BIRTH_LABELS = words(
    "date of birth, birth date, birthdate, birthday, born, dob, d.o.b, b day, geburtsdatum, geburtstag, "
    "geboren, geb., né le, née le, né en, date de naissance, fecha de nacimiento, nacido, nacida, nació, "
    "f. de nac, data di nascita, nato il, nata il, nato a, nata a, data de nascimento, nascido, nascida, "
    "nasceu, geboortedatum, geboren op, född, födelsedatum, fødselsdato, født, fødselsdag, syntymäaika, "
    "syntynyt, s. aika, data urodzenia, urodzony, urodzona, ur., datum narození, narozen, narozena, "
    "dátum narodenia, narodený, születési dátum, született, data nașterii, născut, născută, datum rođenja, "
    "rođen, rođena, datum rojstva, rojen, doğum tarihi, doğumlu, tanggal lahir, lahir, ngày sinh, "
    "sinh ngày, tarehe ya kuzaliwa, alizaliwa, sünniaeg, sündinud, gimimo data, dzimšanas datums, dzimis, "
    "ditëlindja, datëlindja, data de naixement, jaiotze data, fæðingardagur, kapanganakan, "
    "petsa ng kapanganakan, anniversaire, cumpleaños, compleanno, aniversário, verjaardag, tarikh lahir, "
    "datebirth, дата рождения, дата народження, дата на раждане, датум рођења, датум на раѓање, родился, "
    "родилась, рожден, роден, народився, народилася, рођен, рођена, ημερομηνία γέννησης, γεννήθηκε, "
    "γεννημένος, დაბადების თარიღი, ծննդյան ամսաթիվ, 出生日, 出生于, 出生年月, 生日:, 生日是, 生年月, 誕生日, "
    "생년월, 출생일, 생일은, "
    "생일:, تاريخ الميلاد, تاريخ الولادة, تاریخ تولد, מועד לידה, תאריך לידה, जन्म तिथि, जन्मतिथि, "
    "जन्म तारीख, জন্ম তারিখ, วันเกิด, เกิดวันที่"
)
_BORN = label(*BIRTH_LABELS)
_REACH_CHARS = 64  # from the end of the word to the last piece of the date
_APART = r"[^A-Za-z0-9](?:[^0-9\n]{0,24}?[^A-Za-z0-9])?"
_NUMERIC = (
    r"[0-3]?[0-9][./-][0-3]?[0-9][./-](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[./-][01]?[0-9][./-][0-3]?[0-9]"
    r"|(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]"
)
# How the months begin in the languages above, folded.
_MONTH = (
    r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|maj|mae?r|avr|abr|gen|ene|giu|lug|ago|set|ott|dic|dez|des|okt|out|fev"
    r"|jui|aou|mei|sty|lut|kwi|cze|lip|sie|wrz|paz|lis|gru|led|uno|bre|bre|dub|kve|cer|srp|zar|rij|ruj|pro|tam|hel|maa|huh|tou|kes"
    r"|hei|elo|syy|lok|jou|oca|sub|nis|haz|tem|agu|eyl|eki|kas|ara|ian|iun|iul|noi|sij|vel|oz|tra|svi|kol|stu|pros|juni|juli|peb|thg)"
    r"[a-z]{0,9}\.?"
)
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|er|eme|o|a)?\.?"
_OF = r"(?:[ ,./-]{1,3}(?i:of|de|del|di|d'|den|ng)?[ ]?)"


def _in_a_month(value: bytes) -> bool:
    day = re.match(rb"[0-9]{1,2}", value)
    return day is None or 1 <= int(day[0]) <= 31


BIRTH = (
    Detector(
        id="date-of-birth",
        category=PERSONAL_DATA,
        left="",
        hint=_BORN,
        hint_reach_chars=_REACH_CHARS,
        before=_BORN + _APART,
        pattern=rf"{_NUMERIC}|[0-3]?[0-9][ .-]{_MONTH}[ -](?:19|20)?[0-9]{{2}}",
        after=r"(?:[^A-Za-z0-9]|T|$)",
        confidence=0.75,
        must_match=(
            *(
                "date of birth: 12/03/1985",
                "born on 1985-03-12",
                "geb. am 12.03.1985",
                "né le 12-03-85",
                "DOB 03/12/85",
                "Fødselsdato: 12.3.1985",
            ),
            "születési dátum: 1985.03.12",
        ),
        must_not_match=("date of birth: soon", "born in 1879", "geb. 12", "reborn 12/03/1985"),
    ),
    Detector(
        id="date-of-birth-day",
        category=PERSONAL_DATA,
        left="",
        hint=_BORN,
        hint_reach_chars=_REACH_CHARS,
        before=(
            rf"(?:{_BORN}(?: (?i:on|the|at|am|le|el|il|op|den|em|dia|dne|dnia|is|was|ist|est|es|e)|[:=,.\"-]){{1,3}}[ \"]{{0,2}}"
            r"|(?:^|[^A-Za-z])(?i:nee? le|nat[oa] il|geb\.|ur\.|sinh ngay)[ :]{1,3})"
        ),
        pattern=rf"{_DAY}(?: {_MONTH})?|{_MONTH}",
        after=r"(?:[^A-Za-z0-9:/%]|$)",
        confidence=0.6,
        validator=_in_a_month,
        must_match=("born on March 12, 1985", "né le 12 mars 1985", "geboren am 3. Mai 1985", "DOB: 3rd of May"),
        must_not_match=("born in Marseille", "born 12 years ago", "born on 45"),
    ),
    Detector(
        id="date-of-birth-east",  # 1987年3月14日: each piece ends with a letter that says what it is
        category=PERSONAL_DATA,
        left="",
        hint=_BORN,
        hint_reach_chars=_REACH_CHARS,
        before=_BORN + _APART + rf"(?:(?:19|20)[0-9]{{2}}[{LETTER}] ?(?:[01]?[0-9][{LETTER}] ?)?)?",
        pattern=r"(?:19|20)[0-9]{2}|[0-3]?[0-9]",
        after=rf"[{LETTER}]",
        confidence=0.7,
        must_match=("出生日期：1987年3月14日", "誕生日は1987年3月14日です", "생년월일: 1987년 3월 14일"),
        must_not_match=("出版日期：1987年3月14日", "born in 1987"),
    ),
    Detector(
        id="date-of-birth-rest",
        category=PERSONAL_DATA,
        left="",
        hint=_BORN,
        hint_reach_chars=_REACH_CHARS,
        before=_BORN + rf"[^0-9\n$]{{1,20}}(?:{_DAY}{_OF}{_MONTH}{_OF}|{_MONTH}{_OF}(?:{_DAY}{_OF})?|{_DAY}{_OF})",
        pattern=rf"(?:19|20)[0-9]{{2}}|{_MONTH}|(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?",
        confidence=0.6,
        validator=lambda value: len(value) < 12,
        must_match=("born on March 12, 1985", "nació el 12 de marzo de 1985"),
        must_not_match=("born in the winter of 1985",),
    ),
)
