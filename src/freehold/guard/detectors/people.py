"""Names of people, by what people write before a name: a salutation, a title, "my name is", the label of a field.

There is no list of names and no language model here: a name in running prose is not found, a person who is greeted, introduced
or entered in a form is. Off unless the operator asks for it (`policy.py`): a word with a capital is weak evidence.
"""

from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.labels import label, words

PERSON_NAME = "person_name"  # as in `policy.py`

_NAME = r"(?:Ma?c[A-Z]|[A-Z])[a-z]{1,20}(?:-[A-Z][a-z]{1,20})?"
_LINK = r"(?:[A-Z]\.?|de|da|do|dos|del|della|di|du|van|von|der|den|ten|zu|la|le|el|al|bin|ben|ibn|y|e)"
_BEFORE = rf"(?:(?:{_NAME}|{_LINK}) ){{0,3}}"  # of the same name; each word is a unit by itself
_REACH_CHARS = 160  # three words, the longest of 49 characters
_TITLE = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Sir|Madam|Lady|Lord|Rev|Herr|Herrn|Frau|Fr|Hr|Monsieur|Madame|Mme|Mlle|Mademoiselle|Me"
    r"|Senor|Senora|Senorita|Sr|Sra|Srta|Don|Dona|Signor|Signora|Sig|Dott|Dottor|Dottoressa|Avv|Ing|Senhor|Senhora|Dhr|Mevr|Meneer"
    r"|Mevrouw|Pan|Pani|Pana|Sayin|Bay|Bayan|Bapak|Ibu|Ong|Herra|Rouva)\.?"
)
_GREETING = (
    r"(?:Dear|Hi|Hello|Hey|Liebe|Lieber|Sehr geehrter|Sehr geehrte|Hallo|Cher|Chere|Bonjour|Salut|Querido|Querida"
    r"|Estimado|Estimada|Hola|Caro|Cara|Gentile|Egregio|Ciao|Prezado|Prezada|Ola|Beste|Geachte|Kara|Hej|Kjaere"
    r"|Hei|Drogi|Droga|Szanowny|Szanowna|Vazeny|Kedves|Draga|Stimate|Sevgili|Merhaba)"
)
_WORDS = frozenset(  # what else begins with a capital after such words
    b"Address Afraid All Alle Also Am Amigo Amigos An And Are As At Be But By Can City Class Client Cliente Clienti"
    b" Clients Colleagues Column Committee Company Could Currently Customer Damen Date Description Diary Do Email"
    b" Everyone File First Folk Folks For Freunde Friend Friends From Full Get Glad Go God Going Got Guys Had Happy Has"
    b" Have He Here Herren Hiring How Id If In Index Interested Is It Its Just Key Kollegen Kunde Kunden Last Learning"
    b" Let Looking Madam Manager Me Members My Name No None Not Null Number Of On Or Our Parents Phone Please Product"
    b" Reader Readers Ready Required Santa She Should Sir Sirs So Sorry Status String Students Sure Table Team Thank"
    b" Thanks That The There These They This Those Title To Today Tomorrow Tous Trying Type Unknown Up User Using Value"
    b" Was We What When Where Who Why Will With Working World Would Writing Yes You Your".split()
)


def _name(value: bytes) -> bool:
    return value not in _WORDS


def _detector(ending: str, before: str, confidence: float, must: tuple[str, ...], must_not: tuple[str, ...]) -> Detector:
    return Detector(
        id=f"person-name-{ending}",
        category=PERSON_NAME,
        left="",
        hint=before + rf"(?:[A-Z]|{_LINK} )",
        hint_reach_chars=_REACH_CHARS,
        before=before + _BEFORE,
        pattern=_NAME,
        after=r"(?:[^A-Za-z0-9_(.]|\.(?:[^A-Za-z]|$)|$)",
        confidence=confidence,
        validator=_name,
        must_match=must,
        must_not_match=must_not,
    )


PEOPLE = (
    _detector(
        "titled",
        rf"(?:^|[^A-Za-z]){_TITLE} ",
        0.6,
        ("we saw Mr. Thomas Müller there", "Frau Dr. Weber", "Mme Curie-Joliot", "Dr. McKay"),
        ("Dr. who", "Sir The", "St. Pauls"),
    ),
    _detector(
        "greeted",
        rf"(?:^|[^A-Za-z]){_GREETING} (?:{_TITLE} ){{0,2}}",
        0.55,
        ("Dear Jane Miller,", "Hola Carmen", "Sehr geehrter Herr Prof. Schmidt"),
        ("Dear Team", "Hello World", "Hi there"),
    ),
    _detector(
        "introduced",
        label(
            *words(
                "my name is, name is, i am called, this is, signed by, yours sincerely, sincerely, best regards, "
                "regards, ich heiße, mein name ist, mit freundlichen grüßen, viele grüße, je m'appelle, cordialement, "
                "me llamo, mi nombre es, atentamente, saludos, mi chiamo, cordiali saluti, meu nome é, chamo-me, "
                "atenciosamente, mijn naam is, met vriendelijke groet, jag heter, jeg heter, jeg hedder, nimeni on, "
                "nazywam się, jmenuji se, a nevem, numele meu este, benim adım, adım, nama saya, tên tôi là, "
                "jina langu ni"
            )
        )
        + r",?[ \n]{1,3}",
        0.55,
        ("my name is Jane Miller", "Je m'appelle Zoé Dupont", "Best regards,\nOlu Adeyemi", "Ich heiße Jörg von Berg"),
        ("my name is not", "name is The"),
    ),
    _detector(
        "labelled",
        label(
            *words(
                "name, full name, first name, last name, surname, given name, family name, maiden name, patient, "
                "patient name, customer name, contact person, account holder, cardholder, cardholder name, employee, "
                "client, applicant, insured, tenant, beneficiary, author, attn, vorname, nachname, familienname, "
                "ansprechpartner, nom, prénom, nom de famille, nombre, apellido, apellidos, paciente, nome, cognome, "
                "sobrenome, naam, voornaam, achternaam, namn, förnamn, efternamn, navn, fornavn, etternavn, nimi, "
                "etunimi, sukunimi, imię, nazwisko, jméno, příjmení, név, nume, prenume, ime, prezime, ad, soyad, "
                "nama, họ tên"
            )
        )
        + r"[\"']?:[ \t\"']{0,3}",
        0.55,
        ("Name: Jane Miller", '"patient": "Amara Okafor"', "Nachname: Schröder"),
        ("name: str", "Name: None", "Title: Dune"),
    ),
)
