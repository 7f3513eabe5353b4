"""Passports, identity cards, driving licences, vehicles, devices, accounts: by their own check, or after what names them."""

import re

from freehold.guard.detectors.checksums import icao_check, vin
from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.labels import labelled, words
from freehold.guard.detectors.number import Number, detector
from freehold.guard.detectors.validators import Validator, digits, not_placeholder, stdnum_valid

_is_imei = stdnum_valid("imei")
_MRZ = re.compile(rb"([0-9]{6})([0-9])[MFX]([0-9]{6})([0-9])")


def _travel_document(value: bytes) -> bool:
    """The check digits of date of birth and date of expiry (ICAO 9303-4, section 4.2.2)."""
    fields = _MRZ.search(value)
    return fields is not None and all(icao_check(fields[n]) == fields[n + 1][0] - 48 for n in (1, 3))


def _at_least(least: int, most: int = 20) -> Validator:
    """So many digits, not all alike, in what else may be letters."""

    def valid(value: bytes) -> bool:
        found = re.sub(rb"[^0-9]", b"", value)
        return least <= len(found) <= most and len(set(found)) > 1

    return valid


_NO_SOCIAL_SECURITY = re.compile(rb"(?:000|666)-[0-9]{2}-[0-9]{4}|[0-9]{3}-(?:00-[0-9]{4}|[0-9]{2}-0000)")  # of SSA none


def _plate(value: bytes) -> bool:
    """Letters and digits, four to nine of them together."""
    plain = value.translate(None, b" -.")
    has_both = any(48 <= b < 58 for b in plain) and any(b > 64 for b in plain)
    return has_both and 4 <= len(plain) <= 9


_FIELD = re.compile(rb"(?i)user|name|handle|param|req|self|this|config|string|field|value|[._]id$")  # a variable, not a user


def _user_name(value: bytes) -> bool:
    """With a digit, a point or an underscore in it: a plain word after "user name" is more often prose or a field's name."""
    return (
        _FIELD.search(value) is None
        and re.search(rb"[0-9]|[a-z][._-][a-z]", value) is not None
        and value.lower() != value.upper()
        and not_placeholder(value)
    )


_DOCUMENT = (
    r"(?:[A-Za-z]{1,3}[ -]?)?[0-9]{5,9}[A-Za-z]?|[A-Za-z][0-9]{3}[A-Za-z][0-9]{4}|[0-9]{2}[A-Z]{2}[0-9]{5}"
    r"|[A-Z][A-Z0-9]{8}[0-9]?|[0-9]{2} ?[0-9]{2} [0-9]{6}"
)

_IDENTITY = (
    r"(?:[A-Za-z]{1,3}[ -]?)?[0-9](?:[ ./-]?[0-9]){4,19}(?:[ -]?[A-Za-z]{1,2})?|[A-Z][A-Z0-9]{8}[0-9]?|[0-9]{7}[A-Za-z]{2}"
)

DOCUMENT_NUMBERS = (
    Number(
        "passport",
        _DOCUMENT,
        _at_least(4),
        "passport number X1234567",
        "passport number none",
        words(
            "passport, passport number, passports, travel document, reisepass, reisepassnummer, passnummer, pass-nr, "
            "passeport, numéro de passeport, pasaporte, número de pasaporte, passaporto, numero di passaporto, "
            "passaporte, número do passaporte, paspoort, paspoortnummer, passi, passinumero, paszport, paszportu, "
            "útlevél, útlevélszám, cestovní pas, číslo pasu, pasaport, pasaport no, pașaport, putovnica, pasoš, "
            "hộ chiếu, số hộ chiếu, paspor, nomor paspor, pasaporte bilang, pase numeris, passnr, passport no, "
            "паспорт, паспорта, паспорту, паспорт серия и номер, διαβατήριο, διαβατηρίου, անձնագիր, პასპორტი, 护照号, "
            "护照:, 護照號, 護照:, パスポート, 旅券番, 여권번, 여권:, 여권 , جواز سفر, جواز السفر, رقم الجواز, דרכון, पासपोर्ट, "
            "পাসপোর্ট, หนังสือเดินทาง"
        ),
        0.7,
    ),
    Number(
        "identity-card",
        _IDENTITY,
        _at_least(4),
        "identity card number L01X00T471",
        "identity card: none",
        words(
            "identity card, identity card number, id card, id card number, identity document, identification card, "
            "ID no, personalausweis, personalausweisnummer, ausweisnummer, ausweis, carte d'identité, "
            "carte nationale d'identité, documento de identidad, cédula, cédula de ciudadanía, carta d'identità, "
            "carta di identità, documento, bilhete de identidade, documento de identidade, identiteitskaart, id-kaart, "
            "identiteitsbewijs, legitimation, id-kort, henkilökortti, dowód osobisty, személyi igazolvány, "
            "občanský průkaz, občiansky preukaz, buletin, carte de identitate, osobna iskaznica, lična karta, "
            "kartu identitas, kitambulisho, residence permit, resident permit, aufenthaltstitel, titre de séjour, "
            "permesso di soggiorno, green card, alien registration, удостоверение личности, посвідчення особи, "
            "лична карта, δελτίο ταυτότητας, ταυτότητα, 身份证, 身份證, 身分證, 在留カード, 신분증, بطاقة الهوية, เลขบัตร"
        ),
        0.6,
    ),
    Number(
        "identity-number",
        _IDENTITY,
        lambda value: _at_least(4)(value) and _NO_SOCIAL_SECURITY.fullmatch(value) is None,
        "tax identification number 12345678903",
        "tax identification number: none",
        words(
            "identity number, identification number, id number, national id, national identity, national insurance, "
            "national identification number, ni number, FRN, RRN, social security number, SSN, SIN, TIN, tax id, "
            "taxpayer number, taxpayer identification number, tax identification number, tax number, "
            "foreigner registration, numéro national, nationellt id, henkilötunnus, personazonosító, kimlik no, "
            "kimlik numarası, TC kimlik, nomor identitas, chứng minh nhân dân, codice fiscale, numero fiscal, "
            "steuernummer, steuer-id, steuer-idnr, sozialversicherungsnummer, numéro de sécurité sociale, "
            "número de la seguridad social, numéro fiscal, idnr, número de segurança social, CPF, DNI, NIE, NIF, BSN, "
            "PESEL, CNP, JMBG, OIB, EGN, NISS, AHV, personnummer, fødselsnummer, CPR, kennitala, PPS, rodné číslo, "
            "isikukood, asmens kodas, personas kods"
        ),
        0.6,
    ),
    Number(
        "driver-license",
        r"(?:[A-Za-z]{1,3}[ -]?)?[0-9](?:[ -]?[0-9]){5,13}[A-Za-z]{0,2}|[A-Z][A-Z0-9]{8,17}",
        _at_least(4),
        "driver's license: H12234567",
        "driver's license: no",
        words(
            "driver's license, drivers license, driver license, driver's licence, driving licence, driving license, "
            "DL no, driver's license number, drivers license number, driving permit, licence number, license number, "
            "DLN, driver's permit, license no, licence no, führerschein, führerscheinnummer, permis de conduire, "
            "carnet de conducir, licencia de conducir, permiso de conducir, patente, patente di guida, "
            "carta de condução, carteira de motorista, CNH, rijbewijs, rijbewijsnummer, körkort, førerkort, kørekort, "
            "ajokortti, prawo jazdy, prawa jazdy, řidičský průkaz, vodičský preukaz, jogosítvány, permis de conducere, "
            "vozačka dozvola, vozniško dovoljenje, sürücü belgesi, ehliyet, ehliyet no, SIM nomor, bằng lái xe, "
            "lesen memandu, license, водительское удостоверение, водительского удостоверения, посвідчення водія, "
            "άδεια οδήγησης, δίπλωμα οδήγησης, 驾驶证, 駕照號, 運転免許, 운전면허, رخصة القيادة, רישיון נהיגה, ใบขับขี่"
        ),
        0.65,
    ),
    Number(
        "uk-driving-licence",
        r"[A-Z9]{5}[0-9][0156][0-9](?:[0-2][0-9]|3[01])[0-9][A-Z9]{2}[A-Z0-9][A-Z]{2}",
        None,
        "MORGA657054SM9IJ",
        "MORGA697054SM9IJ",
        core=r"(?:^|[^0-9])9{0,5}[0-9][0-9A-Z]{3}[0-9]{2}[A-Z9]{2}[A-Z0-9][A-Z]{2}",
    ),
    Number(
        "vehicle-plate",
        r"[A-Za-z0-9]{1,4}(?:[ -]?[A-Z0-9]{1,4}){1,3}",
        _plate,
        "license plate AB12 CDE",
        "license plate none",
        words(
            "license plate, licence plate, number plate, plate number, plate no, plates, plate, vehicle registration, "
            "registration number, registration no, vehicle number, vrm, vrn, kennzeichen, kfz-kennzeichen, "
            "autokennzeichen, immatriculation, plaque d'immatriculation, matrícula, placa, patente del auto, targa, "
            "kenteken, nummerplade, registreringsnummer, regnummer, rekisterinumero, rekisterikilpi, rejestracja, "
            "rejestracyjny, numer rejestracyjny, rendszám, SPZ, státní poznávací značka, număr de înmatriculare, "
            "registarska oznaka, plaka, plakası, plaka numarası, plakalı, nomor polisi, plat nomor, biển số, "
            "tablice rejestracyjne, номер автомобиля, госномер, αριθμός κυκλοφορίας, 车牌号, 車牌號, ナンバープレート, "
            "차량번호, "
            "رقم اللوحة, לוחית רישוי, ทะเบียนรถ"
        ),
        0.6,
    ),
    Number(
        "customer-number",
        r"[A-Za-z]{0,4}-?[0-9](?:[ /-]?[0-9]){4,15}(?:-?[A-Z0-9]{1,3})?",
        _at_least(5),
        "customer number 83920174",
        "customer number five",
        words(
            "customer number, customer id, customer no, client number, client id, member id, member number, "
            "membership, membership number, employee id, employee number, staff number, staff id, student id, "
            "student number, subscriber number, policy number, policy no, insurance policy, loyalty number, "
            "frequent flyer, badge number, kundennummer, kunden-nr, mitgliedsnummer, personalnummer, matrikelnummer, "
            "versicherungsnummer, policennummer, numéro client, numéro de client, numéro d'adhérent, numéro de police, "
            "matricule, número de cliente, número de socio, número de empleado, número de póliza, codice cliente, "
            "numero cliente, numero di polizza, número do cliente, número de apólice, klantnummer, polisnummer, "
            "lidnummer, kundnummer, medlemsnummer, asiakasnumero, jäsennumero, numer klienta, numer polisy, "
            "zákaznické číslo, ügyfélszám, müşteri numarası, nomor pelanggan, mã khách hàng, kundenummer, "
            "forsikringsnummer, licence no, professional license, номер клиента, номер полиса, αριθμός πελάτη, 客户编号, "
            "客戶編號, 顧客番号, 고객번호, رقم العميل, מספר לקוח"
        ),
        0.55,
    ),
    Number(
        "imei",
        r"[0-9]{2}[- ]?[0-9]{6}[- ]?[0-9]{6}[- ]?[0-9]{1,2}",
        lambda value: len(digits(value)) == 16 or _is_imei(digits(value)),
        "IMEI 49-015420-323751-8",
        "IMEI 49-015420-323751-9",
        words("IMEI, IMEI number, IMEISV, device id, serial of the phone, IMEI-Nummer, numéro IMEI, número IMEI"),
        0.85,
    ),
    Number(
        "vin-labelled",
        r"[A-HJ-NPR-Z0-9]{17}",
        _at_least(4),
        "VIN 4Y1SL65848Z411430",
        "VIN none",
        words(
            "VIN, chassis, chassis number, fahrgestellnummer, FIN, numéro de châssis, bastidor, telaio, chassi, "
            "VIN number, vehicle identification number, ВИН, 车架号, 車台番号"
        ),
        0.7,
    ),
)

DOCUMENTS = (
    *(detector(row) for row in DOCUMENT_NUMBERS),
    Detector(
        id="vin",
        category=PERSONAL_DATA,
        pattern=r"[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{4}[0-9]{4}",
        confidence=0.75,
        validator=lambda value: any(byte > 64 for byte in value[:9]) and vin(value),
        must_match=("the car 1M8GDM9AXKP042788 is",),
        must_not_match=("1M8GDM9AXKP042789", "11111111111111111"),
    ),
    Detector(
        id="travel-document-line",  # the second line of a passport's machine-readable zone; `<` ends a unit
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9])",
        pattern=r"(?:[A-Z0-9]{9}[0-9][A-Z]{3})?[0-9]{7}[MFX][0-9]{7}[A-Z0-9]{0,14}",
        after=r"(?:[^A-Za-z0-9]|$)",
        confidence=0.95,
        validator=_travel_document,
        must_match=("L898902C36UTO7408122F1204159ZE184226B<<<<<10", "C01X00T478D<<6408125F2702283<<<<<<<<<<<<<<<4"),
        must_not_match=("L898902C36UTO7408123F1204159ZE184226B<<<<<10", "1234567M1234567"),
    ),
    Detector(
        id="travel-document-number",  # that of a state whose code has a filler: `<` ends a unit
        category=PERSONAL_DATA,
        left="",
        before=r"<{2}[\n\r ]{1,2}",
        pattern=r"[A-Z0-9]{9}[0-9][A-Z]{1,2}",
        after="<",
        confidence=0.9,
        validator=lambda value: icao_check(value[:9]) == value[9] - 48,
        must_match=("ANNA<<<<<\nC01X00T478D<<6408125F2702283<<<<<<<<<<<<<<<4",),
        must_not_match=("ANNA<<<<<\nC01X00T479D<<6408125F2702283<<<<<<<<<<<<<<<4",),
    ),
    Detector(
        id="travel-document-name",  # its first line
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9<_])",
        before=r"P[A-Z<](?:(?:[A-Z]{3,40}<{1,2}|D<<)(?:[A-Z]{1,40}<){0,4})?",
        pattern=r"[A-Z]{2,40}",
        after="<",
        confidence=0.85,
        must_match=("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",),
        must_not_match=("P<int<", "std::vector<T<U>>", "<Password>YOUR_PASSWORD</Password>"),
    ),
    Detector(
        id="user-name",
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *words(
                "username, user name, user id, userid, login, login name, handle, screen name, nutzername, "
                "benutzername, nom d'utilisateur, identifiant, nombre de usuario, usuario, nome utente, utente, "
                "nome de usuário, gebruikersnaam, användarnamn, brukernavn, brugernavn, käyttäjätunnus, "
                "nazwa użytkownika, felhasználónév, kullanıcı adı, nama pengguna, tên đăng nhập, uživatelské jméno, "
                "korisničko ime, nume de utilizator"
            ),
            apart=r"(?: is| ist| est| es| è| jest)?[:= ]{1,3}[\"']?@?",
        ),
        pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{3,31}",
        after=r"(?:[^A-Za-z0-9._(\[-]|\.(?:[^A-Za-z0-9]|$)|$)",
        confidence=0.5,
        validator=_user_name,
        must_match=("username: jane_doe87", "Benutzername ist m.mueller", "login: kwabena42"),
        must_not_match=("username: string", "username = input()", "user name: none", "login = get_login(x)"),
    ),
)
