"""Numbers of patients, insured people and those who treat them."""

from freehold.guard.detectors.checksums import au_medicare, de_doctor, de_health_insurance, nz_health, us_dea, us_npi
from freehold.guard.detectors.labels import words
from freehold.guard.detectors.number import Number, detector
from freehold.guard.detectors.validators import digits

_MBI = "AC-HJKMNP-RT-Y"  # letters that cannot be taken for a digit (CMS)


def _varied(value: bytes) -> bool:
    return len(set(digits(value))) > 2


HEALTH_NUMBERS = (
    Number(
        "us-medicare-id",
        rf"[1-9][{_MBI}][{_MBI}0-9][0-9]-?[{_MBI}][{_MBI}0-9][0-9]-?[{_MBI}]{{2}}[0-9]{{2}}",
        None,
        "1EG4-TE5-MK73",
        "1EG4-TE5-MKA3",
    ),
    Number(
        "us-npi",
        r"[12][0-9]{3}-?[0-9]{3}-?[0-9]{3}",
        us_npi,
        "NPI 1234567893",
        "NPI 1234567894",
        ("NPI", "provider", "provider identifier", "national provider"),
        0.75,
    ),
    Number(
        "us-dea-number",
        r"[ABFGMPRabfgmpr][A-Za-z9][0-9]{7}",
        us_dea,
        "DEA number AB1234563",
        "DEA number AB1234564",
        words("DEA, DEA number, medical license, medical licence, prescriber, practitioner"),
        0.75,
    ),
    Number(
        "au-medicare",
        r"[2-6][0-9]{3}[ -]?[0-9]{5}[ -]?[0-9](?:[ /-]?[0-9])?",
        au_medicare,
        "Medicare 2123 45670 1",
        "Medicare 2123 45671 1",
        ("medicare", "medicare number", "medicare card", "medicare no"),
        0.8,
    ),
    Number(
        "de-health-insurance",
        r"[A-Z] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}",
        de_health_insurance,
        "Versichertennummer A123456780",
        "Versichertennummer A123456781",
        words(
            "KVNR, KV-Nr, versichertennummer, krankenversichertennummer, krankenversichertennr, krankenkasse, "
            "krankenversicherung, gesundheitskarte, eGK, versicherten-nr"
        ),
        0.85,
    ),
    Number(
        "de-doctor-number",
        r"[0-9]{9}",
        de_doctor,
        "LANR 987654401",
        "LANR 987654301",
        ("LANR", "arztnummer", "arzt-nr", "lebenslange arztnummer"),
        0.75,
    ),
    Number(
        "de-practice-number",
        r"[0-9]{9}",
        _varied,
        "BSNR 021234568",
        "BSNR none",
        ("BSNR", "betriebsstättennummer", "betriebsstätten-nr"),
        0.75,
    ),
    Number(
        "nz-health-index",
        r"[A-HJ-NP-Z]{3}[0-9]{4}",
        nz_health,
        "NHI ZZZ0016",
        "NHI ZZZ0017",
        ("NHI", "national health index", "NHI number"),
        0.8,
    ),
    Number(
        "ca-ontario-health",
        r"[1-9][0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}(?:[- ]?[A-Z]{2})?",
        _varied,
        "OHIP 5584-486-674",
        "OHIP none",
        ("OHIP", "health card", "ontario health", "RAMQ", "carte d'assurance maladie"),
        0.7,
    ),
    Number("it-health-card", r"80380[0-9]{15}", None, "80380000100123456789", "8038000010012345678", (), 0.9),
    Number(
        "patient-number",
        r"[A-Za-z]{0,4}-?[0-9](?:[ /-]?[0-9]){4,14}(?:-?[A-Z0-9]{1,3})?",
        _varied,
        "MRN: 84739201",
        "MRN: none",
        words(
            "MRN, medical record, medical record number, patient id, patient number, patient no, chart number, NHS, "
            "health insurance, health insurance number, health id, health plan, beneficiary number, insurance number, "
            "insurance id, insurance policy number, medicaid, EHIC, patientennummer, fallnummer, patienten-id, "
            "numéro de patient, dossier médical, carte vitale, numéro d'assuré, numero de paciente, historia clínica, "
            "tarjeta sanitaria, número de afiliado, tessera sanitaria, numero paziente, cartella clinica, "
            "cartão do SUS, cartão nacional de saúde, número de utente, patiëntnummer, zorgverzekering, patientnummer, "
            "journalnummer, potilasnumero, numer pacjenta, numer ubezpieczenia, číslo pojištěnce, kórházi azonosító, "
            "hasta numarası, nomor rekam medis, BPJS, mã bệnh nhân, bảo hiểm y tế, sygesikring, номер пациента, "
            "номер полиса ОМС, полис ОМС, 病历号, 病歷號, 患者番号, 診察券番号, 환자번호, رقم المريض, מספר מטופל"
        ),
        0.6,
    ),
)
HEALTH = tuple(detector(number) for number in HEALTH_NUMBERS)
