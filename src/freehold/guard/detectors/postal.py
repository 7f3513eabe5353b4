"""Where people live, by the structure of an address: number and street, box, door, postcode; and co-ordinates.

An address has blanks inside. `boundary.py` keeps a street and its number in one unit where `OPEN_STREET` says that what has been
read so far may be the beginning of one; what comes before and after (door, box, postcode) is found piece by piece.
"""

import re

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector, compiled
from freehold.guard.detectors.labels import CLOSE, label, labelled, words
from freehold.guard.fold import fold


def _any(words: str) -> str:
    folded = {fold(word).decode() for word in words.split()}
    return "|".join(re.escape(word) for word in sorted(folded, key=lambda word: (-len(word), word)))


# "12 Main Street": what an English street ends with.
_ENDINGS = _any(
    "Street St Road Rd Avenue Ave Av Boulevard Blvd Lane Ln Drive Dr Court Ct Way Place Pl Square Sq Terrace"
    " Terr Close Crescent Cres"
    " Highway Hwy Parkway Pkwy Circle Cir Trail Trl Alley Grove Gardens Mews Row Walk Hill Rise View Parade"
    " Esplanade Quay Wharf Loop"
    " Plaza Turnpike Pike Ridge Run Path Crossing Green Park Bypass Expressway Freeway Point Motorway Junction Mall Island Creek"
)
# "Rue de la Paix 12": what streets begin with elsewhere. The first are no words of English; the others need a number.
_SURE_WORDS = (
    "rue avenida avda avda. calle rua viale piazza piazzetta piazzale boulevard bulevar bulevardul chemin impasse quai allée"
    " travessa praça alameda"
    " carrer passeig paseo corso vicolo lungomare ulica ulice ul. aleja aleea jalan jl. carrera calea náměstí"
    " trg chaussée estrada rodovia"
)
_OTHER_WORDS = (
    "via avenue av. bd place route cours strada str. plaza largo camino carretera ronda plac os. al. square passage nám. c/"
)
_SURE, _STARTS = _any(_SURE_WORDS), _any(f"{_SURE_WORDS} {_OTHER_WORDS}")
_CAPITAL_SURE, _CAPITAL_STARTS = _any(_SURE_WORDS.title()), _any(f"{_SURE_WORDS} {_OTHER_WORDS}".title())
# "Hauptstraße 12", "Mellemvej 3": one word, its ending, a number.
_TAILS = _any(
    "straße strasse str. weg gasse platz allee ufer steig graben gässli straat laan gracht plein dijk singel vej"
    " sgade ergade dgade ngade allé gata gatan vägen vagen stigen veien gaten veg vegur braut stígur katu"
    " ntie kuja polku utca ulitsa sokak caddesi"
    " maantee iela gatve"
)
_AFTER_NAME = _any(
    "utca út tér u. körút kapu útja sétány köz sokak caddesi bulvarı cad. sok. tänav tee iela gatvė"
    " g. Straße Strasse Str. Weg Platz Allee Gasse Ufer"
)
_PARTICLES = _any(
    "de la le les du des del della delle dei degli di da do dos das d' l' e et y el los las van der den of the von zur zum"
)

_NAME = r"[A-Z][A-Za-z'.-]{0,24}"
_NUMBER = r"[0-9]{1,6}[A-Za-z]?(?:[-/][0-9]{1,5}[A-Za-z]?)?"
_WORD = rf"(?:{_NAME}|[0-9]{{1,3}}(?:st|nd|rd|th)?)"
_FIRST = r"(?:[A-Z][a-z][A-Za-z'.-]{0,23}|[NSEW]{1,2}\.?|[0-9]{1,3}(?:st|nd|rd|th))"
_LINKS = rf"(?:(?:{_WORD}|{_PARTICLES}) ){{0,5}}"
_TITLE = rf"(?:(?:{_PARTICLES}) ){{0,3}}(?:{_NAME} ){{0,3}}{_NAME}"  # "de la Paix"
_TAILED = rf"[A-Z][A-Za-z-]{{1,24}}(?:{_TAILS})"
_FOLLOWED = rf"(?:{_AFTER_NAME})"  # after the name, which has been sent
_STARTED = rf"(?:{_CAPITAL_STARTS}|{_SURE})|[0-9]{{1,5}}(?: ?(?:bis|ter|[A-C]))?,? (?:{_STARTS})"

# What `boundary.py` asks: whether text up to here may be the beginning of a street, which a next word that begins so would go on.
# Every such text has a trigger: else it would matter whether what follows, which may have one, is known already.
STREET_CHARS = 120  # longer than any beginning
STREET_TRIGGERS = (
    rb"[0-9][A-Za-z]? (?:[A-Z][a-z]|[NSEW]{1,2}\.? )",
    rb"[0-9](?:st|nd|rd|th) ",
    rf"[A-Z][A-Za-z-]{{1,24}}(?:{_TAILS}) ".encode(),
    rf"(?:^|[^A-Za-z])(?i:{_STARTS}) ".encode(),
    rf"(?:^|[^A-Za-z])(?:{_AFTER_NAME}) ".encode(),
)
_EDGE = r"(?:^|[^A-Za-z0-9.,])"
OPEN_STREET = compiled(rf"{_EDGE}(?:{_NUMBER} {_FIRST} (?:{_WORD} ){{0,3}}|{_TAILED} |{_FOLLOWED} |(?:{_STARTED}) {_LINKS})$")

_HOUSE = r"[0-9]{1,5}(?: ?[a-zA-Z]|/[0-9]{1,4}[a-z]?|-[0-9]{1,4})?"
_STATES = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]|A[AEP]"
    "|AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT|NSW|VIC|QLD|TAS|ACT"
)


def _named(value: bytes) -> bool:
    """Some word in it with a capital: `10 St` and `5 Dr` alone are no address."""
    return re.search(rb"[A-Z][a-z]{2}|[0-9](?:st|nd|rd|th) ", value) is not None


POSTAL = (
    Detector(
        id="street-address",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9.,$])",
        pattern=rf"{_NUMBER} {_FIRST} (?:{_WORD} ){{0,3}}(?:{_ENDINGS})",
        head=rf"{_NUMBER} {_FIRST} [A-Z0-9]",
        after=r"(?:[^A-Za-z0-9]|$)",
        confidence=0.7,
        validator=_named,
        must_match=(
            "we met at 12 Main Street now",
            "4 Privet Drive",
            "221B Baker St",
            "350 5th Ave, New York",
            "1600 Pennsylvania Avenue",
        ),
        must_not_match=("in 2020 New York", "12 Main Dishes", "the 5 Main Ideas"),
    ),
    Detector(
        id="street-address-tail",
        category=PERSONAL_DATA,
        pattern=rf"{_TAILED} {_HOUSE}",
        head=rf"{_TAILED} [0-9]",
        confidence=0.7,
        must_match=("wohnt Hauptstraße 12 in", "Keizersgracht 174", "Mellemvej 3", "Mannerheimintie 5 B", "Pachergasse 64"),
        must_not_match=("Hauptstraße in Berlin", "String 2", "Spring 5", "Katie 12"),
    ),
    Detector(
        id="street-address-place",
        category=PERSONAL_DATA,
        left="",
        before=r"[A-Z][A-Za-z-]{1,24} ",
        pattern=rf"{_FOLLOWED} {_HOUSE}",
        head=rf"{_FOLLOWED} [0-9]",
        confidence=0.65,
        must_match=("Váci utca 12", "Erzsébet tér 19.", "Augsburger Straße 36"),
        must_not_match=("Main street art",),
    ),
    Detector(
        id="street-address-head",
        category=PERSONAL_DATA,
        pattern=rf"(?:{_STARTED}) (?:(?:{_WORD}|{_PARTICLES}) ){{1,5}}(?:{_HOUSE}|[A-Z][A-Za-z'-]{{2,24}},? {_HOUSE})",
        head=rf"(?:{_STARTED}) ",
        confidence=0.72,
        validator=_named,
        must_match=(
            "abita in Via Roma 12",
            "Calle de Alcalá 45",
            "ul. Marszałkowska 10",
            "Rua do Arenque 1634",
            "Jalan Sudirman 5",
        ),
        must_not_match=("Via email 12", "Place 12", "Route 66"),
    ),
    Detector(
        id="street-address-french",
        category=PERSONAL_DATA,
        pattern=rf"(?:(?:{_CAPITAL_SURE})|[0-9]{{1,5}}(?: ?(?:bis|ter|[A-C]))? (?:{_STARTS})) {_TITLE}",
        head=rf"(?:{_CAPITAL_SURE}|[0-9] (?:{_STARTS})) ",
        confidence=0.6,
        validator=_named,
        must_match=("Rue de la Paix, Paris", "Boulevard Saint-Germain"),
        must_not_match=("Rue the day", "Corso"),
    ),
    Detector(
        id="street-name",  # "12 rue de la Paix": the number is a unit by itself
        category=PERSONAL_DATA,
        left="",
        before=r"(?:^|[^A-Za-z0-9.])[0-9]{1,5}(?: ?(?:bis|ter|[A-C]))?,? ",
        pattern=rf"(?:{_STARTS}) {_TITLE}",
        head=rf"(?:{_STARTS}) ",
        confidence=0.6,
        must_match=("habite 12 rue de la Paix", "12 bis, rue Victor Hugo", "10 avenue Foch"),
        must_not_match=("12 place settings", "5 via email"),
    ),
    Detector(
        id="address-door",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z])",
        before=(
            r"(?:(?i:apt|apartment|suite|ste|flat|appt|appartement|apto|piso|wohnung|lejlighed|lgh|interno)\.?|Unit)"
            r"[ #]{1,2}(?:No\.? ?)?"
        ),
        pattern=r"#?[0-9]{1,5}[A-Za-z]?",
        after=r"(?:[^A-Za-z0-9.%]|\.(?:[^0-9]|$)|$)",
        confidence=0.55,
        must_match=("Apt. 595", "Suite 245", "apartment 12B"),
        must_not_match=("apt install 7zip", "a suite of 12", "flat 5.5"),
    ),
    Detector(
        id="post-box",
        category=PERSONAL_DATA,
        left="",
        before=label(
            *words(
                "p.o. box, po box, p o box, post box, post office box, postfach, boite postale, apartado, "
                "apartado postal, casilla, casella postale, caixa postal, postbus, postboks, postbox, "
                "skrytka pocztowa, PSC, postilokero"
            )
        )
        + r"\.?[ :#]{1,2}",
        pattern=r"[0-9]{1,6}",
        confidence=0.73,
        must_match=("P.O. Box 242", "Postfach 12 34", "PSC 0413, Box 8144"),
        must_not_match=("a box 12", "PO Box none"),
    ),
    Detector(
        id="us-postcode",
        category=PERSONAL_DATA,
        left="",
        before=r"(?:[A-Za-z.][,\n] ?|(?:APO|FPO|DPO) )",
        pattern=rf"(?:{_STATES}) (?:[0-9]{{5}}(?:-[0-9]{{4}})?|[0-9]{{4}})",
        confidence=0.7,
        must_match=("Springfield, IL 62704", "Portland, OR 97205-1234", "APO AA 42323"),
        must_not_match=("IL 6270", "OR 97205 others"),
    ),
    Detector(
        id="uk-postcode",
        category=PERSONAL_DATA,
        pattern=r"(?:[A-PR-UWYZ][A-HK-Y]?[0-9][A-Z0-9]?|GIR) [0-9][ABD-HJLNP-UW-Z]{2}",
        confidence=0.7,
        must_match=("SW1A 1AA", "at M1 1AE."),
        must_not_match=("A1 2CI", "section 2 3RD"),
    ),
    Detector(
        id="ca-postcode",
        category=PERSONAL_DATA,
        pattern=r"[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] [0-9][ABCEGHJ-NPRSTV-Z][0-9]",
        confidence=0.75,
        must_match=("Toronto M5V 3L9",),
        must_not_match=("D5V 3L9", "M5V 3LL"),
    ),
    Detector(
        id="postcode-place",
        category=PERSONAL_DATA,
        left="",
        before=(
            r"(?:[a-z.] [0-9]{1,4} ?[a-zA-Z]?(?:,|\n|,\n)[ \t]{0,4}"
            r"|(?:^|[^A-Za-z0-9])(?:D|A|CH|F|B|L|I|DK|SE|NO|FI|PL|CZ|SK|NL)-)"
        ),
        pattern=r"[0-9]{4,5}(?: [A-Z]{2})? [A-Z][A-Za-z-]{2,}",
        head=r"[0-9]{4}",
        confidence=0.6,
        must_match=("Hauptstr. 5, 10115 Berlin", "D-10115 Berlin"),
        must_not_match=("step 5, 10115", "X-10115 Berlin"),
    ),
    Detector(
        id="postcode",
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *words(
                "zip, zip code, zipcode, postal code, postcode, post code, PLZ, postleitzahl, code postal, "
                "código postal, CAP, CEP, PIN code, pincode, postnummer, postinumero, kod pocztowy, irányítószám, PSČ, "
                "cod poștal, poštanski broj, posta kodu, kode pos, mã bưu điện, poskod, C.P."
            ),
            apart=CLOSE,
        ),
        pattern=(
            r"[0-9]{3}[ -]?[0-9]{2,4}|[0-9]{4} ?[A-Z]{2}|[0-9]{2}-?[0-9]{3}(?:-?[0-9]{3,4})?|[0-9]{5}(?:-[0-9]{3,4})?|[0-9]{4}"
            r"|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"
        ),
        confidence=0.72,
        must_match=(
            "ZIP code: 94103",
            "postcode EC1A 1BB",
            "CEP 01310-100",
            "PLZ 10115",
            "kod pocztowy 00-950",
            "postcode 1012 AB",
        ),
        must_not_match=("zip file", "a zip of 12"),
    ),
    Detector(
        id="address-labelled",
        category=PERSONAL_DATA,
        left="",
        before=label(
            *words(
                "address, address is, home address, billing address, shipping address, mailing address, residence, "
                "lives at, lives in, live at, living at, lived at, lived in, live in, reside at, resides at, "
                "residing at, located at, moved to, deliver to, delivered to, ship to, shipped to, office is at, "
                "house is at, property at, adresse, anschrift, wohnhaft, wohnt in, domicilié, domicilie au, demeurant, "
                "habite au, dirección, domicilio, indirizzo, residente in, endereço, morada, adres, zamieszkały, "
                "adress, osoite, lakcím, adresa, bydliště, alamat, địa chỉ, anwani, aadress, adresas, heimilisfang, "
                "corner of"
            )
        )
        + r"(?:[^A-Za-z0-9](?:[^0-9\n]{0,24}?[^A-Za-z0-9])?)",
        pattern=rf"{_NUMBER} (?:[A-Z0-9][A-Za-z0-9'.-]{{0,24}} ){{0,5}}[A-Z0-9][A-Za-z0-9'.-]{{1,24}}",
        head=r"[0-9]",
        confidence=0.74,
        validator=lambda value: re.search(rb"[A-Z][a-z]", value) is not None,
        must_match=("my address is 28 Puruntie 82", "lives at 255 Hersnapvej 18", "Address:\n230 Igias Nicosia"),
        must_not_match=("IP address 12 of them", "address 0x12 A"),
    ),
    Detector(
        id="co-ordinate",
        category=PERSONAL_DATA,
        left="",
        before=label(
            *words(
                "lat, latitude, lon, lng, long, longitude, gps, coordinates, coords, location, breitengrad, "
                "längengrad, koordinaten, coordonnées, coordenadas, coordinate"
            )
        )
        + r"(?: is| are)?[\"']?[:= (\[]{1,4}(?:[-+]?[0-9]{1,3}\.[0-9]{3,12}, ?)?",
        pattern=r"[-+]?[0-9]{1,3}\.[0-9]{4,12}",
        confidence=0.6,
        validator=lambda value: abs(float(value)) <= 180,
        must_match=("latitude: 48.85837", "GPS 48.85837, 2.29448", "coordinates are (52.5163,13.3777)"),
        must_not_match=("lat: 48", "long 1234.56789"),
    ),
)
